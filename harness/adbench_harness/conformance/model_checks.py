"""The rules that a detector keeps: what it may see, and what its scores are.

Each check trains or asks the detector as the harness does, and compares. Scores count as the same if they differ by no more than
`tolerance.SAME` of their interquartile range, and what float32 rounds away.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score
from torch import Tensor

from ..api import AdbenchError, FittedDetector, InterruptedRunError, Options
from ..training import Training
from . import case
from .case import easy_case
from .checks import BrokenRuleError, Checks, Seen
from .subject import SHORT, ModelSubject, Stop
from .tolerance import SAME, SAME_ON_GPU, allowed, interquartile_range

LEAST_AREA: Final = 0.8
"""ROC AUC on the easy case."""
SMALL: Final = (0, 1, 2)
"""Training images."""
STOPS: Final = (2, 5)
"""Steps of a short training after which it is stopped, and goes on."""

CHECKS: Final = Checks[ModelSubject]()


@CHECKS.add("described", "says what it is")
def _described(subject: ModelSubject) -> Seen:
    spec = subject.plugin.spec
    words = ("title", "paper", "family", "training_phase", "testing_phase", "score")
    missing = [word for word in words if not str(getattr(spec, word)).strip()]
    if missing:
        raise BrokenRuleError(f"the ModelSpec says nothing under {', '.join(missing)}; the site shows these")
    if not isinstance(spec.revision, int) or spec.revision < 1:
        raise BrokenRuleError(f"the ModelSpec's revision is {spec.revision!r}; it counts from 1")
    mute = [name for name, field in spec.options.model_fields.items() if not field.description]
    if mute:
        raise BrokenRuleError(f"no description of option {', '.join(mute)}: pydantic.Field(default, description=...)")
    _check_identity(subject.options)
    return Seen(f"{spec.title}, revision {spec.revision}, {len(spec.options.model_fields)} options")


def _check_identity(options: Options) -> None:
    """Whether options can be had again from what a run states of them; else nobody can score, verify or import that run."""
    stated, names = options.identity(), type(options).model_fields
    if strange := sorted(stated.keys() - names.keys()):
        raise BrokenRuleError(
            f"`identity` of the options states {', '.join(strange)}, which is no option, so a stored run can't be read again; what is to be part of "
            "a run's identity is an option"
        )
    plain = {name: value for name, value in stated.items() if not isinstance(getattr(options, name), Path)}
    files = {name: str(getattr(options, name)) for name in stated.keys() - plain.keys()}
    try:
        again = type(options).model_validate_json(json.dumps({**plain, **files}))
    except ValidationError as error:
        raise BrokenRuleError(f"its options refuse what their own `identity` states: {error.errors()[0]['msg']}") from None
    if again.identity() != stated:
        raise BrokenRuleError("options made from what `identity` states have another identity")


@CHECKS.add("builds", "can be built")
def _builds(subject: ModelSubject) -> Seen:
    subject.build()
    return Seen(f"for three channels of {subject.image_size} x {subject.image_size} pixels on {subject.device}")


@CHECKS.add("training-data", "learns from what it is given, and sees no label and no test image", needs="builds")
def _training_data(subject: ModelSubject) -> Seen:
    _, training = subject.trained
    if subject.reached:
        raise BrokenRuleError(
            f"it reached for {', '.join(dict.fromkeys(subject.reached))} of its training images, which have a length and `batch`"
        )
    if subject.watch is not None and subject.watch.looked_into:
        raise BrokenRuleError(
            f"it looked into {subject.watch.looked_into[0]}: datasets and their labels are not a detector's to read"
        )
    return Seen(f"{training.presented} images presented, {training.steps} steps")


@CHECKS.add("scores", "gives one finite score an image, in order", needs="training-data")
def _scores(subject: ModelSubject) -> Seen:
    detector, pixels = subject.trained[0], subject.case.test
    (scores,) = subject.raw_scores(detector, pixels)
    _check_form(scores, len(pixels), subject.device)
    values = subject.reference
    if float(np.ptp(values)) == 0.0:
        raise BrokenRuleError(f"all {len(values)} test images have the score {values[0]:g}: the detector has learnt nothing")
    alone = subject.scores(detector, pixels, [[place] for place in range(len(pixels))])
    margin = allowed(values)
    if np.abs(alone - values).max() > margin and np.abs(np.sort(alone) - np.sort(values)).max() <= margin:
        raise BrokenRuleError("scores of a batch are those of its images, but not in the images' order")
    return Seen(f"{len(values)} scores from {values.min():.4g} to {values.max():.4g}")


def _check_form(scores: object, expected: int, device: torch.device) -> None:
    if not isinstance(scores, Tensor):
        raise BrokenRuleError(
            f"score returns a {type(scores).__name__}; a tensor of shape ({expected},) for {expected} images is needed"
        )
    if scores.shape != (expected,):
        raise BrokenRuleError(f"score returns shape {tuple(scores.shape)} for {expected} images; it must be ({expected},)")
    if not scores.is_floating_point():
        raise BrokenRuleError(f"score returns {scores.dtype}; floating-point numbers are needed")
    if scores.device.type != device.type:
        raise BrokenRuleError(f"score returns a tensor on {scores.device} for images on {device}")
    bad = int((~torch.isfinite(scores)).sum())
    if bad:
        raise BrokenRuleError(
            f"{bad} of {expected} scores are not finite; what a detector can't score it is to refuse with a TrainingError"
        )


@CHECKS.add("direction", "higher = more anomalous", needs="scores")
def _direction(subject: ModelSubject) -> Seen:
    area = float(roc_auc_score(subject.case.labels, subject.reference))
    if area < LEAST_AREA:
        why = "the scores seem to be the wrong way round" if area < 1 - LEAST_AREA else "it does not tell them apart"
        raise BrokenRuleError(
            f"ROC AUC {area:.3f} on {case.NAME} after {subject.budget} images, {LEAST_AREA} is needed: {why}; one that needs more "
            "training gets it with --budget"
        )
    return Seen(f"ROC AUC {area:.3f} on {case.NAME}", {"roc_auc": area})


@CHECKS.add("batch", "a score does not depend on the other images of its batch", needs="scores")
def _batch(subject: ModelSubject) -> Seen:
    detector, pixels, values = subject.trained[0], subject.case.test, subject.reference
    count, margin = len(pixels), allowed(subject.reference)
    order = np.random.default_rng(7).permutation(count).tolist()
    ways = {
        "each image alone": [[place] for place in range(count)],
        "batches of 7": [list(range(start, min(start + 7, count))) for start in range(0, count, 7)],
        "another order": [order],
        "among normal images alone": [list(range(case.NORMAL)), list(range(case.NORMAL, count))],
        "beside copies of itself": [[place] * 3 for place in range(0, count, 6)],
    }
    largest = 0.0
    for words, batches in ways.items():
        places = [place for batch in batches for place in batch]
        found = subject.scores(detector, pixels, batches)
        if not np.isfinite(found).all():
            raise BrokenRuleError(
                f"with {words} {int((~np.isfinite(found)).sum())} of {len(found)} scores are not finite: is something normalised over the batch?"
            )
        change = float(np.abs(found - values[places]).max())
        largest = max(largest, change)
        if not change <= margin:
            transductive = detector.transductive
            declared = f"; it declares so ({transductive.reason}), and is never ranked" if transductive is not None else ""
            raise BrokenRuleError(
                f"with {words} a score changes by {change:.3g}, where the scores' interquartile range is {interquartile_range(values):.3g}: is a layer in "
                f"train mode, or is something normalised over the batch?{declared}"
            )
    return Seen(
        f"the same in {len(ways)} ways to cut batches, within {largest:.1e}", {"largest_change": largest, "allowed": margin}
    )


@CHECKS.add("reload", "the same score from stored weights in a new process", needs="scores")
def _reload(subject: ModelSubject) -> Seen:
    detector, _ = subject.trained
    place = subject.folder / "reload"
    place.mkdir(exist_ok=True)
    state = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in detector.state().items()}
    save_file(state, place / "weights.safetensors")
    np.save(place / "images.npy", subject.case.test.numpy())
    request = {
        "model": subject.plugin.source.qualified,
        "settings": dict(subject.settings),
        "image_size": subject.image_size,
        "device": str(subject.device),
    }
    command = [sys.executable, "-m", "adbench_harness.conformance.reload", str(place)]
    (place / "request.json").write_text(json.dumps(request))
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    if done.returncode:
        last = done.stderr.strip().splitlines()
        raise BrokenRuleError(
            f"a new process can't score with what `state` returned: {last[-1] if last else f'exit status {done.returncode}'}"
        )
    _same(
        np.load(place / "scores.npy"),
        subject.reference,
        "in a new process: does `load` take over all that `state` gives, and put networks into eval mode?",
        SAME,
    )
    return Seen(f"{len(state)} tensors, {sum(tensor.nbytes for tensor in state.values()) / 2**20:.1f} MiB")


@CHECKS.add("seed", "the same seed, the same score", needs="scores")
def _seed(subject: ModelSubject) -> Seen:
    again = subject.scores(subject.train(subject.case.train, SHORT)[0], subject.case.test)
    tolerance = _training_tolerance(subject)
    _same(
        again,
        subject.short,
        "in a second training with the same seed: draw from context.generator and batch.generator alone",
        tolerance,
    )
    return Seen(f"two trainings of {SHORT} images agree within {tolerance:g} of the interquartile range")


@CHECKS.add("resume", "can be stopped, and goes on to the same score", needs="seed")
def _resume(subject: ModelSubject) -> Seen:
    if isinstance(subject.build(), FittedDetector):
        return _stopped_fit(subject)
    _stopped_phases(subject)
    return Seen(f"stopped after {' and '.join(map(str, STOPS))} steps, then the same score")


def _stopped_phases(subject: ModelSubject) -> None:
    checkpoint = subject.folder / "resume" / "checkpoint.pt"
    for steps in STOPS:
        try:
            subject.train(subject.case.train, SHORT, checkpoint=checkpoint, stop=_after(steps))
        except InterruptedRunError:
            continue
        raise BrokenRuleError("it went on to the end though it was asked to stop; does it catch InterruptedRunError?")
    finished, training = subject.train(subject.case.train, SHORT, checkpoint=checkpoint)
    if not training.resumed:
        raise BrokenRuleError("no checkpoint was left to go on from")
    what = "after two stops; does a phase change something that is not among its modules and optimisers, or draw from a generator of its own?"
    _same(subject.scores(finished, subject.case.test), subject.short, what, _training_tolerance(subject))


def _after(steps: int) -> Stop:
    return lambda training: training.steps >= steps


def _stopped_fit(subject: ModelSubject) -> Seen:
    asked = []

    def stop(training: Training) -> bool:
        asked.append(training)
        return True

    try:
        subject.train(subject.case.train, SHORT, stop=stop)
    except InterruptedRunError:
        pass  # as it should: it has been asked to stop
    else:
        if not asked:
            raise BrokenRuleError("`fit` never calls context.progress(done, total), so nobody can stop it or see how far it is")
        raise BrokenRuleError("`fit` went on to the end though context.progress raised InterruptedRunError; it must pass through")
    again = subject.scores(subject.train(subject.case.train, SHORT)[0], subject.case.test)
    _same(again, subject.short, "after a stop", _training_tolerance(subject))
    return Seen("`fit` can be stopped, and starts over to the same score")


@CHECKS.add("channels", "takes images of one and of three channels", needs="scores")
def _channels(subject: ModelSubject) -> Seen:
    for channels in (1, 3):
        made = easy_case(subject.image_size, channels)
        try:
            scores = subject.scores(subject.train(made.train, SHORT)[0], made.test)
        except Exception as error:
            raise BrokenRuleError(
                f"with {channels} channel{'s' if channels > 1 else ''}: {type(error).__name__}: {error}"
            ) from error
        if scores.shape != (len(made.test),) or not np.isfinite(scores).all():
            raise BrokenRuleError(f"with {channels} channel(s) scores are not one finite number an image")
    return Seen("1 and 3")


@CHECKS.add("small-sets", "takes a training set of a few images, or says that it can't", needs="scores")
def _small_sets(subject: ModelSubject) -> Seen:
    seen = []
    for count in SMALL:
        try:
            scores = subject.scores(subject.train(subject.case.train[:count], SHORT)[0], subject.case.test)
        except AdbenchError as refusal:
            seen.append(f"{count}: refused ({refusal})")
            continue
        except Exception as error:
            raise BrokenRuleError(
                f"with {count} training image(s) it fails with {type(error).__name__}: {error}; raise TrainingError with words for the user"
            ) from error
        if not np.isfinite(scores).all():
            raise BrokenRuleError(
                f"with {count} training image(s) it gives scores that are not finite; raise TrainingError instead"
            )
        seen.append(f"{count}: works")
    return Seen("; ".join(seen))


@CHECKS.add("device", "computes on the device that it is given", needs="scores")
def _device(subject: ModelSubject) -> Seen:
    if subject.device.type == "cpu":
        return _keeps_to_the_cpu(subject)
    cpu = torch.device("cpu")
    detector = subject.build(device=cpu)
    detector.load({name: tensor.detach().to(cpu, copy=True) for name, tensor in subject.trained[0].state().items()})
    on_cpu = ModelSubject(
        subject.plugin, subject.options, subject.settings, cpu, subject.folder, subject.image_size, subject.budget
    )
    _same(on_cpu.scores(detector, subject.case.test), subject.reference, "on a CPU", SAME_ON_GPU)
    return Seen(f"weights from {subject.device} give the same score on a CPU")


def _keeps_to_the_cpu(subject: ModelSubject) -> Seen:
    """A detector that asks whether there is a GPU, and takes it, would break ``--device cpu`` where there is one."""
    there, package = torch.cuda.is_available, subject.plugin.module.__name__.partition(".")[0]

    def claimed() -> bool:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        return caller.partition(".")[0] == package or there()  # torch itself goes on to hear the truth

    torch.cuda.is_available = claimed
    try:
        detector, _ = subject.train(subject.case.train, SHORT)
        scores = subject.raw_scores(detector, subject.case.test)
    except Exception as error:
        raise BrokenRuleError(
            f"given a CPU, it takes a GPU if torch.cuda.is_available(): use context.device ({error})"
        ) from error
    finally:
        torch.cuda.is_available = there
    elsewhere = {str(tensor.device) for tensor in [*detector.state().values(), *scores]} - {"cpu"}
    if elsewhere:
        raise BrokenRuleError(f"given a CPU, it computes on {', '.join(sorted(elsewhere))}: use context.device")
    return Seen("a CPU, even where torch says that there is a GPU")


def _same(found: NDArray[np.float64], expected: NDArray[np.float64], when: str, tolerance: float) -> None:
    if found.shape != expected.shape:
        raise BrokenRuleError(f"{when}: {found.shape[0] if found.ndim else 1} scores for {len(expected)} images")
    change = float(np.abs(found - expected).max())
    if not change <= allowed(expected, tolerance):
        raise BrokenRuleError(
            f"a score changes by {change:.3g}, where the scores' interquartile range is {interquartile_range(expected):.3g}, {when}"
        )


def _training_tolerance(subject: ModelSubject) -> float:
    return SAME if subject.device.type == "cpu" else SAME_ON_GPU
