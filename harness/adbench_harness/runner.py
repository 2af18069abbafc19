"""One run, from a cell to a run folder: the only place that composes the stages."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from . import examples, locating
from .api import AdbenchError, InterruptedRunError, Sample, Subset
from .building import build_detector
from .cards import dataset_card, model_card, protocol_card
from .checkpoint import CheckpointFile, IfMoved
from .data.images import DeviceImages
from .data.prepare import Prepared, prepare
from .device import DTYPES, Compute, choose_device, describe, memory_named, peak_memory, reproducible
from .home import Home, Results, make_folder
from .locking import claimed
from .manifest import Manifest, Pixels
from .placing import set_aside
from .plan import Plan
from .provenance import environment
from .registry import blamed
from .result import Examples, Learnt, Scores, find_run, read_manifest, write_run
from .retention import KeepWeights, remove, superseded_weights
from .scoring import score_images
from .time_limit import Stop, within
from .training import Listener, Moment, Training


@dataclass(frozen=True)
class Outcome:
    """A run that is stored."""

    manifest: Manifest
    folder: Path
    already_done: bool
    warnings: tuple[str, ...] = ()
    """What did not work and cost no figure: pictures that could not be drawn, old weights that could not be removed."""


@dataclass(frozen=True)
class Conditions:
    """Where and how a run is made; nothing here changes what it is a measurement of."""

    home: Home
    results: Results
    fresh: bool = False
    """Start over, even if there is a checkpoint."""
    keep_weights: KeepWeights = "newest"
    """Whose weights stay, of the runs of a variant; with "none" they are not even written."""
    listen: Listener = lambda moment: None
    stop: Stop = lambda: False
    time_limit: float | None = None
    """Seconds for one run; this attempt alone counts."""
    if_moved: IfMoved = "refuse"
    """What to do with a checkpoint that was made on other hardware, or with other threads or versions."""
    wait: bool = False
    """Whether to wait for a run that another process makes, rather than leave it."""


def run_one(plan: Plan, conditions: Conditions) -> Outcome:
    """Make a run, or find it done.

    Raises:
        BusyRunError: if another process makes it, and it is not to be waited for.
        AdbenchError: whatever goes wrong, in words; a checkpoint is kept.
    """
    results = conditions.results
    choose_device(plan.request.device)  # a device that is not there is said, even if there is nothing to do
    if done := _find(plan, results):
        return done
    make_folder(results.runs, "results folder")
    if conditions.wait:  # only where it was found to be made by another
        conditions.listen(Moment("waiting for another process", 0, 1))
    with claimed(plan.run_id, results, conditions.stop if conditions.wait else None), reproducible():
        if done := _find(plan, results):  # by another process, just now
            return done
        with within(conditions.time_limit, conditions.stop) as stop:
            work = Work(plan, replace(conditions, stop=stop))
            work.prepare()
            work.train()
            scores = work.score()
            work.locate()
            pictures = work.draw_examples(scores)
        if (place := results.runs / plan.run_id).exists():
            work.warnings.append(f"{place} was altered or could not be read, and is kept as {set_aside(place).name} beside it")
        with blamed("model", plan.model.source.qualified, "while its result was stored"):
            learnt = [Learnt(sample.id, sample.group) for sample in plan.samples("train")]
            folder = write_run(results.runs, work.manifest(), scores, work.training.curves, work.weights, pictures, learnt)
        work.checkpoint.remove()
        work.remove_older_weights()
    return Outcome(read_manifest(folder), folder, already_done=False, warnings=tuple(work.warnings))


def _find(plan: Plan, results: Results) -> Outcome | None:
    manifest = find_run(results.runs, plan.run_id)
    return Outcome(manifest, results.runs / plan.run_id, already_done=True) if manifest is not None else None


@dataclass
class Work:
    """The stages of one run, and what each hands to the next."""

    plan: Plan
    conditions: Conditions
    timings: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    pixels: Pixels | None = None
    """Where test images have masks, and the detector makes maps."""

    def __post_init__(self) -> None:
        """Take the device and build the detector first: what can't work fails before time is spent."""
        rules, request = self.plan.protocol.fit, self.plan.request
        self.device = choose_device(request.device)
        self.dtype = DTYPES[rules.precision]
        self.compute: Compute = describe(self.device, rules.precision)
        self.checkpoint = CheckpointFile(
            self.conditions.results.checkpoint(self.plan.run_id), self.compute, self.conditions.if_moved
        )
        if self.conditions.fresh:
            self.checkpoint.remove()
        self.detector = build_detector(self.plan.model, self.plan.options, rules, request.seed, self.device)

    def prepare(self) -> None:
        """Decode and resize every image of the split, or find them prepared."""
        with self._timed("prepare"):
            samples = self.plan.samples("train", "held_out", "test")
            self.prepared: Prepared = prepare(
                self.plan.listing, samples, self.plan.protocol.fit, self.conditions.home, self._progress("prepare")
            )

    def train(self) -> None:
        """Train the detector, and take its weights if they are to be kept."""
        conditions, images = self.conditions, self._images(self.plan.samples("train"))
        self.training = Training(
            images,
            self.plan.protocol.fit,
            self.plan.request.seed,
            self.device,
            self.checkpoint,
            conditions.listen,
            conditions.stop,
        )
        with blamed("model", self.plan.model.source.qualified, "in training"):
            self.training.run(self.detector)
        self.timings["train"] = self.training.seconds
        self.warnings += [f"{self.plan.run_id} {words}" for words in self.checkpoint.moved]
        self.weights = self._learnt() if conditions.keep_weights != "none" else None

    def score(self) -> Scores:
        """Held-out and test images each on their own: where scores depend on batch mates, the two don't mix."""
        held_out, test = self.plan.samples("held_out"), self.plan.samples("test")
        with self._timed("score"):
            values = [
                self.score_samples(held_out, self.prepared, may_be_equal=True),
                self.score_samples(test, self.prepared),
            ]
        return scores_of(held_out, test, np.concatenate(values))

    def score_samples(self, samples: list[Sample], prepared: Prepared, may_be_equal: bool = False) -> NDArray[np.float64]:
        """One score a sample, in their order; ``prepared`` holds their images."""
        plan, batch = self.plan, self.plan.protocol.fit.batch_size
        if not samples:
            return np.empty(0)
        with blamed("model", plan.model.source.qualified, "in scoring"), memory_named(batch):
            images = DeviceImages(prepared, [sample.id for sample in samples], self.device, self.dtype)
            listen = self._progress("score")
            return score_images(self.detector, images, batch, self.device, listen, plan.request.seed, may_be_equal)

    def locate(self) -> None:
        """Whether the detector finds the place. Its scores don't depend on that, so one whose maps can't be used keeps its run."""
        plan, rules = self.plan, self.plan.protocol.fit
        masked = locating.choose(plan.dataset.spec.name, plan.request.split, plan.samples("test"), rules.image_size)
        if masked is None or self.detector.transductive is not None:
            return
        blame = blamed("model", plan.model.source.qualified, "while its anomaly maps were compared with masks")
        images, listen = self._images(masked.samples), self._progress("locate")
        try:
            with self._timed("locate"), blame, memory_named(rules.batch_size):
                self.pixels = locating.locate(
                    self.detector, images, masked, plan.listing, rules.batch_size, self.device, plan.request.seed, listen
                )
        except InterruptedRunError:
            raise
        except AdbenchError as error:
            self.warnings.append(f"{plan.run_id} is stored without figures over pixels: {error}")
        if self.pixels is None:
            self.timings.pop("locate", None)

    def draw_examples(self, scores: Scores) -> Examples | None:
        """Pictures for people. No figure depends on them, so a detector that fails to make them keeps its run."""
        plan, batch = self.plan, self.plan.protocol.fit.batch_size
        chosen = examples.choose(plan.dataset.spec.name, plan.request.split, plan.samples("test"))
        values = dict(zip(scores.image, map(float, scores.score), strict=True))
        blame = blamed("model", plan.model.source.qualified, "while examples were drawn")
        try:
            with self._timed("examples"), blame, memory_named(batch):
                images = self._images(chosen)
                return examples.draw(self.detector, images, chosen, values, batch, plan.request.seed, self.device)
        except AdbenchError as error:
            self.warnings.append(f"{plan.run_id} is stored without example pictures: {error}")
        return None

    def remove_older_weights(self) -> None:
        """Once the run is stored. Weights that can't be removed only take up space."""
        if self.conditions.keep_weights != "newest":
            return
        results = self.conditions.results
        for item in superseded_weights(results, "newest", self.plan.cell):
            try:
                remove(results, item)
            except OSError as error:
                self.warnings.append(f"cannot remove {item.path}, which newer weights replace: {error.strerror or error}")

    def manifest(self) -> Manifest:
        """Everything about the run, once it is made."""
        plan, detector = self.plan, self.detector
        return Manifest(
            run_id=plan.run_id,
            cell=plan.cell,
            variant=plan.variant,
            command=plan.request.command,
            created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            protocol=protocol_card(plan),
            dataset=dataset_card(plan),
            model=model_card(
                plan.model.spec,
                detector.parameters(),
                detector.provenance(),
                detector.transductive.reason if detector.transductive is not None else None,
            ),
            plugins={kind: plugin.model_dump(mode="json") for kind, plugin in plan.plugins.items()},
            compute={**self.compute.model_dump(mode="json"), "peak_memory_bytes": peak_memory(self.device)},
            environment=environment(),
            timings={stage: round(seconds, 3) for stage, seconds in self.timings.items()},
            training={
                "images": len(plan.samples("train")),
                "images_presented": self.training.presented,
                "steps": self.training.steps,
                "epochs": dict(self.training.epochs),
                "resumed": self.training.resumed,
                **({"moved": list(self.checkpoint.moved)} if self.checkpoint.moved else {}),
            },
            files={},
            pixels=self.pixels,
        )

    def _learnt(self) -> dict[str, torch.Tensor]:
        """What the detector needs to score again: a copy, from before it sees a test image."""
        with blamed("model", self.plan.model.source.qualified, "while its weights were taken"):
            return {name: tensor.detach().to("cpu", copy=True) for name, tensor in self.detector.state().items()}

    def _images(self, samples: Sequence[Sample]) -> DeviceImages:
        return DeviceImages(self.prepared, [sample.id for sample in samples], self.device, self.dtype)

    def _progress(self, stage: str) -> _Progress:
        return _Progress(stage, self.conditions)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.timings[stage] = time.monotonic() - start


@dataclass(frozen=True)
class _Progress:
    """Tells the listener of a stage's progress, and stops it when the user asks."""

    stage: str
    conditions: Conditions

    def __call__(self, done: int, total: int) -> None:
        self.conditions.listen(Moment(self.stage, done, total))
        if self.conditions.stop():
            raise InterruptedRunError(f"stopped during {self.stage}; the same command does it again")


def scores_of(held_out: Sequence[Sample], test: Sequence[Sample], values: NDArray[np.float64]) -> Scores:
    """Scores as they are stored: one for each held-out sample, then one for each test sample."""
    samples = [*held_out, *test]
    subsets: list[Subset] = ["test"] * len(samples)
    subsets[: len(held_out)] = ["held_out"] * len(held_out)
    return Scores(
        image=[sample.id for sample in samples],
        label=np.asarray([sample.label for sample in samples], dtype=np.int8),
        subtype=[sample.subtype for sample in samples],
        group=[sample.group for sample in samples],
        subset=subsets,
        score=values,
        attributes=[sample.attributes for sample in samples],
    )
