from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adbench_harness import registry
from adbench_harness.api import DataError, NotImportedError, Sample
from adbench_harness.data.hashes import hash_files
from adbench_harness.data.listing import listing
from adbench_harness.home import Home

SAMPLES = [Sample("a", "a.bin", 0, group="g"), Sample("b", "b.bin", 1, "spot")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a.bin").write_bytes(b"1")
    (tmp_path / "b.bin").write_bytes(b"2")
    return tmp_path


def test_the_fingerprint_covers_content_and_meaning_but_not_place_or_order(root: Path, tmp_path: Path, make_listing: Any) -> None:
    base = make_listing(root, SAMPLES).fingerprint
    assert make_listing(root, SAMPLES[::-1]).fingerprint == base
    other = tmp_path / "elsewhere"
    other.mkdir()
    for name in ("a.bin", "b.bin"):
        (other / name).write_bytes((root / name).read_bytes())
    assert make_listing(other, SAMPLES).fingerprint == base
    for changed in (replace(SAMPLES[1], subtype="blot"), replace(SAMPLES[1], group="h"), replace(SAMPLES[1], id="c")):
        assert make_listing(root, [SAMPLES[0], changed]).fingerprint != base
    (root / "a.bin").write_bytes(b"3")
    assert make_listing(root, SAMPLES).fingerprint != base


def test_the_phantom_s_fingerprint_is_the_same_everywhere(home: Home) -> None:
    assert listing(registry.dataset("phantom").spec, home).fingerprint == "b6b93ffe64683f0d"


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "lists no samples"),
        ([SAMPLES[0], SAMPLES[0]], "two samples with the id 'a'"),
        ([replace(SAMPLES[0], label=2)], "sample 'a' has label 2"),
        ([replace(SAMPLES[0], subtype="spot")], "label 0 and subtype 'spot'"),
        ([replace(SAMPLES[0], path="gone.bin")], r"gone\.bin: No such file or directory; import the dataset again"),
    ],
)
def test_an_impossible_listing_is_refused(root: Path, make_listing: Any, samples: list[Sample], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_listing(root, samples)


def test_a_dataset_that_is_not_here_names_the_command_that_brings_it(home: Home) -> None:
    with pytest.raises(NotImportedError, match="type: adbench datasets import mias PATH"):
        listing(registry.dataset("mias-patches").spec, home)


def test_hashes_are_remembered_until_a_file_changes(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = hash_files(root, ["a.bin", "b.bin"], tmp_path / "memo")
    hashed: list[Path] = []

    def count(path: Path) -> str:
        hashed.append(path)
        return "new"

    monkeypatch.setattr("adbench_harness.data.hashes._hash", count)
    assert hash_files(root, ["a.bin", "b.bin"], tmp_path / "memo") == first
    assert hashed == []
    os.utime(root / "a.bin", ns=(1, 1))
    assert hash_files(root, ["a.bin", "b.bin"], tmp_path / "memo")["a.bin"] == "new"
    assert hashed == [root / "a.bin"]


def test_a_spoilt_memo_costs_time_only(root: Path, tmp_path: Path) -> None:
    first = hash_files(root, ["a.bin"], tmp_path / "memo")
    for spoilt in ("{not json", "[]", "null", '{"a.bin": 3}'):
        for memo in (tmp_path / "memo").iterdir():
            memo.write_text(spoilt)
        assert hash_files(root, ["a.bin"], tmp_path / "memo") == first
