"""A trained detector on another dataset: what it learnt from one, tested on the other.

The threshold of an honest rule comes from held-out images of the dataset that was learnt from, as it would in use. Test images
that the detector may have learnt from, because both datasets hold them, are left out. Such a run is shown and never ranked.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file

from .api import AdbenchError, DataError, DatasetSpec, InterruptedRunError, Json, OptionError, Sample, file_sha256
from .cards import dataset_card
from .data.audit.overlap import in_both
from .data.decoding import Progress
from .data.prepare import prepare
from .data.traits import measure
from .device import reproducible
from .home import Home
from .locking import claimed
from .manifest import Manifest
from .plan import Plan, RunRequest
from .protocol import digest
from .provenance import environment
from .registry import blamed
from .result import WEIGHTS, Learnt, find_run, read_manifest, write_run
from .runner import Conditions, Outcome, Work, scores_of
from .time_limit import within
from .training import Moment


def elsewhere(request: RunRequest, dataset: str) -> RunRequest:
    """The request whose plan says which images of another dataset a run is to be tested on."""
    settings = {name: value for name, value in (request.settings or {}).items() if name != "train_size"}  # not of its images
    return replace(request, dataset=dataset, eval_dataset=None, settings=settings)


def check_other(base: Plan, other: Plan) -> None:
    """Raise OptionError if ``other`` is the dataset that ``base`` learns from."""
    if base.listing.fingerprint == other.listing.fingerprint:
        raise OptionError(f"--eval-dataset {other.request.dataset} is the dataset that is learnt from; name another")


def transfer(base: Plan, other: Plan, conditions: Conditions) -> Outcome:
    """Test the detector of a finished run on the test images of ``other``, a plan of the same protocol and split.

    The detector's weights are read from the run's folder; where they were not kept, it is trained again, and that is said.

    Raises:
        AdbenchError: whatever goes wrong, in words.
    """
    check_other(base, other)
    left = left_of(base, other, conditions.home, _telling("compare", conditions))
    identity = [base.run_id, other.listing.fingerprint, sorted(sample.id for sample in left.test)]
    run_id = f"{base.model.spec.name}-{base.dataset.spec.name}-on-{other.dataset.spec.name}-{digest(identity)}"
    results = conditions.results
    if (done := find_run(results.runs, run_id)) is not None:
        return Outcome(done, results.runs / run_id, already_done=True)
    # The base run is claimed as well: a detector that is trained again uses its checkpoint.
    stop = conditions.stop if conditions.wait else None
    with claimed(run_id, results, stop), claimed(base.run_id, results, stop), reproducible():
        with within(conditions.time_limit, conditions.stop) as stop:
            work = Work(base, replace(conditions, keep_weights="none", stop=stop))
            work.prepare()
            # What can't be prepared is said, and a stop is heard, before a detector is trained again.
            prepared = prepare(other.listing, left.test, base.protocol.fit, conditions.home, _telling("prepare", work.conditions))
            trained = find_run(results.runs, base.run_id)
            sent = trained is not None and trained.received is not None
            again = trained is None or sent or not _load(work, base, conditions)
            if again:
                why = "came in a bundle" if sent else "are not there"
                work.warnings.append(f"the weights of {base.run_id} {why}, so its detector was trained again")
                work.train()
                work.checkpoint.remove()
            start = time.monotonic()
            values = [
                work.score_samples(left.held_out, work.prepared, may_be_equal=True),
                work.score_samples(left.test, prepared),
            ]
        spec = base.dataset.spec
        scores = scores_of(_renamed(left.held_out, spec), left.test, np.concatenate(values))
        learnt = [Learnt(sample.id, sample.group) for sample in _renamed(base.samples("train"), spec)]
        timings = {**work.timings, "score": round(time.monotonic() - start, 3)}
        made = work.manifest() if again or trained is None else trained.model_copy(update={"environment": environment()})
        manifest = _manifest(run_id, base, other, made, left, again).model_copy(update={"timings": timings})
        with blamed("model", base.model.source.qualified, "while its result was stored"):
            folder = write_run(results.runs, manifest, scores, [], None, learnt=learnt)
    return Outcome(read_manifest(folder), folder, already_done=False, warnings=tuple(work.warnings))


@dataclass(frozen=True)
class Left:
    """What is scored: the other dataset's test images less those that both hold, and held-out images of the first."""

    test: list[Sample]
    held_out: list[Sample]
    shared: int
    """Test images that were left out: both hold them, or they are of patients that were learnt from."""


