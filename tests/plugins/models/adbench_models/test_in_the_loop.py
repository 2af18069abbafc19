"""The built-in detectors that learn by gradient, in the harness's loop: stopped and gone on, few images, no wait for the device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from adbench_harness import seeding, training
from adbench_harness.api import BuildContext, FitRules, InterruptedRunError, Step, TrainedDetector, TrainingError
from adbench_harness.checkpoint import CheckpointFile
from adbench_harness.device import describe
from adbench_harness.training import Training
from adbench_models.autoencoder import Autoencoder, AutoencoderOptions
from adbench_models.ddpm import DDPM, DDPMOptions
from adbench_models.f_anogan import FAnoGAN, FAnoGANOptions
from adbench_models.ganomaly import GANomaly, GANomalyOptions
from adbench_models.multikd import MultiKD, MultiKDOptions

CPU = torch.device("cpu")
MakeContext = Callable[..., BuildContext]
Build = Callable[[], TrainedDetector]
Whole = tuple[Training, TrainedDetector]

DETECTORS: dict[str, Callable[[BuildContext], TrainedDetector]] = {
    "autoencoder": lambda context: Autoencoder(AutoencoderOptions(width=8), context),
    "ddpm": lambda context: DDPM(DDPMOptions(width=8), context),
    "f-anogan": lambda context: FAnoGAN(FAnoGANOptions(), context),
    "ganomaly": lambda context: GANomaly(GANomalyOptions(), context),
    "multikd": lambda context: MultiKD(MultiKDOptions(teacher="random"), context),
}
PHASES = {
    "autoencoder": ["rebuild"],
    "ddpm": ["denoise"],
    "f-anogan": ["gan", "encoder"],
    "ganomaly": ["adversarial"],
    "multikd": ["distil"],
}
CURVES = {
    "autoencoder": {"loss"},
    "ddpm": {"loss"},
    "f-anogan": {"d_loss", "g_loss", "gradient_penalty", "e_loss", "image", "feature"},
    "ganomaly": {"err_d", "err_d_real", "err_d_fake", "err_g", "err_g_adv", "err_g_con", "err_g_enc", "restarts"},
    "multikd": {"loss", "direction", "value"},
}


class Pictures:
    """Images of noise, 32 x 32."""

    def __init__(self, count: int) -> None:
        self.pixels = torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(3))

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, indices: Tensor) -> Tensor:
        return self.pixels[indices]


@pytest.fixture(params=sorted(DETECTORS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def build(make_context: MakeContext, name: str) -> Build:
    def made() -> TrainedDetector:
        with seeding.isolated(CPU):
            seeding.seed_global(1, "build")
            return DETECTORS[name](make_context(generator=torch.Generator().manual_seed(1)))

    return made


def train(place: Path, images: int = 13, **changes: Any) -> Training:
    rules = FitRules(batch_size=4, image_size=32, epochs=2)
    file = CheckpointFile(place / "checkpoint.pt", describe(CPU, "float32"))
    return Training(Pictures(images), rules, 1, CPU, file, **changes)


@pytest.fixture(scope="module")
def trained() -> dict[str, Whole]:
    """What ``whole`` has trained."""
    return {}


@pytest.fixture
def whole(build: Build, name: str, tmp_path: Path, trained: dict[str, Whole]) -> Whole:
    """A training without a stop, and its detector; made once, and not to be changed."""
    if name not in trained:
        training, detector = train(tmp_path / "whole"), build()
        training.run(detector)
        trained[name] = training, detector
    return trained[name]


@pytest.mark.parametrize("stop_after", [1, 4, 5, 8, 9, 12])
def test_stopped_and_gone_on_it_ends_the_same_bit_for_bit(
    build: Build, whole: Whole, name: str, tmp_path: Path, stop_after: int
) -> None:
    whole_training, detector = whole
    if stop_after + 1 >= whole_training.steps:
        pytest.skip("it has no step after this one")
    asked = iter(range(1000))
    first = train(tmp_path / "parts", stop=lambda: next(asked) >= stop_after + FITTING.get(name, 0))
    with pytest.raises(InterruptedRunError, match="goes on from there"):
        first.run(build())
    assert first.steps < whole_training.steps
    second, gone_on = train(tmp_path / "parts"), build()
    second.run(gone_on)
    assert second.resumed == 1
    assert list(second.epochs) == list(whole_training.epochs) == PHASES[name]
    assert second.curves == whole_training.curves
    state = detector.state()
    assert all(torch.equal(tensor, state[key]) for key, tensor in gone_on.state().items())
    sample = Pictures(5).pixels
    with torch.no_grad():
        assert torch.equal(gone_on.score(sample), detector.score(sample))


FITTING = {"multikd": 4}
"""How often a detector asks for leave to go on before its first step: here, a batch of teacher features each time."""


def test_curves_have_the_names_of_the_public_codes(whole: Whole, name: str) -> None:
    assert {point.name for point in whole[0].curves} == CURVES[name]


def test_one_training_image(build: Build, name: str, tmp_path: Path) -> None:
    done = train(tmp_path, images=1)
    if name == "ganomaly":  # it drops the incomplete batch, as the public code does
        with pytest.raises(TrainingError, match="1 training images make no full batch of 4; lower it with --set batch_size=N"):
            done.run(build())
    else:
        detector = build()
        done.run(detector)
        assert done.steps == 2 * len(PHASES[name])
        assert all(torch.isfinite(tensor).all() for tensor in detector.state().values())


def test_a_last_batch_of_one_image(build: Build, tmp_path: Path) -> None:
    done = train(tmp_path, images=5)
    detector = build()
    done.run(detector)
    with torch.no_grad():
        assert torch.isfinite(detector.score(Pictures(3).pixels)).all()


class NoReading(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch types no part of this class
    """Refuses what would make the host wait for the device: reading a value back."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func is not torch.ops.aten._local_scalar_dense.default, "a value was read back to the host"
        assert func is not torch.ops.aten.nonzero.default, "a shape depends on a value"
        return func(*args, **(kwargs or {}))


