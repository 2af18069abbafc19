"""Batches to scores: no gradient, no label in sight."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from . import seeding
from .api import Detector, Images, TrainingError

Progress = Callable[[int, int], None]


def score_images(
    detector: Detector,
    images: Images,
    batch_size: int,
    device: torch.device,
    progress: Progress | None = None,
    seed: int = 0,
) -> NDArray[np.float64]:
    """One score an image, in the images' order, float64, shape (N,).

    A transductive detector gets the images in an order drawn from ``seed``, in batches of its own size.

    Raises:
        TrainingError: if a score is missing or not finite, or if all are equal.
    """
    order = torch.arange(len(images))
    if detector.transductive is not None:
        batch_size = detector.transductive.batch_size
        order = torch.randperm(len(images), generator=seeding.generator(torch.device("cpu"), seed, "score", "order"))
    parts: list[torch.Tensor] = []
    done = 0
    with torch.inference_mode():
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
    if len(scores) > 1 and float(np.ptp(scores)) == 0.0:
        raise TrainingError(f"all {len(scores)} images have the same score {scores[0]:g}; the detector has learnt nothing")
    return scores


def _checked(scores: object, expected: int) -> torch.Tensor:
    if not isinstance(scores, torch.Tensor) or scores.shape != (expected,):
        shape = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
        raise TrainingError(f"the detector's score must be a tensor of shape ({expected},), and is {shape}")
    if not scores.is_floating_point():
        raise TrainingError(f"the detector's scores must be floating-point numbers, and are {scores.dtype}")
    return scores
