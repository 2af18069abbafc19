"""Whether a detector finds the place: its anomaly maps beside the masks that a dataset has of its abnormal images.

Done once the test images are scored, since masks are labels; none reaches the detector. No score and no rank depends on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from .api import DataError, Detector, Images, Sample, hash_order
from .data.decode import crop, read_image
from .data.decoding import EachFile
from .data.listing import Listing
from .drawing import Progress, draw_maps
from .manifest import PixelEstimate, Pixels
from .metrics.groups import group_codes
from .metrics.pixels import RANDOM, Masks, PixelFigure, evaluate_pixels, regions_of
from .protocol import digest

MOST_PIXELS: Final = 2**24
"""About so many pixels are looked at, 1024 images of 128 x 128: bounds memory (a GiB or so) and time (half a minute and the maps)."""


@dataclass(frozen=True)
class Masked:
    """Test images that are looked at."""

    samples: Sequence[Sample]
    """Normal ones, and abnormal ones that have a mask, by id."""
    left_out: int
    """The other test images."""


def choose(dataset: str, split: int, test: Sequence[Sample], image_size: int) -> Masked | None:
    """Test images to look at; None if none has a mask.

    Of more than ``MOST_PIXELS`` the first by a hash of their ids, half of them abnormal if there are so many: the same images for
    every model and seed.
    """
    order = {sample_id: place for place, sample_id in enumerate(hash_order([s.id for s in test], "pixels", dataset, split))}
    ordered = sorted(test, key=lambda sample: order[sample.id])
    normal = [sample for sample in ordered if sample.label == 0]
    abnormal = [sample for sample in ordered if sample.label == 1 and sample.mask is not None]
    if not abnormal:
        return None
    most = max(MOST_PIXELS // image_size**2, 2)
    kept = abnormal[: max(most // 2, most - len(normal))]
    kept += normal[: most - len(kept)]
    return Masked(sorted(kept, key=lambda sample: sample.id), len(test) - len(kept))


def locate(
    detector: Detector,
    images: Images,
    masked: Masked,
    listing: Listing,
    batch_size: int,
    device: torch.device,
    seed: int,
    progress: Progress | None = None,
) -> Pixels | None:
    """Figures over the pixels of ``images``; None from a detector that makes no maps.

    Args:
        detector: after training.
        images: those of ``masked`` in this order, prepared.
        masked: whose masks are looked at.
        listing: the dataset.
        batch_size: images that the detector is given at a time.
        device: where the detector is.
        seed: of the run.
        progress: hears (images done, in all).

    Raises:
        TrainingError: if a map is not finite or not of its image's size.
        DataError: naming the masks that can't be read or mark nothing.
    """
    maps = draw_maps(detector, images, batch_size, device, seed, progress)
    if maps is None:
        return None
    masks = read_masks(listing, masked.samples, maps.shape[1])
    codes = group_codes([sample.group for sample in masked.samples])
    found = evaluate_pixels(maps, masks, codes if codes is not None else np.arange(len(masks)))
    estimates = {figure.name: _estimate(figure) for figure in found}
    abnormal = sum(sample.label for sample in masked.samples)
    packed = hashlib.sha256(np.packbits(masks).tobytes()).hexdigest()
    return Pixels(
        pixel_roc_auc=estimates["pixel_roc_auc"],
        aupro=estimates["aupro"],
        normal=len(masks) - abnormal,
        abnormal=abnormal,
        left_out=masked.left_out,
        regions=int(regions_of(masks).max()),
        inside=int(masks.sum()),
        outside=int((~masks).sum()),
        image_size=maps.shape[1],
        masks=digest([[sample.id for sample in masked.samples], packed]),
    )


def read_masks(listing: Listing, samples: Sequence[Sample], size: int) -> Masks:
    """Masks at the size of prepared images, shape (N, size, size); empty for a normal image.

    A file's pixels that are not 0 are the lesion. A prepared pixel belongs to it if at least half of what it covers does; a lesion
    that fills half of no pixel has those that it fills most.

    Raises:
        DataError: naming the masks that can't be read or mark nothing.
    """
    found = np.zeros((len(samples), size, size), dtype=bool)

    def read(place: int) -> None:
        found[place] = _mask(listing.root / str(samples[place].mask), samples[place], size)

    each_file = EachFile(read)
    list(each_file([place for place, sample in enumerate(samples) if sample.label == 1]))
    each_file.refuse(listing.spec.name)
    return found


def _mask(path: Path, sample: Sample, size: int) -> NDArray[np.bool_]:
    marked = np.asarray(crop(read_image(path, "L"), sample.box, path)) > 0
    if not marked.any():
        raise DataError(f"{path}: a mask that marks nothing of {sample.id}; mark its lesion, or leave the mask out")
    if marked.shape == (size, size):
        return marked
    share = np.asarray(Image.fromarray(marked.astype(np.float32)).resize((size, size), Image.Resampling.BOX))
    return np.asarray(share >= min(0.5, float(share.max())))


def _estimate(figure: PixelFigure) -> PixelEstimate:
    at = figure.interval
    if at is None:
        return PixelEstimate(value=figure.value, random=RANDOM[figure.name])
    return PixelEstimate(value=figure.value, low=at.low, high=at.high, method=at.method, random=RANDOM[figure.name])
