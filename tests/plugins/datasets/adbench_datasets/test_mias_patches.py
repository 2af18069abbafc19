from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from adbench_datasets import mias_patches
from adbench_datasets.mias_annotations import read_annotations
from adbench_datasets.mias_patches import OUTSIDE_BREAST, PATCH_SIZE
from adbench_harness.api import Box, DataError, DatasetSpec

SCRIPT = Path(__file__).parents[4] / "scripts" / "place_mias_patches.py"


@pytest.fixture(scope="session")
def rule() -> ModuleType:
    """The script that places the normal patches."""
    spec = importlib.util.spec_from_file_location("place_mias_patches", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_one_spec_is_registered() -> None:
    specs: list[DatasetSpec] = []
    mias_patches.register_datasets(specs.append)
    assert [spec.name for spec in specs] == ["mias-patches"]
    assert mias_patches.adbench_api == 1
    assert specs[0].folder_name == "mias"


def test_patches_are_numbered_by_located_lesion(small_mias: Path) -> None:
    samples = mias_patches.list_patches(small_mias)
    assert [sample.id for sample in samples] == ["mdb001-1", "mdb003", "mdb005-1", "mdb005-2", "mdb144-1", "mdb144-2"]
    assert [sample.subtype for sample in samples] == ["benign", "normal", "benign", "benign", "benign", "malignant"]
    assert [sample.label for sample in samples] == [1, 0, 1, 1, 1, 1]
    assert {sample.group for sample in samples} == {"001-002", "003-004", "005-006", "143-144"}


def test_a_lesion_is_centred_and_counted_from_the_top(small_mias: Path) -> None:
    samples = {sample.id: sample for sample in mias_patches.list_patches(small_mias)}
    assert samples["mdb005-1"].box == Box(417, 830, 537, 950)
    assert samples["mdb005-1"].path == "mdb005.pgm"
    assert samples["mdb005-1"].attributes == {"density": "F", "lesion_class": "CIRC", "radius": 30, "centre_in_breast": 1}
    assert samples["mdb003"].attributes == {"density": "D"}


def test_a_lesion_near_the_border_is_shifted_into_the_film(small_mias: Path) -> None:
    samples = {sample.id: sample for sample in mias_patches.list_patches(small_mias)}
    assert samples["mdb144-1"].box == Box(173, 0, 293, 120)


def test_a_normal_film_without_a_place_is_a_data_error(small_mias: Path) -> None:
    with (small_mias / "Info.txt").open("a") as info:
        info.write("mdb002 G NORM\n")
    (small_mias / "mdb002.pgm").touch()
    with pytest.raises(DataError, match=r"mdb002 normal, but mias_normal_patches\.tsv"):
        mias_patches.list_patches(small_mias)


def test_a_missing_film_is_a_data_error(small_mias: Path) -> None:
    (small_mias / "mdb005.pgm").unlink()
    with pytest.raises(DataError, match=r"mdb005\.pgm"):
        mias_patches.list_patches(small_mias)


def test_the_counts_of_the_study_are_stated() -> None:
    assert mias_patches.MIAS_PATCHES.split_counts == (167, 40, 117)
    assert mias_patches.MIAS_PATCHES.tasks.keys() == {"benign", "malignant"}
    assert not mias_patches.MIAS_PATCHES.downloads  # those of mias, whose files it reads


def test_real_counts_are_the_expected_ones(listed_mias: Path) -> None:
    samples = mias_patches.list_patches(listed_mias)
    assert len({sample.id for sample in samples}) == 326
    assert Counter(sample.subtype for sample in samples) == mias_patches.MIAS_PATCHES.expected
    for box in (sample.box for sample in samples):
        assert box is not None
        assert (box.right - box.left, box.bottom - box.top) == (PATCH_SIZE, PATCH_SIZE)
        assert min(box.left, box.top) >= 0
        assert max(box.right, box.bottom) <= 1024


def test_the_table_names_the_normal_films_and_usable_lesions(listed_mias: Path) -> None:
    films = read_annotations(listed_mias)
    patches = mias_patches.read_normal_patches()
    lesions = {patch_id for rows in films.values() for patch_id, _ in mias_patches.located_lesions(rows)}
    assert patches.keys() == {film for film, rows in films.items() if not rows[0].is_lesion}
    taken = Counter(patch.lesion for patch in patches.values())
    assert taken.keys() == lesions - OUTSIDE_BREAST
    assert set(taken.values()) == {1, 2}


@pytest.mark.slow
def test_real_lesions_lie_on_tissue(real_mias: Path) -> None:
    """Holds only with y counted from the bottom."""
    dark = set()
    for rows in read_annotations(real_mias).values():
        for patch_id, lesion in mias_patches.located_lesions(rows):
            assert lesion.centre is not None
            column, row = lesion.centre
            with Image.open(real_mias / f"{lesion.film}.pgm") as image:
                grey = np.asarray(image)[row - 10 : row + 11, column - 10 : column + 11].mean()
            if grey < 100:
                dark.add(patch_id)
    assert dark == OUTSIDE_BREAST


@pytest.mark.slow
def test_the_table_is_what_the_rule_gives(rule: ModuleType, real_mias: Path) -> None:
    shipped = mias_patches.read_normal_patches()
    places = rule.place_normals(real_mias, rule.lesion_places(real_mias), limit=20)
    assert len(places) == 20
    for film, (lesion, place) in places.items():
        assert (place.box, lesion) == (shipped[film].box, shipped[film].lesion)


def test_the_breast_is_found_on_a_drawn_film(rule: ModuleType) -> None:
    pixels = np.zeros((1024, 1024), dtype=np.uint8)
    pixels[:800, 104:504] = 90
    # The muscle is a triangle at the chest wall, and a label lies beside the breast.
    for row in range(400):
        pixels[row, 104 : 304 - row // 2] = 180
    pixels[80:120, 700:800] = 255
    breast = rule.find_breast(pixels, "mdb002")
    assert breast.height_range() == (0, 799)
    assert breast.edges(600) == (104, 503)
    assert not breast.mask[:, 512 // 8 :].any()
    drawn = np.count_nonzero(pixels[:, :512] == 180) / 64
    assert np.count_nonzero(breast.pectoral) == pytest.approx(drawn, rel=0.1)
    mirrored = rule.find_breast(pixels[:, ::-1], "mdb001")
    assert mirrored.edges(600) == (919, 520)
    assert np.array_equal(mirrored.pectoral, breast.pectoral[:, ::-1])


def test_a_place_is_mirrored_into_the_other_breast(rule: ModuleType) -> None:
    pixels = np.zeros((1024, 1024), dtype=np.uint8)
    pixels[:800, 104:504] = 90
    left, right = rule.find_breast(pixels, "mdb002"), rule.find_breast(pixels[:, ::-1], "mdb001")
    place = rule.Place(left, Box(144, 340, 264, 460))
    box = place.transfer(right)
    # 100 pixels from the chest wall become 100 pixels from the chest wall.
    assert box == Box(919 - 100 - 60, 340, 919 - 100 + 60, 460)
    assert place.resembles(rule.Place(right, box))
    assert not place.resembles(rule.Place(right, Box(0, 0, 120, 120)))
