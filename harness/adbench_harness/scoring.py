"""Batches to scores: no gradient, no label in sight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from . import seeding
from .api import Detector, Images, TrainingError

Progress = Callable[[int, int], None]

AGAIN: Final = 4
"""Images that are scored twice."""
BATCH_TOLERANCE: Final = 0.01
"""Of the range of scores. Batch statistics and dropout are far above."""
ROUNDING: Final = 1e-5
"""Of the largest score: what float32 may lose when a batch is cut in another way, where all scores are nearly the same."""


def score_images(
    detector: Detector,
    images: Images,
    batch_size: int,
    device: torch.device,
    progress: Progress | None = None,
    seed: int = 0,
    may_be_equal: bool = False,
    spread: float = 0.0,
) -> NDArray[np.float64]:
    """One score an image, in the images' order, float64, shape (N,).

    Images are given in an order drawn from ``seed``, so that no batch holds one class alone because of how files are called.
    With ``may_be_equal`` all may have one score, as normal images have of a detector that finds nothing in any of them.
    A few are then scored again, each alone: a score that changes with its batch is refused. A transductive detector, whose
    published test does that, gets batches of its own size instead. Of a few images that are much alike the range says little:
    ``spread`` is what other scores of the detector span, if that is known.

    Raises:
        TrainingError: if a score is missing or not finite, if all are equal, or if a score changes with its batch.
    """
    if detector.transductive is not None:
        batch_size = detector.transductive.batch_size
    order = torch.randperm(len(images), generator=seeding.generator(torch.device("cpu"), seed, "score", "order"))
    parts: list[torch.Tensor] = []
    done = 0
    with seeding.isolated(device), torch.inference_mode():
        seeding.seed_global(seed, "score")
        for indices in torch.split(order.to(device), batch_size):
            parts.append(_checked(detector.score(images.batch(indices)), len(indices)))
            done += len(indices)
            if progress is not None:
                progress(done, len(images))
        scores: NDArray[np.float64] = np.empty(len(images))
        scores[order.numpy()] = torch.cat(parts).double().cpu().numpy()
        if not np.isfinite(scores).all():
            raise TrainingError(
                f"{int((~np.isfinite(scores)).sum())} of {len(scores)} scores are not finite; the detector has diverged"
            )
        if len(scores) > 1 and float(np.ptp(scores)) == 0.0 and not may_be_equal:
            raise TrainingError(f"all {len(scores)} images have the same score {scores[0]:g}; the detector has learnt nothing")
        if detector.transductive is None:
            _check_alone(detector, images, scores, order[:AGAIN].to(device), spread)
    return scores


def _check_alone(detector: Detector, images: Images, scores: NDArray[np.float64], indices: torch.Tensor, spread: float) -> None:
    """Raise TrainingError if one of the images gets another score without its batch."""
    alone = torch.cat([_checked(detector.score(images.batch(one)), 1) for one in torch.split(indices, 1)])
    found = alone.double().cpu().numpy()
    if not np.isfinite(found).all():
        raise TrainingError(
            "the score of an image alone, without the rest of its batch, is not finite; is something normalised over the batch?"
        )
    change = np.abs(found - scores[indices.cpu().numpy()]).max()
    spread = max(spread, float(np.ptp(scores)))
    if not change <= BATCH_TOLERANCE * spread + ROUNDING * float(np.abs(scores).max()):
        raise TrainingError(
            f"the detector's scores change with the batch (by {change:.3g}, where all scores span {spread:.3g}): a score "
            "must depend on its image alone; is a layer still in train mode? (a published test that does this is declared transductive)"
        )


def _checked(scores: object, expected: int) -> torch.Tensor:
    if not isinstance(scores, torch.Tensor) or scores.shape != (expected,):
        shape = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
        raise TrainingError(f"the detector's score must be a tensor of shape ({expected},), and is {shape}")
    if not scores.is_floating_point():
        raise TrainingError(f"the detector's scores must be floating-point numbers, and are {scores.dtype}")
    return scores
