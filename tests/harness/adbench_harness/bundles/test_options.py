from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field

from adbench_harness.api import DataError, OptionError, Options
from adbench_harness.bundles.options import options_of
from adbench_harness.plan import changed_lengths

CONTENT = b"weights"
HASH = hashlib.sha256(CONTENT).hexdigest()


class Teacher(Options):
    lengths: ClassVar = frozenset({"epochs"})
    width: int = Field(8, ge=1, description="units")
    epochs: int = 5
    sizes: tuple[int, int] = (1, 2)
    teacher: Literal["random"] | Path = "random"
    mean: Path | None = None


class Needy(Options):
    weights: Path


PLAIN: dict[str, Any] = {"width": 8, "epochs": 5, "sizes": [1, 2], "teacher": "random", "mean": None}


def test_plain_options_are_the_model_s_own() -> None:
    found = options_of(Teacher, {**PLAIN, "epochs": 9}, {}, "run x")
    assert type(found) is Teacher
    assert found == Teacher(epochs=9)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.pth"
    path.write_bytes(CONTENT)
    return path


def test_a_file_that_is_not_here_goes_by_its_hash(file: Path) -> None:
    stated = Teacher(teacher=file, epochs=9).identity()
    found = options_of(Teacher, stated, {}, "run x")
    assert found.identity() == stated
    assert found.labels() == {"epochs": "9", "teacher": f"sha256:{HASH[:8]}"}
    assert changed_lengths(found) == {"epochs": "9"}
    assert type(found) is not Teacher
    assert options_of(Needy, {"weights": {"sha256": HASH}}, {}, "run x").labels() == {"weights": f"sha256:{HASH[:8]}"}


def test_a_file_that_is_here_is_taken_if_it_is_the_one(file: Path, tmp_path: Path) -> None:
    stated = Teacher(teacher=file).identity()
    assert options_of(Teacher, stated, {"teacher": str(file)}, "run x") == Teacher(teacher=file)
    other = tmp_path / "other.pth"
    other.write_bytes(b"other")
    with pytest.raises(OptionError, match=f"--set teacher={other}: not the file of run x, whose SHA-256 is {HASH}"):
        options_of(Teacher, stated, {"teacher": str(other)}, "run x")
    with pytest.raises(OptionError, match="run x has no file as option width; it has: teacher"):
        options_of(Teacher, stated, {"width": "9"}, "run x")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width": 0}, "width: Input should be greater than or equal to 1"),
        ({"width": "8"}, "option width is stated as '8'; it would be 8"),
        ({"more": 1}, "more: Extra inputs are not permitted"),
        ({"teacher": {"sha256": HASH, "url": "http://evil.example"}}, "its options are none of the model"),
    ],
)
def test_options_that_are_none(change: dict[str, Any], said: str, file: Path) -> None:
    for stated in ({**PLAIN, **change}, {**Teacher(mean=file).identity(), **change}):
        with pytest.raises(DataError, match=r"^run x: ") as error:
            options_of(Teacher, stated, {}, "run x")
        assert said in str(error.value)
