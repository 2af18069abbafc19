"""What is written. That it installs, passes and runs is shown by the tutorials, which tests take as a reader would."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

from adbench_harness.api import OptionError, StoreError
from adbench_harness.scaffold import Kind, new_package


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_a_package_is_whole(kind: Kind, tmp_path: Path) -> None:
    package = new_package(kind, "my-own-2", tmp_path)
    project = tomllib.loads((package.folder / "pyproject.toml").read_text())
    assert project["project"]["entry-points"][f"adbench.{kind}s"] == {"my-own-2": "my_own_2"}
    assert {"README.md", ".gitignore", ".github/workflows/ci.yml", "tests/test_my_own_2.py", package.code} <= set(package.files)
    for path in package.files:
        if path.endswith(".py"):
            ast.parse((package.folder / path).read_text())
        if not path.endswith(".png"):
            assert "{{" not in (package.folder / path).read_text()


def test_images_of_a_new_dataset_are_the_same_each_time(tmp_path: Path) -> None:
    one, two = (new_package("dataset", "discs", tmp_path / place) for place in ("one", "two"))
    images = [path for path in one.files if path.endswith(".png")]
    assert len(images) == 120
    assert all((one.folder / path).read_bytes() == (two.folder / path).read_bytes() for path in images)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("My_Detector", "small letters"),
        ("../escape", "small letters"),
        ("a--b", "small letters"),
        ("", "small letters"),
        ("json", "taken in this Python"),
        ("class", "taken in this Python"),
        ("pca", "is installed"),
    ],
    ids=["capitals", "path", "hyphens", "empty", "module", "keyword", "plugin"],
)
def test_a_name_that_can_t_be_is_refused(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=words):
        new_package("model", name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(StoreError, match="is there already"):
        new_package("model", "mine", tmp_path)


def test_what_could_not_be_written_whole_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*words: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(StoreError, match="No space left on device"):
        new_package("model", "mine", tmp_path)
    assert not (tmp_path / "mine").exists()