def test_no_value_is_read_back_in_a_step(build: Build, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Adam itself keeps its step count on the host and reads that.
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: None)
    seen = []
    run_epoch = Training._run_epoch

    def watched(self: Training, phase: Any, *rest: Any) -> Any:
        step = phase.step

        def guarded(batch: Any) -> Any:
            seen.append(phase.name)
            with NoReading():
                return step(batch)

        phase.step = guarded
        try:
            return run_epoch(self, phase, *rest)
        finally:
            phase.step = step

    monkeypatch.setattr(Training, "_run_epoch", watched)
    train(tmp_path).run(build())
    assert list(dict.fromkeys(seen)) == PHASES[name]


def test_the_guard_sees_a_value_that_is_read() -> None:
    with NoReading(), pytest.raises(AssertionError, match="read back"):
        float(torch.ones(1))


def test_a_loss_that_is_not_finite_names_phase_epoch_and_last_values(
    build: Build, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images that turn to NaN in the second epoch; a checkpoint of the first is kept."""
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    done = train(tmp_path, images=8)
    good = done.images.batch
    calls = iter(range(1000))
    turned = 2 + {"multikd": 3}.get(name, 0)

    class Turning(Pictures):
        def batch(self, indices: Tensor) -> Tensor:
            return good(indices) * (torch.nan if next(calls) >= turned else 1.0)

    done.images = Turning(8)
    with pytest.raises(
        TrainingError, match=rf"not finite in phase {PHASES[name][0]}, epoch 2; last finite values: .* \d"
    ) as error:
        done.run(build())
    if name == "multikd":
        return
    assert "checkpoint is kept" in str(error.value)
    saved = done.checkpoint.load()
    assert saved is not None
    assert all(torch.isfinite(tensor).all() for module in saved["modules"].values() for tensor in module.values())


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")  # torch calls it a prototype each time it is asked for
def test_on_a_gpu_it_never_waits_and_scores_as_on_a_cpu(make_context: MakeContext, name: str, tmp_path: Path) -> None:
    """Trained there with host syncs forbidden inside an epoch, then scored in double precision on both."""
    gpu = torch.device("cuda", 0)

    class OnGpu(Pictures):
        def batch(self, indices: Tensor) -> Tensor:
            return self.pixels[indices]

    images = OnGpu(13)
    images.pixels = images.pixels.to(gpu, torch.float64)
    context = {"dtype": torch.float64, "generator": torch.Generator().manual_seed(1)}
    detector = DETECTORS[name](make_context(device=gpu, **context))
    file = CheckpointFile(tmp_path / "checkpoint.pt", describe(gpu, "float64"))
    Training(images, FitRules(batch_size=4, image_size=32, epochs=2), 1, gpu, file).run(detector)
    stages = detector.phases(images, train(tmp_path))
    batch = Step(images.pixels[:4], torch.arange(4, device=gpu), 0, 0, torch.Generator(gpu).manual_seed(1))
    first = next(stages)
    first.step(batch)  # the optimisers make their state
    torch.cuda.set_sync_debug_mode("error")
    try:
        first.step(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    if isinstance(detector, FAnoGAN):
        detector.networks.eval()
    twin = DETECTORS[name](make_context(dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    twin.load({key: tensor.cpu() for key, tensor in detector.state().items()})
    with torch.no_grad():
        there = detector.score(images.pixels).cpu()
        torch.testing.assert_close(there, twin.score(images.pixels.cpu()), rtol=1e-9, atol=1e-12)
        assert detector.anomaly_map(images.pixels[:2]) is not None
