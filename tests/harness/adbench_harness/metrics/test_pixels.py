from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import auc, roc_auc_score

from adbench_harness.metrics.pixels import MAX_FPR, RANDOM, aupro, evaluate_pixels, regions_of

Maps = NDArray[np.float64]
Masks = NDArray[np.bool_]


def brute_force(maps: Maps, masks: Masks) -> float:
    """Bergmann's definition, word by word: every value as a threshold, the overlap of each region apart."""
    regions = regions_of(masks)
    points = {(0.0, 0.0)}
    for threshold in np.unique(maps):
        called = maps >= threshold
        overlaps = [called[regions == number].mean() for number in range(1, regions.max() + 1)]
        points.add((float(called[~masks].mean()), float(np.mean(overlaps))))
    curve = np.asarray(sorted(points))
    at_end = np.interp(MAX_FPR, curve[:, 0], curve[:, 1])
    kept = curve[curve[:, 0] <= MAX_FPR]
    return float(auc([*kept[:, 0], MAX_FPR], [*kept[:, 1], at_end])) / MAX_FPR


def scene(seed: int, images: int = 6, size: int = 8, values: int | None = None) -> tuple[Maps, Masks]:
    """Maps that see the lesions dimly, and masks of two lesions or none; with few ``values`` there are ties."""
    random = np.random.default_rng(seed)
    masks = np.zeros((images, size, size), dtype=bool)
    for mask in masks[: images // 2]:
        for _ in range(2):
            row, column = random.integers(0, size - 2, 2)
            mask[row : row + random.integers(1, 4), column : column + random.integers(1, 4)] = True
    maps = random.random(masks.shape) + 0.3 * masks
    return (np.round(maps * values) / values if values is not None else maps), masks


@pytest.mark.parametrize("values", [None, 4, 1], ids=["distinct", "ties", "mostly ties"])
def test_the_areas_are_those_of_sklearn_and_of_the_definition(values: int | None) -> None:
    for seed in range(5):
        maps, masks = scene(seed, values=values)
        found = {figure.name: figure for figure in evaluate_pixels(maps, masks, np.arange(len(maps)))}
        assert found["pixel_roc_auc"].value == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-12)
        assert found["aupro"].value == pytest.approx(brute_force(maps, masks), abs=1e-12)
        assert found["aupro"].value == aupro(maps, masks)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 6))
def test_only_the_order_of_values_counts(seed: int, values: int) -> None:
    maps, masks = scene(seed, images=2, size=6, values=values)
    assert aupro(np.exp(maps), masks) == pytest.approx(aupro(maps, masks), abs=1e-12)


def test_a_perfect_map_a_wrong_one_and_none() -> None:
    _, masks = scene(1)
    perfect = {figure.name: figure.value for figure in evaluate_pixels(masks.astype(float), masks, np.arange(len(masks)))}
    assert perfect == {"pixel_roc_auc": 1, "aupro": pytest.approx(1)}
    assert aupro(1 - masks.astype(float), masks) == 0
    assert aupro(np.zeros(masks.shape), masks) == pytest.approx(RANDOM["aupro"])


def test_a_small_region_counts_as_much_as_a_large_one() -> None:
    masks = np.zeros((1, 10, 10), dtype=bool)
    masks[0, :5] = True
    masks[0, 9, 9] = True
    maps = np.zeros(masks.shape)
    maps[0, :5] = 1  # finds the large one and not the small
    # Half of the overlap at once, and of the rest what chance finds.
    assert aupro(maps, masks) == pytest.approx(0.5 + 0.5 * RANDOM["aupro"])
    assert evaluate_pixels(maps, masks, np.zeros(1, dtype=np.int64))[0].value > 0.98


def test_regions_are_of_one_image_and_touch_at_corners() -> None:
    masks = np.zeros((2, 4, 4), dtype=bool)
    masks[:, 0, 0] = masks[:, 1, 1] = masks[0, 3, 3] = True
    regions = regions_of(masks)
    assert regions[0].tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 2]]
    assert np.unique(regions[1]).tolist() == [0, 3]


def test_intervals_hold_the_value_and_look_at_groups() -> None:
    maps, masks = scene(2, images=40)
    alone = {figure.name: figure for figure in evaluate_pixels(maps, masks, np.arange(40))}
    paired = {
        figure.name: figure for figure in evaluate_pixels(np.repeat(maps, 2, 0), np.repeat(masks, 2, 0), np.arange(80) // 2)
    }
    for name, figure in alone.items():
        again = paired[name]
        assert figure.interval is not None
        assert again.interval is not None
        assert figure.interval.low < figure.value < figure.interval.high
        # Each image twice tells nothing new if both are known to be one.
        assert again.value == pytest.approx(figure.value)
        assert (again.interval.low, again.interval.high) == pytest.approx((figure.interval.low, figure.interval.high), abs=1e-3)
    assert [figure.interval.method for figure in (alone["aupro"], paired["aupro"]) if figure.interval] == [
        "bootstrap of images",
        "bootstrap of groups",
    ]


def test_one_image_with_a_lesion_has_no_bootstrap() -> None:
    maps, masks = scene(3, images=3)
    assert evaluate_pixels(maps, masks, np.arange(3))[1].interval is None


def test_what_can_not_be_evaluated() -> None:
    maps, masks = scene(4)
    with pytest.raises(ValueError, match="pixels inside and outside"):
        aupro(maps, np.zeros_like(masks))
    with pytest.raises(ValueError, match="of one size"):
        aupro(maps[:2], masks)
