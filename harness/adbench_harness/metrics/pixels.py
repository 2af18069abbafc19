"""How well anomaly maps point: over all pixels of a test set, beside masks of what is abnormal.

- Pixel ROC AUC: the share of pairs (pixel in a mask, pixel outside) in which the first is higher on its map, ties half. Large
  lesions count for more, by their pixels.
- AUPRO, the area under the per-region overlap curve (Bergmann, Batzner, Fauser, Sattlegger & Steger 2021, International Journal of
  Computer Vision 129:1038-1059): a threshold's overlap with a region is the share of the region's pixels that are called abnormal,
  and all regions count the same. Its mean over regions is drawn against the false positive rate of all pixels outside masks, up to
  a rate of 0.3, and the area is divided by 0.3.

Pixels of all images are pooled, so that one threshold goes for all, and both areas are exact: every value of the maps is a
threshold. Pixels of one image are not independent, so intervals look at images, or at patients where they are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .delong import roc_area
from .groups import Groups
from .intervals import LEVEL, Interval
from .ranking import Values
from .resampling import REPLICATES, SEED, area_up_to
from .thresholds import at_or_above

MAX_FPR: Final = 0.3
"""Where the AUPRO ends, as Bergmann et al. choose it: beyond, a map calls a third of what is healthy abnormal."""
RANDOM: Final = {"pixel_roc_auc": 0.5, "aupro": MAX_FPR / 2}
"""What maps of noise give."""
TOUCHING: Final = np.ones((3, 3), dtype=np.int8)
"""Pixels that touch at a corner are of one region."""
GRID: Final = np.concatenate([np.geomspace(1e-5, 1e-2, 100), np.linspace(1e-2, 0.6, 300)[1:], np.linspace(0.6, 1, 50)[1:]])
"""False positive rates whose thresholds the bootstrap looks at: dense where overlap rises, and beyond the end, which moves."""

Masks = NDArray[np.bool_]
Regions = NDArray[np.int64]


@dataclass(frozen=True)
class PixelFigure:
    """One number of a set of maps."""

    name: str
    """"pixel_roc_auc" or "aupro"."""
    value: float
    interval: Interval | None
    """None where images with regions are too few to draw from."""


def evaluate_pixels(maps: Values, masks: Masks, groups: Groups) -> list[PixelFigure]:
    """Pixel ROC AUC and AUPRO, each with a 95 % interval.

    Args:
        maps: (N, H, W), finite; higher = more abnormal.
        masks: (N, H, W), True where an image is abnormal; all False for a normal image.
        groups: (N,) images of one number were not drawn independently; a number each where all were.

    Raises:
        ValueError: if shapes differ, or no pixel is in a mask, or none is outside.
    """
    _check(maps, masks)
    regions = regions_of(masks)
    return [
        PixelFigure("pixel_roc_auc", *_pixel_roc_auc(maps, masks, groups)),
        PixelFigure("aupro", _aupro(maps, regions), _aupro_interval(maps, regions, groups)),
    ]


def aupro(maps: Values, masks: Masks) -> float:
    """Area under the per-region overlap curve up to a false positive rate of 0.3, in [0, 1]; arguments as ``evaluate_pixels``.

    Raises:
        ValueError: as ``evaluate_pixels``.
    """
    _check(maps, masks)
    return _aupro(maps, regions_of(masks))


def regions_of(masks: Masks) -> Regions:
    """Connected regions of masks (N, H, W), numbered from 1 over all images; 0 outside. Corners connect."""
    from scipy.ndimage import label

    found = np.zeros(masks.shape, dtype=np.int64)
    known = 0
    for number, mask in enumerate(masks):
        labelled, count = label(mask, structure=TOUCHING)
        found[number] = np.where(labelled > 0, labelled + known, 0)
        known += count
    return found


def _check(maps: Values, masks: Masks) -> None:
    if maps.ndim != 3 or maps.shape != masks.shape:
        raise ValueError(f"a map and a mask an image, of one size: maps {maps.shape}, masks {masks.shape}")
    if not masks.any() or masks.all():
        raise ValueError("masks need pixels inside and outside")


def _pixel_roc_auc(maps: Values, masks: Masks, groups: Groups) -> tuple[float, Interval]:
    pixels = maps[0].size
    area = roc_area(masks.reshape(-1).astype(np.int8), maps.reshape(-1), np.repeat(groups, pixels))
    return area.value, area.interval


def _aupro(maps: Values, regions: Regions) -> float:
    value, region = maps.reshape(-1), regions.reshape(-1)
    distinct, place = np.unique(value, return_inverse=True)
    inside = region > 0
    outside_at = np.bincount(place[~inside], minlength=len(distinct)).astype(np.float64)
    overlap_at = np.bincount(place[inside], weights=_weights(region)[inside], minlength=len(distinct)).astype(np.float64)
    fpr, overlap = at_or_above(outside_at), at_or_above(overlap_at)
    # Divided by their own first entries: the curve ends at (1, 1) whatever was rounded.
    return float(area_up_to(fpr[None] / fpr[0], overlap[None] / overlap[0], MAX_FPR)[0]) / MAX_FPR


def _weights(region: Regions) -> Values:
    """What a pixel adds to the overlap of its region, summed over regions; 0 outside. Any shape."""
    sizes = np.bincount(region.reshape(-1)).astype(np.float64)
    share = np.divide(1, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    share[0] = 0
    weights: Values = share[region]
    return weights


def _aupro_interval(maps: Values, regions: Regions, groups: Groups) -> Interval | None:
    """Bootstrap of images, or groups: those with regions and those without apart, so that a replicate has as many of each.

    A replicate is evaluated at the thresholds of ``GRID`` alone; between them its curve is straight.
    """
    units = np.unique(groups, return_inverse=True)[1]
    outside, overlap = _above_thresholds(maps, regions, units)
    times = _draw(overlap[:, 0] > 0)
    if times is None:
        return None
    fpr, found = times @ outside, times @ overlap
    areas = area_up_to(fpr / fpr[:, :1], found / found[:, :1], MAX_FPR) / MAX_FPR
    low, high = np.quantile(areas, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if low == high:
        return None
    return Interval(float(low), float(high), "bootstrap of images" if len(outside) == len(maps) else "bootstrap of groups")


def _above_thresholds(maps: Values, regions: Regions, units: Groups) -> tuple[Values, Values]:
    """Of each unit (U, T): pixels outside masks, and summed overlap, at or above each threshold, these ascending.

    The first is below all values, the last above all.
    """
    inside, weights = regions > 0, _weights(regions)
    cuts = np.unique(np.quantile(maps[~inside], 1 - GRID, method="higher"))
    thresholds = np.concatenate([[-np.inf], cuts, [np.inf]])
    shape = (int(units.max()) + 1, len(thresholds))
    outside, overlap = np.zeros(shape), np.zeros(shape)
    for unit, values, within, weight in zip(units, maps, inside, weights, strict=True):
        healthy = np.sort(values[~within])
        outside[unit] += len(healthy) - np.searchsorted(healthy, thresholds)
        if within.any():
            order = np.argsort(values[within])
            rest = np.concatenate([np.cumsum(weight[within][order][::-1])[::-1], [0.0]])
            overlap[unit] += rest[np.searchsorted(values[within][order], thresholds)]
    return outside, overlap


def _draw(with_regions: NDArray[np.bool_]) -> Values | None:
    """How many times each unit is drawn, (replicates, units); None with fewer than two units that have regions.

    A unit that is alone in its stratum stays as it is: there is nothing to draw it from.
    """
    if np.count_nonzero(with_regions) < 2:
        return None
    random = np.random.default_rng(SEED)
    times = np.ones((REPLICATES, len(with_regions)))
    for stratum in (np.flatnonzero(with_regions), np.flatnonzero(~with_regions)):
        if len(stratum) > 1:
            times[:, stratum] = random.multinomial(len(stratum), np.full(len(stratum), 1 / len(stratum)), size=REPLICATES)
    return times
