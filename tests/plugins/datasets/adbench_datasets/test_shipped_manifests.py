from __future__ import annotations

import string

import pytest

from adbench_datasets.shipped_manifests import read_shipped_manifest


@pytest.mark.parametrize(("dataset", "files"), [("brain-tumor-mri", 253), ("head-ct", 201), ("mias", 325)])
def test_each_row_is_a_file_with_hash_and_size(dataset: str, files: int) -> None:
    entries = read_shipped_manifest(dataset)
    assert len({entry.path for entry in entries}) == len(entries) == files
    for entry in entries:
        assert len(entry.sha256) == 64
        assert set(entry.sha256) <= set(string.hexdigits.lower())
        assert entry.bytes > 0


def test_spaces_in_a_path_survive() -> None:
    assert "no/1 no.jpeg" in {entry.path for entry in read_shipped_manifest("brain-tumor-mri")}