def left_of(base: Plan, other: Plan, home: Home, progress: Progress | None = None) -> Left:
    """Test samples of ``other`` that are neither among, nor near to, nor of a patient of what ``base`` learns from or holds out.

    Raises:
        DataError: if there are none, or if an image is missing or corrupt.
    """
    test, seen = other.samples("test"), base.samples("train", "held_out")
    here, there = measure(other.listing, home, progress), measure(base.listing, home, progress)
    shared = in_both(test, {sample.id: here[sample.id] for sample in test}, {sample.id: there[sample.id] for sample in seen})
    patients = {sample.group for sample in seen if sample.group is not None} if _one_source(base, other) else set()
    kept = [sample for sample in test if sample.id not in shared and sample.group not in patients]
    if not kept:
        raise DataError(
            f"every test image of {other.dataset.spec.name} is among those of {base.dataset.spec.name} that are learnt from or held out, or of "
            "their patients"
        )
    return Left(kept, base.samples("held_out"), len(test) - len(kept))


def _telling(stage: str, conditions: Conditions) -> Progress:
    """Tells the listener how far a stage is, and stops it when the user asks or its time is over."""

    def advance(done: int, total: int) -> None:
        conditions.listen(Moment(stage, done, total))
        if conditions.stop():
            raise InterruptedRunError(f"stopped during {stage} for the other dataset; the same command does it again")

    return advance


def _one_source(base: Plan, other: Plan) -> bool:
    """Whether both datasets call the same patients by the same names."""
    return bool(base.dataset.spec.independent_source) and (
        base.dataset.spec.independent_source == other.dataset.spec.independent_source
    )


def _load(work: Work, base: Plan, conditions: Conditions) -> bool:
    """Give the detector the run's weights, if they are there and are those that the run wrote."""
    path = conditions.results.runs / base.run_id / WEIGHTS
    try:
        stated = read_manifest(path.parent).files.get(WEIGHTS)
        if stated is None or not path.is_file() or file_sha256(path) != stated:
            return False
        state = load_file(path, device=str(work.device))
    except (AdbenchError, OSError, SafetensorError):
        return False
    with blamed("model", base.model.source.qualified, "while its weights were loaded"):
        work.detector.load(state)
    return True


def _renamed(samples: list[Sample], spec: DatasetSpec) -> list[Sample]:
    """Samples whose ids and groups can't be taken for the other dataset's."""
    return [
        replace(s, id=f"{spec.name}/{s.id}", group=f"{spec.name}/{s.group}" if s.group is not None else None) for s in samples
    ]


def _manifest(run_id: str, base: Plan, other: Plan, trained: Manifest, left: Left, again: bool) -> Manifest:
    ours, theirs = base.dataset.spec, other.dataset.spec
    same = "the same modality" if ours.modality == theirs.modality else "another modality"
    counts = Counter(f"test_{'abnormal' if sample.label else 'normal'}" for sample in left.test)
    card: dict[str, Json] = {
        **dataset_card(other),
        "counts": {**counts, "held_out_normal": len(left.held_out), "train_normal": len(base.samples("train"))},
        "transfer": f"tested on {theirs.name}: {ours.modality} to {theirs.modality}, {same}; {left.shared} test images shared with it left out",
        "trained_on": {
            "name": ours.name,
            "title": ours.title,
            "modality": ours.modality,
            "organ": ours.organ,
            "fingerprint": base.listing.fingerprint,
            "partial": base.listing.standing.partial,
            "run": base.run_id,
            "trained_again": again,
            "shared_test_images": left.shared,
        },
    }
    return trained.model_copy(
        update={
            "run_id": run_id,
            "cell": base.cell.model_copy(update={"dataset": theirs.name, "trained_on": ours.name}),
            "command": replace(base.request, eval_dataset=other.request.dataset).command,
            "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "dataset": card,
            "files": {},
            "pixels": None,  # of the dataset that was learnt from
        }
    )
