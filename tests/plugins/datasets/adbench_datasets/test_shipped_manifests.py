from __future__ import annotations

import gzip
import importlib.util
import string
import sys
from pathlib import Path
from types import ModuleType

import pytest

from adbench_datasets.shipped_manifests import read_shipped_manifest

SCRIPT = Path(__file__).parents[4] / "scripts" / "ship_manifests.py"
FILES = {"br35h": 3060, "brain-tumor-mri": 253, "c-nmc": 15115, "head-ct": 201, "mias": 325, "retinal-oct": 1003}
TABLE = "path\tsha256\tbytes\tformat\nno/1 n\u00f6.jpg\tab12\t34\tPNG\nyes/2.jpg\tcd\t5\t\n"


@pytest.fixture(scope="session")
def script() -> ModuleType:
    """The script that writes the manifests."""
    spec = importlib.util.spec_from_file_location("ship_manifests", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("dataset", "files"), FILES.items())
def test_each_row_is_a_file_with_hash_and_size(dataset: str, files: int) -> None:
    entries = read_shipped_manifest(dataset)
    assert len({entry.path for entry in entries}) == len(entries) == files
    for entry in entries:
        assert len(entry.sha256) == 64
        assert set(entry.sha256) <= set(string.hexdigits.lower())
        assert entry.bytes > 0


def test_spaces_in_a_path_survive() -> None:
    assert "no/1 no.jpeg" in {entry.path for entry in read_shipped_manifest("brain-tumor-mri")}


def test_a_manifest_is_read_once() -> None:
    assert read_shipped_manifest("br35h") is read_shipped_manifest("br35h")


def test_exactly_these_manifests_ship(script: ModuleType) -> None:
    assert sorted(path.name for path in script.FOLDER.iterdir()) == [f"{dataset}.tsv.gz" for dataset in FILES]


def test_what_ships_is_as_the_script_writes_it(script: ModuleType) -> None:
    for path in script.FOLDER.iterdir():
        packed = path.read_bytes()
        # Four bytes of time and no flags, so no file name: another machine gives the same header.
        assert packed[3:8] == bytes(5)
        assert gzip.decompress(packed).startswith(b"path\tsha256\tbytes\n")


def test_the_script_keeps_three_columns(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some.tsv").write_text(TABLE, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["ship_manifests.py", str(tmp_path), "--output", str(tmp_path)])
    script.main()
    first = (tmp_path / "some.tsv.gz").read_bytes()
    assert gzip.decompress(first).decode() == "path\tsha256\tbytes\nno/1 n\u00f6.jpg\tab12\t34\nyes/2.jpg\tcd\t5\n"
    script.main()
    assert (tmp_path / "some.tsv.gz").read_bytes() == first


def test_the_script_names_a_missing_column(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "some.tsv").write_text("path\tbytes\na\t1\n")
    with pytest.raises(SystemExit, match=r"some\.tsv lacks the column sha256"):
        script.reduce_table(tmp_path / "some.tsv")


def test_the_script_wants_tables(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["ship_manifests.py", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"holds no table NAME\.tsv"):
        script.main()
