"""The frozen backbone, and what all detectors on it have in common."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from adbench_harness.api import (
    BuildContext,
    FitRules,
    FittedDetector,
    InterruptedRunError,
    OptionError,
    TrainingError,
)
from adbench_harness.checkpoint import CheckpointFile
from adbench_harness.device import describe
from adbench_harness.training import Training
from adbench_models import frozen_features, vgg16
from adbench_models.frozen_features import Backbone, BackboneOptions, Enlarge, Scaler, drawn, pooled
from adbench_models.isolation_forest import IsolationForest, IsolationForestOptions
from adbench_models.ocsvm import OneClassSVM, OneClassSVMOptions
from adbench_models.padim import PaDiM, PaDiMOptions
from adbench_models.patchcore import PatchCore, PatchCoreOptions

CPU = torch.device("cpu")
MakeContext = Callable[..., BuildContext]
Discs = Callable[..., Tensor]

DETECTORS: dict[str, Callable[..., FittedDetector]] = {
    "isolation-forest": lambda context, **options: IsolationForest(
        IsolationForestOptions(**{"backbone": "random", "trees": 25, **options}), context
    ),
    "ocsvm": lambda context, **options: OneClassSVM(OneClassSVMOptions(**{"backbone": "random", **options}), context),
    "padim": lambda context, **options: PaDiM(PaDiMOptions(**{"backbone": "random", "features": 20, **options}), context),
    "patchcore": lambda context, **options: PatchCore(PatchCoreOptions(**{"backbone": "random", **options}), context),
}


class Pictures:
    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, indices: Tensor) -> Tensor:
        return self.pixels[indices]


NARROW = ((4, 4), (8, 8), (12, 12, 12), (16, 16, 16), (16, 16, 16))


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG-16's plan with few channels: nothing here depends on how many there are, but the time."""
    monkeypatch.setattr(vgg16, "BLOCKS", NARROW)


def train(detector: FittedDetector, pixels: Tensor, place: Path, seed: int = 1, **changes: Any) -> Training:
    file = CheckpointFile(place / "checkpoint.pt", describe(CPU, "float32"))
    made = Training(Pictures(pixels), FitRules(batch_size=4, image_size=32), seed, CPU, file, **changes)
    made.run(detector)
    return made


