from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from adbench_datasets import mias
from adbench_harness.api import DataError, DatasetSpec


def test_one_spec_is_registered() -> None:
    specs: list[DatasetSpec] = []
    mias.register_datasets(specs.append)
    assert [spec.name for spec in specs] == ["mias"]
    assert mias.adbench_api == 1
    assert specs[0].folder_name == "mias"
    assert [edition.name for edition in specs[0].editions] == ["original"]


def test_each_film_is_one_sample(small_mias: Path) -> None:
    samples = {sample.id: sample for sample in mias.list_films(small_mias)}
    assert list(samples) == ["mdb001", "mdb003", "mdb005", "mdb059", "mdb144", "mdb216"]
    assert {film: sample.label for film, sample in samples.items() if sample.label == 0} == {"mdb003": 0}
    assert [sample.subtype for sample in samples.values()] == [
        "benign",
        "normal",
        "benign",
        "benign",
        "benign+malignant",
        "malignant",
    ]
    assert all(sample.box is None and sample.path == f"{film}.pgm" for film, sample in samples.items())


def test_attributes_describe_the_largest_lesion(small_mias: Path) -> None:
    samples = {sample.id: sample for sample in mias.list_films(small_mias)}
    assert samples["mdb003"].attributes == {"density": "D", "lesions": 0}
    assert samples["mdb005"].attributes == {"density": "F", "lesions": 2, "lesion_class": "CIRC", "radius": 30}
    assert samples["mdb216"].attributes == {"density": "D", "lesions": 1, "lesion_class": "CALC"}


def test_a_missing_film_is_a_data_error(small_mias: Path) -> None:
    (small_mias / "mdb005.pgm").unlink()
    with pytest.raises(DataError, match=r"mdb005\.pgm"):
        mias.list_films(small_mias)


def test_the_counts_of_the_study_fit() -> None:
    assert mias.MIAS.split_counts == (167, 40, 115)
    assert mias.MIAS.tasks.keys() == {"benign", "malignant"}
    assert [download.url for download in mias.MIAS.downloads] == ["http://peipa.essex.ac.uk/pix/mias/all-mias.tar.gz"]


def test_real_counts_are_the_expected_ones(listed_mias: Path) -> None:
    samples = mias.list_films(listed_mias)
    assert len({sample.id for sample in samples}) == 322
    assert Counter(sample.subtype for sample in samples) == mias.MIAS.expected
    assert sum(sample.label for sample in samples) == 115
    assert [sample.id for sample in samples if sample.subtype == "benign+malignant"] == ["mdb144"]
    assert set(Counter(sample.group for sample in samples).values()) == {2}
    named = {subtype for subtypes in mias.MIAS.tasks.values() for subtype in subtypes}
    assert named == mias.MIAS.expected.keys() - {"normal"}
