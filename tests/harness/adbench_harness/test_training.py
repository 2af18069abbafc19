from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from adbench_harness import training
from adbench_harness.api import (
    FitContext,
    FitRules,
    FittedDetector,
    Images,
    InterruptedRunError,
    Phase,
    Step,
    StoreError,
    TrainedDetector,
    TrainingError,
)
from adbench_harness.checkpoint import KEYS, CheckpointFile
from adbench_harness.device import describe
from adbench_harness.training import Moment, Training

CPU = torch.device("cpu")
RULES = FitRules(batch_size=4, image_size=16)


class Noise:
    """Ten images of noise."""

    def __init__(self, count: int = 10) -> None:
        self.pixels = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(3))

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, indices: Tensor) -> Tensor:
        return self.pixels[indices]


class Recorder(TrainedDetector):
    """Notes what each step was given; its two phases have weights, an optimiser with state, dropout and noise."""

    def __init__(self, epochs: int = 3, drop_last: bool = False, bad_epoch: int | None = None) -> None:
        self.epochs, self.drop_last, self.bad_epoch = epochs, drop_last, bad_epoch
        torch.manual_seed(0)
        self.first, self.second = torch.nn.Linear(64, 4), torch.nn.Linear(64, 4)
        self.steps: list[tuple[str, int, int, list[int]]] = []

    def phases(self, images: Images, context: FitContext) -> Iterator[Phase]:
        yield self._phase("first", self.first)
        with torch.no_grad():  # the second phase needs what the first has trained
            self.second.weight.copy_(self.first.weight * 2)
        yield self._phase("second", self.second)

    def _phase(self, name: str, layer: torch.nn.Linear) -> Phase:
        optimiser = torch.optim.Adam(layer.parameters(), lr=0.05)

        def step(batch: Step) -> Mapping[str, Tensor]:
            self.steps.append((name, batch.epoch, batch.index, batch.indices.tolist()))
            x = batch.images.flatten(1)
            noise = torch.rand(len(x), 4, generator=batch.generator)
            loss = (torch.dropout(layer(x), 0.5, train=True) - noise).square().mean()
            if self.bad_epoch == batch.epoch:
                loss = loss * torch.nan
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            return {"loss": loss.detach()}

        return Phase(name, {name: layer}, {name: optimiser}, self.epochs, step, self.drop_last)

    def score(self, images: Tensor) -> Tensor:
        scores: Tensor = self.second(images.flatten(1)).sum(dim=1)
        return scores

    def state(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.second.state_dict().items()}

    def load(self, state: Mapping[str, Tensor]) -> None: ...


Make = Callable[..., Training]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(**changes: Any) -> Training:
        file = CheckpointFile(tmp_path / "running" / "checkpoint.pt", describe(CPU, "float32"))
        plain: dict[str, Any] = {"images": Noise(), "rules": RULES, "seed": 1, "device": CPU, "checkpoint": file}
        return Training(**{**plain, **changes})

    return made


class Seldom(TrainedDetector):
    """Its second loss comes with every other step only, as a GAN's generator loss does."""

    layer = torch.nn.Linear(1, 1)

    def phases(self, images: Images, context: FitContext) -> Iterator[Phase]:
        def step(batch: Step) -> Mapping[str, Tensor]:
            losses = {"always": torch.tensor(1.0 + batch.index)}
            return losses if batch.index % 2 else losses | {"seldom": torch.tensor(10.0 + batch.index)}

        yield Phase("p", {"l": self.layer}, {"o": torch.optim.SGD(self.layer.parameters(), lr=0.0)}, 1, step)

    def score(self, images: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3))

    def state(self) -> dict[str, Tensor]:
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None: ...


def test_a_loss_that_comes_with_some_steps_is_averaged_over_their_images(make: Make) -> None:
    done = make()  # batches of 4, 4 and 2
    done.run(Seldom())
    assert {point.name: point.value for point in done.curves} == {
        "always": pytest.approx((1 * 4 + 2 * 4 + 3 * 2) / 10),
        "seldom": pytest.approx((10 * 4 + 12 * 2) / 6),
    }


def test_it_is_averaged_alike_when_the_epoch_was_interrupted(make: Make) -> None:
    asked = iter(range(10))
    with pytest.raises(InterruptedRunError):
        make(stop=lambda: next(asked) == 1).run(Seldom())
    again = make()
    again.run(Seldom())
    assert again.resumed == 1
    assert {point.name: point.value for point in again.curves} == {"always": pytest.approx(1.8), "seldom": pytest.approx(64 / 6)}


