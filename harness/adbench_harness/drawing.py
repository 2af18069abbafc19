"""What a detector draws of images, reconstructions and anomaly maps: called as documented, and looked over."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from . import seeding
from .api import Detector, Images, TrainingError

MAP: Final = "anomaly map"

Progress = Callable[[int, int], None]


def draw_maps(
    detector: Detector, images: Images, batch_size: int, device: torch.device, seed: int, progress: Progress | None = None
) -> NDArray[np.float64] | None:
    """Anomaly maps of all images in their order, shape (N, H, W), finite; None from a detector that makes none.

    A transductive detector makes none either: these images may be another batch than the one that was scored.

    Raises:
        TrainingError: if a map is not finite or not of its image's size.
    """
    if detector.transductive is not None or not len(images):
        return None
    batches = torch.split(torch.arange(len(images), device=device), batch_size)
    with torch.no_grad(), seeding.isolated(device):
        seeding.seed_global(seed, "maps")
        size = tuple(images.batch(batches[0][:1]).shape[2:])
        return collect(MAP, detector.anomaly_map, images, batches, size, progress)


def collect(
    what: str,
    make: Callable[[Tensor], Tensor | None],
    images: Images,
    batches: Sequence[Tensor],
    size: tuple[int, ...],
    progress: Progress | None = None,
) -> NDArray[np.float64] | None:
    """What a detector makes of all batches, shape (N, *size); None if it makes nothing of the first.

    Args:
        what: is drawn, for a message.
        make: the detector's method.
        images: to take batches from.
        batches: indices of images.
        size: that each picture is to have.
        progress: hears (images done, in all).

    Raises:
        TrainingError: if a picture is not finite or not of its size.
    """
    parts: list[NDArray[np.float64]] = []
    done, total = 0, sum(map(len, batches))
    for indices in batches:
        made = make(images.batch(indices))
        if made is None and not parts:
            return None
        parts.append(_checked(what, made, (len(indices), *size)))
        done += len(indices)
        if progress is not None:
            progress(done, total)
    return np.concatenate(parts)


def plain(values: Tensor) -> NDArray[np.float64]:
    """A tensor's values in NumPy."""
    found: NDArray[np.float64] = values.detach().cpu().double().numpy()  # on the CPU first: not every device has float64
    return found


def png(values: NDArray[np.float64]) -> bytes:
    """PNG of (C, H, W) in [0, 1], gray for one channel; what lies outside is clipped."""
    pixels = np.rint(values.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    stream = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(stream, format="PNG")
    return stream.getvalue()


def _checked(what: str, made: object, shape: tuple[int, ...]) -> NDArray[np.float64]:
    if not isinstance(made, Tensor) or made.shape != shape:
        found = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
        raise TrainingError(f"the detector's {what} must be a tensor of shape {shape}, and is {found}")
    if not made.is_floating_point():
        raise TrainingError(f"the detector's {what} must be of floating-point numbers, and is of {made.dtype}")
    values = plain(made)
    if not np.isfinite(values).all():
        raise TrainingError(f"the detector's {what} has {int((~np.isfinite(values)).sum())} values that are not finite")
    return values
