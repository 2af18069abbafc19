"""What a detector does beside its work: files, output, processes, global states; and the pictures and figures that it gives of itself."""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Final

import numpy as np
import torch

from .. import examples
from ..api import Sample
from ..device import peak_memory
from .case import CaseImages
from .checks import BrokenRuleError, Checks, NotApplicableError, Seen
from .subject import ModelSubject
from .tolerance import allowed
from .watch import Watch

CONDUCT: Final = Checks[ModelSubject]()


@CONDUCT.add("pictures", "its reconstructions and anomaly maps are pictures", needs="scores")
def _pictures(subject: ModelSubject) -> Seen:
    detector, pixels = subject.trained[0], subject.case.test
    chosen = [Sample(id=str(place), path="", label=int(label)) for place, label in enumerate(subject.case.labels)]
    values = dict(zip((sample.id for sample in chosen), subject.reference.tolist(), strict=True))
    images = CaseImages(pixels, subject.device)
    drawn = examples.draw(detector, images, chosen, values, 16, 0, subject.device)
    if drawn is None:
        raise NotApplicableError("it makes no reconstruction and no anomaly map")
    with torch.no_grad():
        made = detector.anomaly_map(images.batch(torch.arange(len(pixels), device=subject.device)))
    if made is not None and float(made.min()) < 0:
        raise BrokenRuleError(f"an anomaly map has the value {float(made.min()):.3g}; none may be negative")
    if np.abs(subject.scores(detector, pixels) - subject.reference).max() > allowed(subject.reference):
        raise BrokenRuleError("scores have changed after pictures were drawn; a picture may not change the detector")
    return Seen(", ".join(sorted(set(drawn.listed[0].files) - {"input"})))


@CONDUCT.add("files", "writes nothing outside the run's folder", needs="scores")
def _files(subject: ModelSubject) -> Seen:
    written = sorted(set(_watch(subject).written))
    if written:
        more = f" and {len(written) - 1} more" if len(written) > 1 else ""
        raise BrokenRuleError(
            f"it wrote {written[0]}{more}; what it keeps is what `state` returns, what it notes goes to context.log"
        )
    return Seen("nothing written")


@CONDUCT.add("global-state", "leaves global random generators and settings alone", needs="scores")
def _global_state(subject: ModelSubject) -> Seen:
    watch = _watch(subject)
    if watch.seeded:
        raise BrokenRuleError(f"{watch.seeded[0]} calls torch.manual_seed: draws come from the generators that are handed in")
    if watch.changed:
        raise BrokenRuleError(
            f"it changes {', '.join(watch.changed)}; draws come from the generators that are handed in, settings are the user's"
        )
    return Seen("as they were")


@CONDUCT.add("processes", "leaves no process behind", needs="scores")
def _processes(subject: ModelSubject) -> Seen:
    left = _watch(subject).children
    if left:
        raise BrokenRuleError(f"{len(left)} process(es) that it started still run: {', '.join(map(str, left))}")
    return Seen("none")


@CONDUCT.add("output", "prints nothing to stdout", needs="scores")
def _output(subject: ModelSubject) -> Seen:
    printed = _watch(subject).printed.strip()
    if printed:
        raise BrokenRuleError(
            f"it prints {printed.splitlines()[0][:80]!r}; stdout is for the command's own answer, use context.log or stderr"
        )
    return Seen("silent")


@CONDUCT.add("cost", "time, memory and parameters can be recorded", needs="scores")
def _cost(subject: ModelSubject) -> Seen:
    detector, training = subject.trained
    parameters, given = detector.parameters(), detector.provenance()
    if not isinstance(parameters, int) or parameters < 0:
        raise BrokenRuleError(f"parameters() returns {parameters!r}; the number of learnt values is needed")
    try:
        json.dumps(given, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BrokenRuleError(f"provenance() returns what JSON can't hold: {error}") from None
    start = time.monotonic()
    subject.scores(detector, subject.case.test)
    scoring = time.monotonic() - start
    memory = peak_memory(subject.device) or _most_resident()
    facts = {
        "parameters": parameters,
        "train_seconds": round(training.seconds, 3),
        "score_seconds_an_image": round(scoring / len(subject.case.test), 6),
        "peak_memory_bytes": memory,
    }
    return Seen(f"{parameters:,} parameters, {training.seconds:.1f} s to train, {memory / 2**20:.0f} MiB at most", facts)


def _most_resident() -> int:
    """Most memory that this process held, bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _watch(subject: ModelSubject) -> Watch:
    _ = subject.trained  # in a process that has taken over from one that was ended, nothing is trained yet
    assert subject.watch is not None
    return subject.watch