class Shared(Recorder):
    """Its second phase goes on training what the first has trained, from a constant that was computed between them."""

    def phases(self, images: Images, context: FitContext) -> Iterator[Phase]:
        yield self._phase("one", self.first)
        self.between = float(self.first.weight.detach().mean())
        context.log("between", self.between)
        with torch.no_grad():
            self.first.bias.add_(self.between)
        yield self._phase("two", self.first)


def test_a_module_that_two_phases_share_is_restored_as_the_first_left_it(make: Make, tmp_path: Path) -> None:
    whole, detector = make(checkpoint=CheckpointFile(tmp_path / "whole.pt", describe(CPU, "float32"))), Shared()
    whole.run(detector)
    asked = iter(range(100))
    with pytest.raises(InterruptedRunError):
        make(stop=lambda: next(asked) == 11).run(Shared())  # in the second phase: the first has nine steps
    again, gone_on = make(), Shared()
    again.run(gone_on)
    assert gone_on.between == detector.between
    assert torch.equal(gone_on.first.weight, detector.first.weight)
    assert [point for point in again.curves if point.name == "between"] == [
        point for point in whole.curves if point.name == "between"
    ]


def test_after_a_phase_its_modules_are_in_eval_mode(make: Make) -> None:
    detector = Recorder()
    make().run(detector)
    assert not detector.first.training
    assert not detector.second.training


def test_every_epoch_presents_every_image_once_in_an_order_of_its_own(make: Make) -> None:
    detector = Recorder()
    done = make()
    done.run(detector)
    orders = [
        [image for s in detector.steps if s[:2] == (name, epoch) for image in s[3]]
        for name in ("first", "second")
        for epoch in range(3)
    ]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len({tuple(order) for order in orders}) == 6
    assert [len(s[3]) for s in detector.steps[:3]] == [4, 4, 2]
    assert (done.steps, done.presented, done.epochs) == (18, 60, {"first": 3, "second": 3})
    assert [(p.phase, p.epoch, p.name) for p in done.curves] == [
        (name, e, "loss") for name in ("first", "second") for e in range(3)
    ]


def test_an_incomplete_batch_can_be_dropped(make: Make) -> None:
    detector = Recorder(epochs=1, drop_last=True)
    make().run(detector)
    assert [len(s[3]) for s in detector.steps] == [4, 4, 4, 4]
    with pytest.raises(TrainingError, match=r"10 training images make no full batch of 16; lower it with --set batch_size=N"):
        make(rules=FitRules(batch_size=16)).run(Recorder(drop_last=True))


def test_a_protocol_may_set_the_length(make: Make) -> None:
    done = make(rules=FitRules(batch_size=4, epochs=2))
    done.run(Recorder(epochs=7))
    assert done.epochs == {"first": 2, "second": 2}


