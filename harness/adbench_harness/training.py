"""The loop: seeded, on the device, resumable, logged.

An epoch's order of images and its random generators derive from (seed, phase, epoch) alone, so going on from a checkpoint
needs no replay. Nothing is read back to the host inside an epoch: losses are summed on the device, and looked at when the
epoch ends or a checkpoint is due.

A phase lasts for a number of epochs, or until its share of a budget of images has been presented; the last epoch is then cut.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

from . import seeding
from .api import FitRules, FittedDetector, Images, InterruptedRunError, Phase, Step, TrainedDetector, TrainingError
from .checkpoint import CheckpointFile
from .device import memory_named
from .result import CurvePoint
from .time_limit import Stop

CHECKPOINT_SECONDS: Final = 30.0
"""At most about this much work is lost by a kill; short epochs share a checkpoint."""
CHECKPOINT_SHARE: Final = 20.0
"""Where a checkpoint takes long to write (a large network, a slow disk), work goes on for so many times as long."""

ROUNDING: Final = 1e-9
"""By how much shares that sum to 1 on paper may exceed it."""


@dataclass(frozen=True)
class Moment:
    """What a listener is told as work goes on."""

    phase: str
    done: int
    total: int
    losses: Mapping[str, float] = field(default_factory=dict)


Listener = Callable[[Moment], None]


@dataclass(frozen=True)
class _Length:
    """How long a phase lasts: at least one step."""

    epochs: int
    steps: int
    """Of an epoch."""
    last_steps: int
    """Of the last epoch, which a budget may cut."""

    def steps_of(self, epoch: int) -> int:
        """Steps of an epoch, counted from 0."""
        return self.last_steps if epoch == self.epochs - 1 else self.steps


@dataclass
class _Losses:
    """Sums of an epoch's losses, kept on the device. A loss need not come with every step (a GAN's generator rests)."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    """Images of the steps that gave each loss."""

    def add(self, losses: Mapping[str, Tensor], images: int) -> None:
        for name, loss in losses.items():
            weighted = loss.detach() * images
            self.sums[name] = self.sums[name] + weighted if name in self.sums else weighted
            self.counts[name] = self.counts.get(name, 0) + images

    def means(self) -> dict[str, float]:
        return {name: float(total) / self.counts[name] for name, total in self.sums.items()}


@dataclass
class Training:
    """The settings and the record of one detector's training; ``run`` does it."""

    images: Images
    rules: FitRules
    seed: int
    device: torch.device
    checkpoint: CheckpointFile
    listen: Listener = lambda moment: None
    stop: Stop = lambda: False
    curves: list[CurvePoint] = field(default_factory=list)
    epochs: dict[str, int] = field(default_factory=dict)
    steps: int = 0
    presented: int = 0
    """Training images presented, summed over phases."""
    resumed: int = 0
    seconds: float = 0.0
    """Time spent training, all attempts together."""
    _finished: dict[str, dict[str, Any]] = field(default_factory=dict)
    """State of the modules of phases that are done."""
    generator: torch.Generator = field(init=False)
    """For a detector's own draws, on the CPU; going on from a checkpoint makes the same draws in the same order."""
    _restored: set[tuple[int, str]] = field(default_factory=set)
    """Points that a detector logged before the checkpoint; it logs those between phases once more when going on."""
    _saved_at: float = 0.0
    _save_took: float = 0.0
    _lap: float = 0.0

    def __post_init__(self) -> None:
        """Start the detector's own random stream."""
        self.generator = seeding.generator(torch.device("cpu"), self.seed, "fit")

    # --- what a detector sees (FitContext) ---

    @property
    def batch_size(self) -> int:
        """The protocol's batch size."""
        return self.rules.batch_size

    def log(self, name: str, value: float, step: int = 0) -> None:
        """Keep one point of a curve, but not again what a checkpoint has brought back."""
        if (step, name) not in self._restored:
            self.curves.append(CurvePoint("fit", step, name, float(value)))

    def progress(self, done: int, total: int, what: str = "fit") -> None:
        """Show how far the work has come; raises InterruptedRunError if the user has asked to stop."""
        self.listen(Moment(what, done, total))
        if self.stop():
            raise InterruptedRunError(f"stopped during {what}; the same command does that part again")

    # --- what the harness does ---

    def run(self, detector: TrainedDetector | FittedDetector) -> None:
        """Train a detector, from its checkpoint if there is one.

        Raises:
            TrainingError: for a loss that is not finite, no training image, or memory that runs out.
            InterruptedRunError: after the checkpoint is written, if ``stop`` says so.
        """
        if len(self.images) == 0:
            raise TrainingError("there is no training image")
        self._lap = time.monotonic()
        with seeding.isolated(self.device), memory_named(self.batch_size):
            if isinstance(detector, FittedDetector):
                seeding.seed_global(self.seed, "fit")
                detector.fit(self.images, self)
                self.presented = len(self.images)
            else:
                self._run_phases(detector)
        self._count_time()

    def _count_time(self) -> None:
        now = time.monotonic()
        self.seconds, self._lap = self.seconds + now - self._lap, now

    def _run_phases(self, detector: TrainedDetector) -> None:
        saved = self._resume()
        self._saved_at = time.monotonic()
        phases = detector.phases(self.images, self)
        names: list[str] = []
        shared = 0.0
        while True:
            seeding.seed_global(self.seed, "phase", len(names))
            phase = next(phases, None)
            if phase is None:
                break
            if phase.name in names:
                raise TrainingError(f"two phases are called {phase.name!r}; checkpoints and curves tell them apart by name")
            names.append(phase.name)
            shared += phase.share
            self._check_share(phase, shared)
            if phase.name in self._finished:
                _load_modules(phase, self._finished[phase.name])
            else:
                self._run_phase(phase, saved if saved is not None and saved["phase"] == phase.name else None)
                self._finished[phase.name] = _modules_state(phase)
            for module in phase.modules.values():
                module.eval()
        if self._budget is not None and names and shared < 1 - ROUNDING:
            raise TrainingError(
                f"the phases share {shared:g} of the training budget of {self._budget} images; shares sum to 1 (Phase.share), so that every "
                "detector learns from as many"
            )

    def _resume(self) -> dict[str, Any] | None:
        saved = self.checkpoint.load()
        if saved is None:
            return None
        self._finished = saved["finished"]
        self.curves = [CurvePoint(*point) for point in saved["curves"]]
        self._restored = {(point.epoch, point.name) for point in self.curves if point.phase == "fit"}
        self.steps, self.presented, self.epochs = saved["steps"], saved["presented"], saved["epochs"]
        self.seconds, self.resumed = saved["seconds"], saved["resumed"] + 1
        return saved

    def _run_phase(self, phase: Phase, saved: dict[str, Any] | None) -> None:
        length = self._length(phase)
        if saved is not None:
            _load_modules(phase, saved["modules"])
            for name, optimiser in phase.optimisers.items():
                optimiser.load_state_dict(saved["optimisers"][name])
        for module in phase.modules.values():
            module.train()
        for epoch in range(saved["epoch"] if saved is not None else 0, length.epochs):
            at_start = saved if saved is not None and saved["epoch"] == epoch else None
            losses = self._run_epoch(phase, epoch, length, at_start)
            self.curves += [CurvePoint(phase.name, epoch, name, value) for name, value in losses.items()]
            self.epochs[phase.name] = epoch + 1
            self.listen(Moment(phase.name, epoch + 1, length.epochs, losses))

    @property
    def _budget(self) -> int | None:
        """Images to present, over all phases; None where lengths are counted in epochs."""
        return self.rules.images_presented if self.rules.epochs is None else None

    def _check_share(self, phase: Phase, shared: float) -> None:
        if self._budget is not None and not (phase.share > 0 and shared <= 1 + ROUNDING):
            raise TrainingError(
                f"phase {phase.name} asks for the share {phase.share:g} of a training budget of {self._budget} images, and the phases so far "
                f"for {shared:g}: shares are above 0 and sum to at most 1 (Phase.share)"
            )

    def _length(self, phase: Phase) -> _Length:
        steps, images = math.ceil(len(self.images) / self.batch_size), len(self.images)
        if phase.drop_last:
            steps = images // self.batch_size
            images = steps * self.batch_size
        if steps == 0:
            raise TrainingError(
                f"phase {phase.name}: {len(self.images)} training images make no full batch of {self.batch_size}; "
                "lower it with --set batch_size=N"
            )
        if self._budget is None:
            return _Length(self.rules.epochs or phase.epochs, steps, steps)
        whole, rest = divmod(max(round(self._budget * phase.share), 1), images)
        last = math.ceil(rest / self.batch_size)
        return _Length(whole + 1, steps, last) if last else _Length(whole, steps, steps)

    def _run_epoch(self, phase: Phase, epoch: int, length: _Length, saved: dict[str, Any] | None) -> dict[str, float]:
        """Mean of each loss over the images of the epoch's steps that gave it."""
        random = seeding.generator(self.device, self.seed, phase.name, epoch, "step")
        seeding.seed_global(self.seed, phase.name, epoch, "global")
        losses = _Losses()
        first = 0
        if saved is not None and saved["step"] > 0:
            first = saved["step"]
            losses = _Losses({name: total.to(self.device) for name, total in saved["sums"].items()}, saved["counts"])
            random.set_state(saved["random"])
            seeding.restore_global(saved["global"], self.device)
        batches = self._batches(phase, epoch, length.steps_of(epoch))
        for index in range(first, len(batches)):
            indices = batches[index]
            losses.add(phase.step(Step(self.images.batch(indices), indices, index, epoch, random)), len(indices))
            self.steps += 1
            self.presented += len(indices)
            self._maybe_save(phase, epoch, length.epochs, index + 1, len(batches), losses, random)
        return self._finite(phase, epoch, losses)

    def _batches(self, phase: Phase, epoch: int, steps: int) -> Sequence[Tensor]:
        order = torch.randperm(
            len(self.images), generator=seeding.generator(torch.device("cpu"), self.seed, phase.name, epoch, "order")
        )
        return torch.split(order.to(self.device), self.batch_size)[:steps]

    def _finite(self, phase: Phase, epoch: int, losses: _Losses) -> dict[str, float]:
        means = losses.means()
        bad = [name for name, value in means.items() if not math.isfinite(value)]
        if bad:
            last = {point.name: point.value for point in self.curves if point.phase == phase.name}
            words = ", ".join(f"{name} {last[name]:.6g}" if name in last else f"{name} (none yet)" for name in bad)
            raise TrainingError(
                f"{', '.join(bad)} is not finite in phase {phase.name}, epoch {epoch + 1}; last finite values: {words}; "
                f"{self._what_is_kept()}"
            )
        return means

    def _what_is_kept(self) -> str:
        if not self.checkpoint.path.exists():
            return f"no checkpoint had been due yet (one is every {CHECKPOINT_SECONDS:g} s)"
        return f"the last checkpoint is kept in {self.checkpoint.path.parent}"

    def _maybe_save(
        self,
        phase: Phase,
        epoch: int,
        epochs: int,
        step: int,
        steps: int,
        losses: _Losses,
        random: torch.Generator,
    ) -> None:
        """Save a checkpoint when one is due or a stop is asked for; not at the very end, where the run itself is stored."""
        stopping = self.stop()
        due = time.monotonic() - self._saved_at >= max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * self._save_took)
        if not (stopping or due):
            return
        self._finite(phase, epoch, losses)  # never keep a state that has gone wrong
        self._count_time()
        started = time.monotonic()
        self.checkpoint.save(
            {
                "phase": phase.name,
                "epoch": epoch,
                "step": step,
                "sums": {name: total.cpu() for name, total in losses.sums.items()},
                "counts": losses.counts,
                "random": random.get_state(),
                "global": seeding.global_state(self.device),
                "modules": _modules_state(phase),
                "optimisers": {name: optimiser.state_dict() for name, optimiser in phase.optimisers.items()},
                "finished": self._finished,
                "curves": [(p.phase, p.epoch, p.name, p.value) for p in self.curves],
                "steps": self.steps,
                "presented": self.presented,
                "epochs": self.epochs,
                "resumed": self.resumed,
                "seconds": self.seconds,
            }
        )
        self._saved_at = time.monotonic()
        self._save_took = self._saved_at - started
        if stopping:
            raise InterruptedRunError(
                f"stopped in phase {phase.name}, epoch {epoch + 1} of {epochs}, step {step} of {steps}; the same command goes on from there"
            )


def _modules_state(phase: Phase) -> dict[str, Any]:
    return {
        # A copy even on a CPU: a later phase may go on changing the same module.
        name: {key: tensor.detach().to("cpu", copy=True) for key, tensor in module.state_dict().items()}
        for name, module in phase.modules.items()
    }


def _load_modules(phase: Phase, state: Mapping[str, Any]) -> None:
    for name, module in phase.modules.items():
        module.load_state_dict(state[name])
