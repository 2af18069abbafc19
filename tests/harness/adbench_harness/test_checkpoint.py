from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from adbench_harness import training
from adbench_harness.api import FitContext, Images, InterruptedRunError, Phase, StoreError, TrainingError
from adbench_harness.checkpoint import KEYS, CheckpointFile
from adbench_harness.device import describe
from adbench_harness.training import Training

CPU = torch.device("cpu")

Make = Callable[..., Training]


def test_a_module_that_two_phases_share_is_restored_as_the_first_left_it(make: Make, recorder: Any, tmp_path: Path) -> None:
    class Shared(recorder):  # type: ignore[misc]  # handed over by a fixture
        """Its second phase goes on training what the first has trained, from a constant that was computed between them."""

        def phases(self, images: Images, context: FitContext) -> Iterator[Phase]:
            yield self._phase("one", self.first)
            self.between = float(self.first.weight.detach().mean())
            context.log("between", self.between)
            with torch.no_grad():
                self.first.bias.add_(self.between)
            yield self._phase("two", self.first)

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


@pytest.mark.parametrize("after", range(1, 18))
def test_going_on_from_any_step_ends_bit_for_bit_as_without_a_stop(make: Make, after: int, recorder: Any) -> None:
    whole = make()
    uninterrupted = recorder()
    whole.run(uninterrupted)

    stopped = recorder()
    with pytest.raises(InterruptedRunError, match="the same command goes on from there"):
        make(stop=lambda: len(stopped.steps) >= after).run(stopped)
    resumed = recorder()
    torch.manual_seed(99)
    rest = make()
    rest.run(resumed)

    assert stopped.steps + resumed.steps == uninterrupted.steps
    for name, tensor in uninterrupted.state().items():
        assert torch.equal(tensor, resumed.state()[name])
    assert rest.curves == whole.curves
    assert (rest.steps, rest.presented, rest.epochs, rest.resumed) == (whole.steps, whole.presented, whole.epochs, 1)


def test_where_a_checkpoint_takes_long_they_are_rarer(
    make: Make, monkeypatch: pytest.MonkeyPatch, recorder: Any, noise: Any
) -> None:
    """A clock that stands still but for a second a step and four a checkpoint; one is due every ten times as long as it takes."""
    now, saved = [0.0], []

    def save(self: CheckpointFile, content: Mapping[str, Any]) -> None:
        saved.append(now[0])
        now[0] += 4

    class Ticking(noise):  # type: ignore[misc]  # a class that a fixture hands over
        def batch(self, indices: Tensor) -> Tensor:
            now[0] += 1
            chosen: Tensor = super().batch(indices)
            return chosen

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(CheckpointFile, "save", save)
    monkeypatch.setattr(training, "CHECKPOINT_SHARE", 10.0)
    make(images=Ticking()).run(recorder(epochs=20))  # 120 steps
    assert saved == [30.0, 74.0, 118.0]


def test_checkpoints_are_saved_when_due(make: Make, monkeypatch: pytest.MonkeyPatch, recorder: Any) -> None:
    saved: list[tuple[str, int, int]] = []
    monkeypatch.setattr(
        CheckpointFile, "save", lambda self, content: saved.append((content["phase"], content["epoch"], content["step"]))
    )
    make().run(recorder(epochs=1))
    assert saved == []
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(training, "CHECKPOINT_SHARE", 0)
    make().run(recorder(epochs=1))
    assert saved == [(name, 0, step) for name in ("first", "second") for step in (1, 2, 3)]


def test_a_loss_that_is_not_finite_names_phase_epoch_and_last_values_and_keeps_the_checkpoint(make: Make, recorder: Any) -> None:
    early = recorder()
    with pytest.raises(InterruptedRunError):
        make(stop=lambda: len(early.steps) >= 2).run(early)
    kept = make().checkpoint.path.read_bytes()
    with pytest.raises(
        TrainingError, match=r"loss is not finite in phase first, epoch 2; last finite values: loss \d\.\d+; the last checkpoint"
    ):
        make().run(recorder(bad_epoch=1))
    assert make().checkpoint.path.read_bytes() == kept


def test_no_checkpoint_is_made_of_a_state_that_has_gone_wrong(make: Make, monkeypatch: pytest.MonkeyPatch, recorder: Any) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    with pytest.raises(TrainingError, match=r"epoch 1; last finite values: loss .none yet."):
        make().run(recorder(bad_epoch=0))
    assert not make().checkpoint.path.exists()


def test_a_checkpoint_of_other_conditions_is_refused(make: Make, recorder: Any) -> None:
    stopped = recorder()
    with pytest.raises(InterruptedRunError):
        make(stop=lambda: len(stopped.steps) >= 2).run(stopped)
    other = make()
    threads = other.checkpoint.compute.threads
    changed = other.checkpoint.compute.model_copy(update={"threads": threads + 1})
    with pytest.raises(
        TrainingError, match=rf"threads {threads} is now {threads + 1}.*say --if-moved go-on, or start over with --fresh"
    ):
        make(checkpoint=CheckpointFile(other.checkpoint.path, changed)).run(recorder())


def test_a_checkpoint_of_other_conditions_is_gone_on_from_or_started_over_if_that_is_said(make: Make, recorder: Any) -> None:
    whole = make()
    whole.run(recorder())
    stopped = recorder()
    with pytest.raises(InterruptedRunError):
        make(stop=lambda: len(stopped.steps) >= 2).run(stopped)
    path, compute = whole.checkpoint.path, whole.checkpoint.compute
    moved = compute.model_copy(update={"threads": compute.threads + 1, "device_name": "another"})

    over = make(checkpoint=CheckpointFile(path, moved, "restart"))
    over.run(all_again := recorder())
    assert (over.resumed, len(all_again.steps)) == (0, whole.steps)
    assert over.checkpoint.moved[0].startswith("started over, since its checkpoint was made under other conditions (device_name ")

    again = recorder()
    rest = make(checkpoint=CheckpointFile(path, moved, "go-on"), stop=lambda: len(again.steps) >= 1)
    with pytest.raises(InterruptedRunError):
        rest.run(again)
    words = f"device_name {compute.device_name!r} is now 'another'; threads {compute.threads} is now {compute.threads + 1}"
    assert rest.checkpoint.moved == [f"went on under other conditions: {words}"]
    last = make(checkpoint=CheckpointFile(path, moved))
    last.run(recorder())
    assert last.checkpoint.moved == rest.checkpoint.moved  # what once happened is said at the end
    assert (last.steps, last.resumed) == (whole.steps, 2)


def test_a_checkpoint_of_another_kind_of_device_is_never_gone_on_from(make: Make, recorder: Any) -> None:
    stopped = recorder()
    with pytest.raises(InterruptedRunError):
        make(stop=lambda: len(stopped.steps) >= 2).run(stopped)
    file = make().checkpoint
    gpu = file.compute.model_copy(update={"device": "cuda:0"})
    with pytest.raises(TrainingError, match=r"device 'cpu' is now 'cuda'.*go on under the old ones, start over with --fresh"):
        make(checkpoint=CheckpointFile(file.path, gpu, "go-on")).run(recorder())


def test_a_spoilt_checkpoint_is_told(make: Make, recorder: Any) -> None:
    path = make().checkpoint.path
    path.parent.mkdir()
    path.write_bytes(b"no checkpoint")
    with pytest.raises(TrainingError, match=r"can't be read .* start over with --fresh"):
        make().run(recorder())


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