def test_the_seed_decides_everything_and_the_world_outside_nothing(make: Make) -> None:
    states = []
    for seed, outside in ((1, 10), (1, 20), (2, 10)):
        detector = Recorder()
        torch.manual_seed(outside)
        make(seed=seed).run(detector)
        states.append(detector.state()["weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_training_leaves_the_global_random_state_alone(make: Make) -> None:
    detector = Recorder()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    make().run(detector)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("after", range(1, 18))
def test_going_on_from_any_step_ends_bit_for_bit_as_without_a_stop(make: Make, after: int) -> None:
    whole = make()
    uninterrupted = Recorder()
    whole.run(uninterrupted)

    stopped = Recorder()
    with pytest.raises(InterruptedRunError, match="the same command goes on from there"):
        make(stop=lambda: len(stopped.steps) >= after).run(stopped)
    resumed = Recorder()
    torch.manual_seed(99)
    rest = make()
    rest.run(resumed)

    assert stopped.steps + resumed.steps == uninterrupted.steps
    for name, tensor in uninterrupted.state().items():
        assert torch.equal(tensor, resumed.state()[name])
    assert rest.curves == whole.curves
    assert (rest.steps, rest.presented, rest.epochs, rest.resumed) == (whole.steps, whole.presented, whole.epochs, 1)


def test_where_a_checkpoint_takes_long_they_are_rarer(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stands still but for a second a step and four a checkpoint; one is due every ten times as long as it takes."""
    now, saved = [0.0], []

    def save(self: CheckpointFile, content: Mapping[str, Any]) -> None:
        saved.append(now[0])
        now[0] += 4

    class Ticking(Noise):
        def batch(self, indices: Tensor) -> Tensor:
            now[0] += 1
            return super().batch(indices)

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(CheckpointFile, "save", save)
    monkeypatch.setattr(training, "CHECKPOINT_SHARE", 10.0)
    make(images=Ticking()).run(Recorder(epochs=20))  # 120 steps
    assert saved == [30.0, 74.0, 118.0]


def test_checkpoints_are_saved_when_due(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[tuple[str, int, int]] = []
    monkeypatch.setattr(
        CheckpointFile, "save", lambda self, content: saved.append((content["phase"], content["epoch"], content["step"]))
    )
    make().run(Recorder(epochs=1))
    assert saved == []
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(training, "CHECKPOINT_SHARE", 0)
    make().run(Recorder(epochs=1))
    assert saved == [(name, 0, step) for name in ("first", "second") for step in (1, 2, 3)]


def test_a_loss_that_is_not_finite_names_phase_epoch_and_last_values_and_keeps_the_checkpoint(make: Make) -> None:
    early = Recorder()
    with pytest.raises(InterruptedRunError):
        make(stop=lambda: len(early.steps) >= 2).run(early)
    kept = make().checkpoint.path.read_bytes()
    with pytest.raises(
        TrainingError, match=r"loss is not finite in phase first, epoch 2; last finite values: loss \d\.\d+; the last checkpoint"
    ):
        make().run(Recorder(bad_epoch=1))
    assert make().checkpoint.path.read_bytes() == kept


def test_no_checkpoint_is_made_of_a_state_that_has_gone_wrong(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    with pytest.raises(TrainingError, match=r"epoch 1; last finite values: loss .none yet."):
        make().run(Recorder(bad_epoch=0))
    assert not make().checkpoint.path.exists()


def test_a_checkpoint_of_other_conditions_is_refused(make: Make) -> None:
    stopped = Recorder()
    with pytest.raises(InterruptedRunError):
        make(stop=lambda: len(stopped.steps) >= 2).run(stopped)
    other = make()
    threads = other.checkpoint.compute.threads
    changed = other.checkpoint.compute.model_copy(update={"threads": threads + 1})
    with pytest.raises(TrainingError, match=rf"threads {threads} is now {threads + 1}.*or start over with --fresh"):
        make(checkpoint=CheckpointFile(other.checkpoint.path, changed)).run(Recorder())


def test_a_spoilt_checkpoint_is_told(make: Make) -> None:
    path = make().checkpoint.path
    path.parent.mkdir()
    path.write_bytes(b"no checkpoint")
    with pytest.raises(TrainingError, match=r"can't be read .* start over with --fresh"):
        make().run(Recorder())


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    file = make().checkpoint
    file.save(dict.fromkeys(KEYS, 1))

    def full(content: object, stream: object) -> None:
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(StoreError, match=r"cannot write checkpoint .*free space, then run again"):
        file.save(dict.fromkeys(KEYS, 2))
    monkeypatch.undo()
    content = file.load()
    assert content is not None
    assert content["step"] == 1
    assert [path.name for path in file.path.parent.iterdir()] == ["checkpoint.pt"]


def test_phases_must_have_names_of_their_own(make: Make) -> None:
    class Twice(Recorder):
        def phases(self, images: Images, context: FitContext) -> Iterator[Phase]:
            yield self._phase("same", self.first)
            yield self._phase("same", self.second)

    with pytest.raises(TrainingError, match="two phases are called 'same'"):
        make().run(Twice())


def test_a_detector_s_own_draws_go_on_and_come_again_with_the_seed(make: Make) -> None:
    draws = []
    for seed in (1, 1, 2):
        context = make(seed=seed)
        draws.append([float(torch.rand(1, generator=context.generator)) for _ in range(3)])
    assert len(set(draws[0])) == 3
    assert draws[0] == draws[1] != draws[2]


def test_listeners_hear_each_epoch_with_its_losses(make: Make) -> None:
    heard: list[Moment] = []
    make(listen=heard.append).run(Recorder())
    assert [(m.phase, m.done, m.total) for m in heard] == [(name, e, 3) for name in ("first", "second") for e in (1, 2, 3)]
    assert all(m.losses["loss"] > 0 for m in heard)


def test_no_training_image_and_too_little_memory_are_said(make: Make) -> None:
    with pytest.raises(TrainingError, match="no training image"):
        make(images=Noise(0)).run(Recorder())

    class Hungry(Recorder):
        def _phase(self, name: str, layer: torch.nn.Linear) -> Phase:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(TrainingError, match="out of memory at batch size 4; lower it with --set batch_size=N"):
        make().run(Hungry())


class Mean(FittedDetector):
    """The mean image, learnt in one go."""

    def fit(self, images: Images, context: FitContext) -> None:
        for image in range(len(images)):
            context.progress(image, len(images))
            context.log("seen", image, image)
        self.drawn = torch.rand(2, generator=context.generator)
        self.mean = images.batch(torch.arange(len(images))).mean(dim=0)

    def score(self, images: Tensor) -> Tensor:
        return (images - self.mean).square().flatten(1).mean(dim=1)

    def state(self) -> dict[str, Tensor]:
        return {"mean": self.mean}

    def load(self, state: Mapping[str, Tensor]) -> None:
        self.mean = state["mean"]


def test_a_detector_that_fits_itself_logs_shows_progress_and_can_be_stopped(make: Make) -> None:
    heard: list[Moment] = []
    done, detector = make(listen=heard.append), Mean()
    done.run(detector)
    assert [(p.phase, p.epoch, p.name, p.value) for p in done.curves][:2] == [("fit", 0, "seen", 0.0), ("fit", 1, "seen", 1.0)]
    assert (len(heard), done.presented) == (10, 10)
    again = Mean()
    make().run(again)
    assert torch.equal(detector.drawn, again.drawn)
    with pytest.raises(InterruptedRunError, match="stopped during fit"):
        make(stop=lambda: True).run(Mean())


@pytest.mark.gpu
def test_on_a_gpu_a_run_can_be_stopped_and_gone_on(make: Make) -> None:
    """A GPU's sums may differ in the last bits; the order of images and the random draws may not."""
    device = torch.device("cuda", 0)

    class OnGpu(Noise):
        def batch(self, indices: Tensor) -> Tensor:
            return self.pixels.to(device)[indices]

    class GpuRecorder(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.first.to(device)
            self.second.to(device)

        def _phase(self, name: str, layer: torch.nn.Linear) -> Phase:
            optimiser = torch.optim.Adam(layer.parameters(), lr=0.05)

            def step(batch: Step) -> Mapping[str, Tensor]:
                self.steps.append((name, batch.epoch, batch.index, batch.indices.tolist()))
                noise = torch.rand(len(batch.images), 4, generator=batch.generator, device=device)
                loss = (torch.dropout(layer(batch.images.flatten(1)), 0.5, train=True) - noise).square().mean()
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
                return {"loss": loss.detach()}

            return Phase(name, {name: layer}, {name: optimiser}, self.epochs, step)

    on_gpu: dict[str, Any] = {"images": OnGpu(), "device": device}
    whole = GpuRecorder()
    make(**on_gpu).run(whole)
    stopped, resumed = GpuRecorder(), GpuRecorder()
    with pytest.raises(InterruptedRunError):
        make(**on_gpu, stop=lambda: len(stopped.steps) >= 4).run(stopped)
    make(**on_gpu).run(resumed)
    assert stopped.steps + resumed.steps == whole.steps
    torch.testing.assert_close(resumed.state()["weight"], whole.state()["weight"], rtol=1e-5, atol=1e-6)


@pytest.mark.gpu
def test_an_epoch_reads_nothing_back_from_the_gpu(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cuda", 0)
    pixels = Noise().pixels.to(device)

    class OnGpu(Noise):
        def batch(self, indices: Tensor) -> Tensor:
            return pixels[indices]

    layer = torch.nn.Linear(64, 4).to(device)
    optimiser = torch.optim.Adam(layer.parameters(), capturable=True)

    def step(batch: Step) -> Mapping[str, Tensor]:
        loss = layer(batch.images.flatten(1)).square().mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        return {"loss": loss.detach()}

    run = make(images=OnGpu(), device=device)
    phase = Phase("p", {"l": layer}, {"o": optimiser}, 1, step)
    real_finite = run._finite

    def finite(phase: Phase, epoch: int, losses: Any) -> dict[str, float]:
        torch.cuda.set_sync_debug_mode("default")  # the epoch is over; now values are read
        return real_finite(phase, epoch, losses)

    monkeypatch.setattr(run, "_finite", finite)
    batches = list(run._batches(phase, 0))
    monkeypatch.setattr(run, "_batches", lambda *_: iter(batches))
    torch.cuda.set_sync_debug_mode("error")
    try:
        run._run_epoch(phase, 0, 1, None)
    finally:
        torch.cuda.set_sync_debug_mode("default")