@pytest.fixture(params=sorted(DETECTORS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_an_odd_square_scores_higher_whatever_its_batch(
    make_context: MakeContext, discs: Discs, name: str, tmp_path: Path
) -> None:
    detector = DETECTORS[name](make_context())
    done = train(detector, discs(24), tmp_path)
    assert done.presented == 24
    images = discs(10, squares=True)
    together = detector.score(images)
    assert together.shape == (10,)
    assert together.dtype == torch.float32
    assert not together.requires_grad
    assert together[1::2].min() > together[0::2].max()
    assert torch.equal(torch.cat([detector.score(image[None]) for image in images]), together)
    assert torch.equal(detector.score(images.flip(0)).flip(0), together)
    shown = detector.anomaly_map(images)
    if name in ("padim", "patchcore"):
        assert shown is not None
        assert shown.shape == (10, 32, 32)
        assert shown.min() >= 0
    else:
        assert shown is None


def test_a_seed_decides_and_the_global_one_is_left_alone(
    make_context: MakeContext, discs: Discs, name: str, tmp_path: Path
) -> None:
    first, again, other = (DETECTORS[name](make_context()) for _ in range(3))
    before = torch.get_rng_state(), of_numpy()
    generator = [torch.Generator().manual_seed(seed) for seed in (1, 1, 2)]
    for detector, draws in zip((first, again, other), generator, strict=True):
        detector.fit(Pictures(discs(12)), Lent(draws))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert of_numpy() == before[1]
    images = discs(6, squares=True)
    assert torch.equal(first.score(images), again.score(images))
    if name != "ocsvm":  # which draws nothing where all images are learnt from
        assert not torch.equal(first.score(images), other.score(images))


def of_numpy() -> list[int]:
    """NumPy's global random state."""
    state: Any = np.random.get_state()
    return [*state[1].tolist(), state[2]]


class Lent:
    """What the loop lends."""

    batch_size = 4

    def __init__(self, generator: torch.Generator | None = None) -> None:
        self.generator = generator or torch.Generator().manual_seed(1)

    def log(self, name: str, value: float, step: int = 0) -> None: ...

    def progress(self, done: int, total: int, what: str = "fit") -> None: ...


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_tiny_training_set_is_learnt_from_or_refused(
    make_context: MakeContext, discs: Discs, name: str, tmp_path: Path, count: int
) -> None:
    detector = DETECTORS[name](make_context())
    if name == "isolation-forest" and count < 3:
        with pytest.raises(TrainingError, match=f"at least 3 training images, not {count}"):
            train(detector, discs(3)[:count], tmp_path)
        return
    train(detector, discs(3)[:count], tmp_path)
    scores = detector.score(discs(10, squares=True))
    assert torch.isfinite(scores).all()
    assert scores[1::2].mean() > scores[0::2].mean()


def test_no_training_image_and_equal_ones(make_context: MakeContext, discs: Discs, name: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no training image|at least 3 training images"):
        DETECTORS[name](make_context()).fit(Pictures(discs(2)[:0]), Lent())
    detector = DETECTORS[name](make_context())
    train(detector, discs(1).repeat(5, 1, 1, 1), tmp_path)
    assert torch.isfinite(detector.score(discs(4, squares=True))).all()


@pytest.mark.parametrize(("size", "channels"), [(48, 1), (100, 3)])
def test_other_sizes_and_one_channel(
    make_context: MakeContext, discs: Discs, name: str, tmp_path: Path, size: int, channels: int
) -> None:
    detector = DETECTORS[name](make_context(image_size=size, channels=channels))
    train(detector, discs(3, size=size)[:, :channels], tmp_path)
    images = discs(2, squares=True, size=size)
    scores = detector.score(images[:, :channels])
    assert torch.isfinite(scores).all()
    assert torch.equal(scores, detector.score(images))  # one channel counts as three equal ones
    shown = detector.anomaly_map(images)
    assert shown is None or shown.shape == (2, size, size)


def test_it_stops_when_asked_to(make_context: MakeContext, discs: Discs, name: str, tmp_path: Path) -> None:
    heard: list[str] = []
    detector = DETECTORS[name](make_context())
    train(detector, discs(9), tmp_path, listen=lambda moment: heard.append(moment.phase))
    assert heard[:3] == ["features"] * 3
    for step in range(len(heard)):
        asked = iter(range(1000))
        with pytest.raises(InterruptedRunError, match=f"stopped during {heard[step]}"):
            train(DETECTORS[name](make_context()), discs(9), tmp_path, stop=lambda step=step, asked=asked: next(asked) >= step)
        if step == 3:
            break


def test_weights_times_a_number_change_no_score(make_context: MakeContext, discs: Discs, name: str, tmp_path: Path) -> None:
    scores = []
    for factor in (1.0, 7.0):
        context = make_context(dtype=torch.float64)
        detector = DETECTORS[name](context)
        backbone: Backbone = detector.backbone  # type: ignore[attr-defined]
        plain = backbone.network
        backbone.network = Louder(plain, factor)  # type: ignore[assignment]
        detector.fit(Pictures(discs(8).double()), Lent())
        scores.append(detector.score(discs(6, squares=True).double()))
    torch.testing.assert_close(scores[1], scores[0], rtol=1e-6, atol=1e-9)


class Louder(nn.Module):
    """Features times a number, another at each depth."""

    def __init__(self, network: nn.Module, factor: float) -> None:
        super().__init__()
        self.network = network
        self.factor = factor

    def outputs(self, images: Tensor, depths: list[str]) -> list[Tensor]:
        found: list[Tensor] = self.network.outputs(images, depths)  # type: ignore[operator]
        return [depth * self.factor**place for place, depth in enumerate(found, 1)]


LOADING = """
import sys, torch
from safetensors.torch import load_file, save_file
from adbench_harness.api import BuildContext
from adbench_harness import registry
from adbench_models import vgg16
vgg16.BLOCKS = ((4, 4), (8, 8), (12, 12, 12), (16, 16, 16), (16, 16, 16))
torch.set_num_threads(2)
images, scores = load_file(sys.argv[1] + "/images.safetensors")["images"], {}
for name in sys.argv[2:]:
    spec = registry.model(name).spec
    context = BuildContext(torch.device("cpu"), torch.float32, 3, 32, torch.Generator().manual_seed(1))
    options = {"backbone": "random", **({"features": "20"} if name == "padim" else {})}
    detector = spec.build(spec.options.parse(options), context)
    detector.load(load_file(f"{sys.argv[1]}/{name}.safetensors"))
    scores[name] = detector.score(images)
save_file(scores, sys.argv[1] + "/scores.safetensors")
"""


def test_all_score_alike_in_another_process_with_other_threads(make_context: MakeContext, discs: Discs, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    images = discs(10, squares=True)
    save_file({"images": images}, tmp_path / "images.safetensors")
    here = {}
    for name, build in DETECTORS.items():
        detector = build(make_context())
        detector.fit(Pictures(discs(12)), Lent())
        save_file({key: tensor.contiguous() for key, tensor in detector.state().items()}, tmp_path / f"{name}.safetensors")
        here[name] = detector.score(images)
    subprocess.run([sys.executable, "-c", LOADING, str(tmp_path), *DETECTORS], check=True)
    for name, scores in load_file(tmp_path / "scores.safetensors").items():
        spread = float(here[name].quantile(0.75) - here[name].quantile(0.25))
        assert float((scores - here[name]).abs().max()) <= 1e-5 * spread, name


@pytest.mark.gpu
def test_on_a_gpu_it_scores_as_on_a_cpu_and_whatever_its_batch(make_context: MakeContext, discs: Discs, name: str) -> None:
    gpu = torch.device("cuda", 0)
    kind = torch.float64 if name == "isolation-forest" else torch.float32
    detector = DETECTORS[name](make_context(device=gpu, dtype=kind))
    detector.fit(Pictures(discs(12).to(gpu, kind)), Lent())
    images = discs(40, squares=True).to(gpu, kind)
    there = detector.score(images)
    assert there.device == images.device
    assert torch.equal(torch.cat([detector.score(part) for part in torch.split(images, 7)]), there)
    twin = DETECTORS[name](make_context(dtype=kind))
    twin.load({key: tensor.cpu() for key, tensor in detector.state().items()})
    torch.testing.assert_close(there.cpu(), twin.score(images.cpu()), rtol=1e-3, atol=1e-4)


# --- the backbone ---


def test_depths_are_where_they_say(make_context: MakeContext) -> None:
    backbone = Backbone(BackboneOptions(backbone="random"), "block2,pool2,pool4", make_context(image_size=64))
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        found = backbone.network.outputs(images, backbone.depths)
        pools = backbone.network(images)
    assert [tuple(depth.shape[1:]) for depth in found] == [(8, 32, 32), (8, 16, 16), (16, 4, 4)]
    assert [depth.shape[1] for depth in found] == backbone.channels
    assert [depth.shape[2] for depth in found] == backbone.sides
    assert torch.equal(found[1], pools[0])
    assert torch.equal(found[2], pools[2])
    assert torch.equal(F.max_pool2d(found[0], 2), found[1])


def test_chunks_of_another_device_are_filled_up_and_cut(make_context: MakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = Backbone(BackboneOptions(backbone="random"), "pool2", make_context())
    images = torch.rand(5, 3, 32, 32)
    alone = backbone.apply(images, pooled)
    sizes = []

    def seen(features: list[Tensor]) -> Tensor:
        sizes.append(len(features[0]))
        return pooled(features)

    class Elsewhere(torch.Tensor):
        device = torch.device("cuda")

    monkeypatch.setattr(frozen_features, "CHUNK", 3)
    away = images.as_subclass(Elsewhere)
    found = backbone.apply(away, seen).as_subclass(torch.Tensor)
    assert sizes == [3, 3]
    torch.testing.assert_close(found, alone)


def test_depths_that_images_are_too_small_for_are_refused(make_context: MakeContext) -> None:
    with pytest.raises(OptionError, match="depths=pool5 needs images of 32 pixels or more, not 16"):
        PaDiM(PaDiMOptions(backbone="random", depths="pool5"), make_context(image_size=16))


def test_features_that_are_not_finite_are_refused(make_context: MakeContext) -> None:
    broken = Pictures(torch.full((2, 3, 32, 32), torch.nan))
    with pytest.raises(TrainingError, match="features of the training images are not finite"):
        DETECTORS["ocsvm"](make_context()).fit(broken, Lent())


# --- options ---


def test_options_as_typed() -> None:
    assert PaDiMOptions.parse({"depths": "pool4, block2,pool4"}).depths == "block2,pool4"
    with pytest.raises(OptionError, match=r"option depths=pool6: no depth 'pool6' \(of VGG-16"):
        PaDiMOptions.parse({"depths": "pool6"})
    with pytest.raises(OptionError, match=r"option backbone=.*gone\.pth: no such file"):
        PaDiMOptions.parse({"backbone": "/nowhere/gone.pth"})
    with pytest.raises(OptionError, match="backbone_input=trained has no meaning for a random backbone"):
        PaDiMOptions.parse({"backbone": "random", "backbone_input": "trained"})


def test_a_random_backbone_has_one_input_however_it_is_asked_for() -> None:
    short, full = ({"backbone": "random"}, {"backbone": "random", "backbone_input": "plain"})
    assert PaDiMOptions.parse(short).identity() == PaDiMOptions.parse(full).identity()
    assert PaDiMOptions.parse(short).labels() == PaDiMOptions.parse(full).labels() == {"backbone": "random"}
    assert PaDiMOptions.parse(short).identity()["backbone_input"] == "plain"
    assert PaDiMOptions().identity()["backbone_input"] == "trained"


def test_a_backbone_from_a_file_is_known_by_its_content(make_context: MakeContext, tmp_path: Path) -> None:
    torch.save(vgg16.VGG16().state_dict(), tmp_path / "mine.pth")
    words = {"backbone": str(tmp_path / "mine.pth"), "backbone_kind": "imagenet"}
    options = PaDiMOptions.parse(words)
    (label,) = options.labels().items()
    assert label[0] == "backbone"
    assert label[1].startswith("imagenet@")
    assert options.identity()["backbone_kind"] == "imagenet"
    made = PaDiM(options, make_context())
    facts = made.provenance()["backbone"]
    assert isinstance(facts, dict)
    assert set(facts) == {"kind", "values_sha256", "input"}
    assert str(facts["values_sha256"]).startswith(label[1].removeprefix("imagenet@"))
    assert "0.485" in str(facts["input"])
    assert not any("features" in key or "network" in key for key in made.state())
    with pytest.raises(Exception, match="say it with --set backbone_kind=imagenet"):
        PaDiMOptions.parse({"backbone": str(tmp_path / "mine.pth")}).identity()


# --- parts ---


def test_a_map_is_enlarged_and_smoothed_as_scipy_does(make_context: MakeContext) -> None:
    maps = torch.rand(2, 8, 8, dtype=torch.float64)
    found = Enlarge(make_context(image_size=64, dtype=torch.float64))(maps)
    large = F.interpolate(maps[:, None], size=(64, 64), mode="bilinear", align_corners=False)[:, 0]
    expected = gaussian_filter(large.numpy(), sigma=(0, 64 * 4 / 224, 64 * 4 / 224), mode="nearest")
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


def test_rows_are_drawn_once_each_and_sorted() -> None:
    assert drawn(5, 5, torch.Generator()).tolist() == [0, 1, 2, 3, 4]
    rows = drawn(100, 10, torch.Generator().manual_seed(1))
    assert len(set(rows.tolist())) == 10
    assert rows.tolist() == sorted(rows.tolist())


def test_a_feature_that_hardly_varies_does_not_decide_alone() -> None:
    features = torch.tensor([[0.0, 5.0, 1.0], [2.0, 5.0, 3.0]], dtype=torch.float64)
    scaler = Scaler.of(features, [2, 1])
    usual = (0.5) ** 0.5  # of 1 and 0
    torch.testing.assert_close(scaler.spread, torch.tensor([1.0, 0.01 * usual, 1.0], dtype=torch.float64))
    same = Scaler.of(features[:1].repeat(7, 1), [2, 1])
    torch.testing.assert_close(same.spread, torch.tensor([12.5**0.5, 12.5**0.5, 1.0], dtype=torch.float64))
    assert Scaler.of(torch.zeros(2, 3), [2, 1]).spread.tolist() == [1.0, 1.0, 1.0]
