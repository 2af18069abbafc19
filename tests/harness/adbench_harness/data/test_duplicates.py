from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from adbench_harness import registry
from adbench_harness.api import Box, Sample
from adbench_harness.data import duplicates as module
from adbench_harness.data.duplicates import Duplicates, clustered, duplicates, near_pairs, samples_to_split
from adbench_harness.data.traits import ORIENTATIONS, measure
from adbench_harness.home import Home


def picture(seed: int, side: int = 128) -> NDArray[np.uint8]:
    """A bright disc with patches of its own on a dark ground, as slices of one organ are alike."""
    coarse = np.random.default_rng(seed).integers(60, 256, (16, 16), dtype=np.uint8)
    texture = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.where(np.hypot(x, y) < side * 0.45, texture, 10).astype(np.uint8)


def save(folder: Path, name: str, pixels: NDArray[np.uint8], **settings: Any) -> Sample:
    folder.mkdir(exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(folder / name, **settings)
    return Sample(name, name, 0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


def found(root: Path, samples: list[Sample], home: Home, make_listing: Any) -> Duplicates:
    listing = make_listing(root, samples)
    return duplicates(listing.samples, measure(listing, home))


def test_different_pictures_of_one_kind_are_no_duplicates(root: Path, home: Home, make_listing: Any) -> None:
    samples = [save(root, f"{seed}.png", picture(seed)) for seed in range(40)]
    assert found(root, samples, home, make_listing) == Duplicates((), (), (), ())


def test_byte_equal_files_and_files_of_equal_pixels(root: Path, home: Home, make_listing: Any) -> None:
    samples = [save(root, "a.png", picture(0)), save(root, "c.bmp", picture(0)), save(root, "z.png", picture(1))]
    shutil.copy(root / "a.png", root / "b.png")
    samples.append(Sample("b.png", "b.png", 0))
    same = found(root, samples, home, make_listing)
    assert same.byte_equal == (("a.png", "b.png"),)
    assert same.pixel_equal == (("a.png", "b.png", "c.bmp"),)
    assert same.near == ()
    assert same.clusters == (("a.png", "b.png", "c.bmp"),)


@pytest.mark.parametrize("turns", range(8))
def test_a_turned_or_mirrored_jpeg_copy_is_found_with_its_orientation(
    root: Path, home: Home, make_listing: Any, turns: int
) -> None:
    original = picture(3)
    copy = np.rot90(original if turns < 4 else original[:, ::-1], turns % 4)
    samples = [save(root, "copy.jpg", copy, quality=60), save(root, "original.png", original), save(root, "z.png", picture(1))]
    (pair,) = found(root, samples, home, make_listing).near
    assert (pair.first, pair.second) == ("copy.jpg", "original.png")
    assert ORIENTATIONS[pair.orientation] == ORIENTATIONS[turns]
    assert pair.correlation > 0.95


@pytest.mark.parametrize(
    "change",
    [
        lambda p: np.clip(p * 1.2 + 15, 0, 255).astype(np.uint8),
        lambda p: np.asarray(Image.fromarray(p).resize((70, 90))),
        lambda p: np.stack([p, p, p // 2], axis=-1),
    ],
    ids=["brighter", "resized", "tinted"],
)
def test_a_changed_copy_is_near_and_not_equal(root: Path, home: Home, make_listing: Any, change: Any) -> None:
    samples = [save(root, "a.png", picture(5)), save(root, "b.png", change(picture(5))), save(root, "z.png", picture(1))]
    same = found(root, samples, home, make_listing)
    assert [(pair.first, pair.second, pair.orientation) for pair in same.near] == [("a.png", "b.png", 0)]
    assert same.pixel_equal == ()


def test_blank_pictures_are_near_to_nothing(root: Path, home: Home, make_listing: Any) -> None:
    samples = [save(root, f"{level}.png", np.full((50, 50), level, dtype=np.uint8)) for level in (0, 1, 100, 255)]
    assert found(root, samples, home, make_listing).near == ()


def test_crops_of_one_file_are_no_equal_files_but_may_be_equal_pictures(root: Path, home: Home, make_listing: Any) -> None:
    save(root, "film.png", picture(0, 256))
    left, right = Box(0, 0, 128, 128), Box(128, 128, 256, 256)
    samples = [Sample("a", "film.png", 0, box=left), Sample("b", "film.png", 0, box=right), Sample("c", "film.png", 0, box=left)]
    same = found(root, samples, home, make_listing)
    assert same.byte_equal == ()
    assert same.pixel_equal == (("a", "c"),)


def test_clusters_hang_together_through_near_copies(root: Path, home: Home, make_listing: Any) -> None:
    samples = [
        save(root, "a.png", picture(0)),
        save(root, "b.bmp", picture(0)),
        save(root, "c.jpg", picture(0), quality=70),
        save(root, "z.png", picture(1)),
    ]
    assert found(root, samples, home, make_listing).clusters == (("a.png", "b.bmp", "c.jpg"),)


def test_only_equal_pixels_share_a_cluster_of_a_sample(root: Path, home: Home, make_listing: Any) -> None:
    samples = [
        save(root, "c.jpg", picture(0), quality=70),
        save(root, "b.bmp", picture(0)),
        save(root, "a.png", picture(0)),
        save(root, "z.png", picture(1)),
    ]
    listing = make_listing(root, samples)
    marked = clustered(listing, home)
    assert {sample.id: sample.cluster for sample in marked} == {"a.png": "a.png", "b.bmp": "a.png", "c.jpg": None, "z.png": None}
    assert [sample.id for sample in marked] == [sample.id for sample in samples]


def test_however_the_search_is_cut_into_blocks_it_finds_the_same(
    root: Path, home: Home, make_listing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [save(root, f"{seed:02}.png", picture(seed)) for seed in range(11)]
    samples += [save(root, f"{seed:02}.jpg", picture(seed)[:, ::-1], quality=60) for seed in range(11)]
    traits = measure(make_listing(root, samples), home)
    whole = near_pairs(traits)
    assert [(pair.first, pair.second) for pair in whole] == [(f"{seed:02}.jpg", f"{seed:02}.png") for seed in range(11)]
    monkeypatch.setattr(module, "ROWS", 7)
    monkeypatch.setattr(module, "COLUMNS", 3)
    assert near_pairs(traits) == whole
    first, second = ({key: one for key, one in traits.items() if key.endswith(end)} for end in ("png", "jpg"))
    between = near_pairs(first, second)
    assert [(pair.first, pair.second) for pair in between] == [(f"{seed:02}.png", f"{seed:02}.jpg") for seed in range(11)]


def test_a_pair_that_matches_in_two_orientations_is_reported_once_in_the_better(
    root: Path, home: Home, make_listing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = picture(2)
    mirrored = np.asarray(one * 0.7 + one[:, ::-1] * 0.3, dtype=np.uint8)[:, ::-1]  # as it is, it matches a little as well
    samples = [save(root, "a.png", one), save(root, "b.jpg", mirrored, quality=60)]
    monkeypatch.setattr(module, "DISTANCE", 128)
    monkeypatch.setattr(module, "CORRELATION", 0.3)
    (pair,) = found(root, samples, home, make_listing).near
    assert ORIENTATIONS[pair.orientation] == "mirrored left to right"


def test_a_split_rule_gets_clusters_only_if_its_protocol_asks(root: Path, home: Home, make_listing: Any) -> None:
    listing = make_listing(root, [save(root, "a.png", picture(0)), save(root, "b.bmp", picture(0))])
    protocol = registry.protocol("esmaeili2023").spec
    assert [sample.cluster for sample in samples_to_split(listing, home, protocol)] == [None, None]
    asking = replace(protocol, needs_clusters=True)
    assert [sample.cluster for sample in samples_to_split(listing, home, asking)] == ["a.png", "a.png"]


def test_nothing_is_near_in_nothing() -> None:
    assert near_pairs({}) == []
