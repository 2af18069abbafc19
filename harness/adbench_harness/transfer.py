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

from .api import AdbenchError, DataError, DatasetSpec, Json, OptionError, Sample, file_sha256
from .data.audit.overlap import in_both
from .data.prepare import prepare
from .data.traits import measure
from .device import full_precision
from .manifest import Manifest
from .plan import Plan
from .protocol import digest
from .registry import blamed
from .result import WEIGHTS, Learnt, find_run, read_manifest, write_run
from .runner import Conditions, Outcome, Work, claimed, dataset_card, scores_of


def transfer(base: Plan, other: Plan, conditions: Conditions) -> Outcome:
    """Test the detector of a finished run on the test images of ``other``, a plan of the same protocol and split.

    The detector's weights are read from the run's folder; where they were not kept, it is trained again, and that is said.

    Raises:
        AdbenchError: whatever goes wrong, in words.
    """
    if base.listing.fingerprint == other.listing.fingerprint:
        raise OptionError(f"--eval-dataset {other.request.dataset} is the dataset that is learnt from; name another")
    kept, shared = _test_samples(base, other, conditions)
    tested = sorted(sample.id for sample in kept)
    run_id = f"{base.model.spec.name}-{base.dataset.spec.name}-on-{other.dataset.spec.name}-" + digest(
        [base.run_id, other.listing.fingerprint, tested]
    )
    results = conditions.results
    if (done := find_run(results.runs, run_id)) is not None:
        return Outcome(done, results.runs / run_id, already_done=True)
    with claimed(run_id, results), full_precision():
        work = Work(base, replace(conditions, keep_weights="none"))
        work.prepare()
        trained = find_run(results.runs, base.run_id)
        if trained is None or not _load(work, base, conditions):
            work.warnings.append(f"the weights of {base.run_id} are not there, so its detector was trained again")
            work.train()
            trained = work.manifest()
        start = time.monotonic()
        held_out = base.samples("held_out")
        prepared = prepare(other.listing, kept, base.protocol.fit, conditions.home)
        values = [work.score_samples(held_out, work.prepared), work.score_samples(kept, prepared)]
        scores = scores_of(_renamed(held_out, base.dataset.spec), kept, np.concatenate(values))
        learnt = [Learnt(sample.id, sample.group) for sample in _renamed(base.samples("train"), base.dataset.spec)]
        seconds = {**trained.timings, "score": round(time.monotonic() - start, 3)}
        manifest = _manifest(run_id, base, other, trained, Left(kept, held_out, shared), seconds)
        with blamed("model", base.model.source.qualified, "while its result was stored"):
            folder = write_run(results.runs, manifest, scores, [], None, learnt=learnt)
        work.checkpoint.remove()
    return Outcome(read_manifest(folder), folder, already_done=False, warnings=tuple(work.warnings))


@dataclass(frozen=True)
class Left:
    """What is scored: the other dataset's test images less those that both hold, and held-out images of the first."""

    test: list[Sample]
    held_out: list[Sample]
    shared: int
    """Test images that were left out."""


def _test_samples(base: Plan, other: Plan, conditions: Conditions) -> tuple[list[Sample], int]:
    """Test samples of ``other`` without those that are among, or near to, what ``base`` learns from or holds out."""
    test, seen = other.samples("test"), base.samples("train", "held_out")
    here, there = measure(other.listing, conditions.home), measure(base.listing, conditions.home)
    shared = in_both(test, {sample.id: here[sample.id] for sample in test}, {sample.id: there[sample.id] for sample in seen})
    kept = [sample for sample in test if sample.id not in shared]
    if not kept:
        raise DataError(
            f"every test image of {other.dataset.spec.name} is among those of {base.dataset.spec.name} that are learnt from or held out"
        )
    return kept, len(test) - len(kept)


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


def _manifest(run_id: str, base: Plan, other: Plan, trained: Manifest, left: Left, seconds: dict[str, float]) -> Manifest:
    ours, theirs = base.dataset.spec, other.dataset.spec
    same = "the same modality" if ours.modality == theirs.modality else "another modality"
    counts = Counter(f"test_{'abnormal' if sample.label else 'normal'}" for sample in left.test)
    card: dict[str, Json] = {
        **dataset_card(other),
        "counts": {**counts, "held_out_normal": len(left.held_out), "train_normal": len(base.samples("train"))},
        "transfer": f"tested on {theirs.name}: {ours.modality} to {theirs.modality}, {same}; {left.shared} shared test images left out",
        "trained_on": {
            "name": ours.name,
            "title": ours.title,
            "modality": ours.modality,
            "organ": ours.organ,
            "fingerprint": base.listing.fingerprint,
            "partial": base.listing.standing.partial,
            "run": base.run_id,
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
            "timings": seconds,
            "files": {},
        }
    )
