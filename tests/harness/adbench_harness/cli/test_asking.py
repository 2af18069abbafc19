from __future__ import annotations

from pathlib import Path

import pytest

from adbench_harness.api import OptionError
from adbench_harness.cli.asking import Said, matrix_of
from adbench_harness.matrix import Matrix, Setting

FILE = """
model = ["pca", "multikd"]
dataset = "all"
protocol = "esmaeili2023"
split = "0..2"
seed = 4
device = "cpu"

[set]
components = [16, 64]
image_size = 32

[set.multikd]
teacher = "random"
flag = true
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "matrix.toml"
    path.write_text(FILE)
    return path


def test_a_command_alone_has_the_defaults() -> None:
    assert matrix_of(Said(("pca",), ("phantom",)), None) == Matrix(("pca",), ("phantom",), ("adbench-v1",))


def test_a_file_says_it_all(file: Path) -> None:
    settings = (
        Setting("components", "16"),
        Setting("components", "64"),
        Setting("image_size", "32"),
        Setting("teacher", "random", "multikd"),
        Setting("flag", "true", "multikd"),
    )
    assert matrix_of(Said(), file) == Matrix(
        ("pca", "multikd"), "all", ("esmaeili2023",), (0, 1, 2), (4,), settings, device="cpu"
    )


def test_the_command_goes_before_the_file(file: Path) -> None:
    said = Said(("pca",), seeds="all", settings=(Setting("components", "8"),), device="cuda")
    found = matrix_of(said, file)
    assert (found.models, found.datasets, found.splits, found.seeds, found.device) == (("pca",), "all", (0, 1, 2), "all", "cuda")
    assert [s.word for s in found.settings if s.name == "components"] == ["8"]
    assert Setting("teacher", "random", "multikd") in found.settings


def test_numbers_that_a_file_names_twice_are_one_run(tmp_path: Path) -> None:
    path = tmp_path / "matrix.toml"
    path.write_text('model = "pca"\ndataset = "phantom"\nsplit = [1, 1]\nseed = [3, 0, 3]\n')
    found = matrix_of(Said(), path)
    assert (found.splits, found.seeds) == ((1,), (3, 0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('model = "pca"', "no dataset is named in .*matrix.toml; say which with --dataset"),
        ("model = ", "matrix.toml is no TOML: Invalid value"),
        ('modle = "pca"', "matrix.toml: modle: extra inputs are not permitted; keys are model, dataset, "),
        ("model = 3", "matrix.toml: model"),
        ('model = "pca"\ndataset = "phantom"\nsplit = "x"', "'x' is not an integer; use 0, 0,2, 0..4 or all"),
    ],
)
def test_a_file_that_cannot_be(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "matrix.toml"
    path.write_text(text)
    with pytest.raises(OptionError, match=message):
        matrix_of(Said(), path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"cannot read .*nowhere\.toml: No such file"):
        matrix_of(Said(), tmp_path / "nowhere.toml")
