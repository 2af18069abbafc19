from __future__ import annotations

import hashlib
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from adbench_harness.api import (
    AdbenchError,
    ArchiveError,
    DataError,
    DatasetSpec,
    Edition,
    ManifestEntry,
    NotImportedError,
    Sample,
)
from adbench_harness.data.importing import import_dataset
from adbench_harness.data.listing import folder as place_of
from adbench_harness.data.record import read_record, remove_import
from adbench_harness.home import Home

FILES = {"Info.txt": b"about", "a/one.pgm": b"first film", "a/two.pgm": b"second film"}


@pytest.fixture
def spec() -> DatasetSpec:
    entries = [ManifestEntry(path, hashlib.sha256(data).hexdigest(), len(data)) for path, data in FILES.items()]
    return DatasetSpec(
        name="films",
        title="",
        samples=lambda root: [],
        modality="",
        organ="",
        citation="",
        licence="",
        source="",
        group_rule="",
        editions=[Edition("original", lambda: entries)],
    )


def folder(root: Path, files: dict[str, bytes] = FILES) -> Path:
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def stored(home: Home) -> dict[str, bytes]:
    root = home.dataset("films")
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("layout", ["folder", "folder in a folder", "tar.gz", "tar.bz2 with ./", "zip nested", "with strangers"])
def test_every_layout_gives_the_same_files(tmp_path: Path, home: Home, spec: DatasetSpec, layout: str) -> None:
    source = folder(tmp_path / "src")
    if layout == "folder in a folder":
        source = folder(tmp_path / "outer" / "films").parent
    elif layout == "tar.gz":
        with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
            tar.add(source, "all-films")
        source = tmp_path / "x.tar.gz"
    elif layout == "tar.bz2 with ./":
        with tarfile.open(tmp_path / "x.tar.bz2", "w:bz2") as tar:
            tar.add(source, "./")
        source = tmp_path / "x.tar.bz2"
    elif layout == "zip nested":
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            for path, data in FILES.items():
                archive.writestr(f"films/films/{path}", data)
        source = tmp_path / "x.zip"
    elif layout == "with strangers":
        folder(source, {"thumbs.db": b"x", "copy/Info.txt": b"another of that name"})
    done = import_dataset(spec, source, home)
    assert stored(home) == FILES
    assert (done.record.files, done.record.edition, done.already_there) == (3, "original", False)


def test_importing_twice_does_nothing_and_mends_what_was_altered(tmp_path: Path, home: Home, spec: DatasetSpec) -> None:
    source = folder(tmp_path / "src")
    import_dataset(spec, source, home)
    assert import_dataset(spec, source, home).already_there
    (home.dataset("films") / "a" / "one.pgm").write_bytes(b"FIRST film")
    assert not import_dataset(spec, source, home).already_there
    assert stored(home) == FILES


def test_a_link_in_the_dataset_s_place_is_replaced_and_what_it_points_to_stays(
    tmp_path: Path, home: Home, spec: DatasetSpec
) -> None:
    other = folder(tmp_path / "other", {"mine.txt": b"mine"})
    home.dataset("films").parent.mkdir(parents=True)
    home.dataset("films").symlink_to(other)
    import_dataset(spec, folder(tmp_path / "src"), home)
    assert stored(home) == FILES
    assert (other / "mine.txt").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({**FILES, "a/one.pgm": b"first"}, r"1 altered \(a/one\.pgm\); nothing was imported \(--allow-partial"),
        ({"Info.txt": b"about", "a/two.pgm": b"second film"}, r"1 missing \(a/one\.pgm\)"),
        ({"else.txt": b""}, "none of the files of films is in it; is it the right one"),
    ],
)
def test_what_is_not_the_original_is_refused_file_by_file(
    tmp_path: Path, home: Home, spec: DatasetSpec, files: dict[str, bytes], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        import_dataset(spec, folder(tmp_path / "src", files), home)
    assert not list(home.root.rglob("*.pgm"))
    assert not home.dataset("films").exists()
    assert read_record(spec, home) is None


def test_a_partial_copy_is_taken_in_when_it_is_allowed_and_remembers_every_difference(
    tmp_path: Path, home: Home, spec: DatasetSpec
) -> None:
    files = {"Info.txt": b"other", "a/two.pgm": b"second film", "a/three.pgm": b"third"}
    done = import_dataset(spec, folder(tmp_path / "src", files), home, allow_partial=True)
    assert stored(home) == files
    record = read_record(spec, home)
    assert record == done.record
    assert record.partial
    assert done.comparison.by_kind == {"missing": ("a/one.pgm",), "altered": ("Info.txt",), "unexpected": ("a/three.pgm",)}
    import_dataset(spec, folder(tmp_path / "whole"), home)
    assert stored(home) == FILES
    assert not (read_record(spec, home) or record).partial


def test_another_dataset_with_the_same_folders_is_no_partial_copy(tmp_path: Path, home: Home, spec: DatasetSpec) -> None:
    files = {"a/one.pgm": b"of another set", "a/four.pgm": b"as well"}
    with pytest.raises(DataError, match=r"none of the files of films is in it, .*is it the right one"):
        import_dataset(spec, folder(tmp_path / "src", files), home, allow_partial=True)
    assert read_record(spec, home) is None


def test_a_folder_is_linked_or_used_in_place_without_a_copy(tmp_path: Path, home: Home, spec: DatasetSpec) -> None:
    source = folder(tmp_path / "outer" / "films").parent
    import_dataset(spec, source, home, how="linked")
    assert (home.dataset("films") / "a" / "one.pgm").resolve() == (source / "films" / "a" / "one.pgm").resolve()
    assert import_dataset(spec, source, home, how="linked").already_there
    done = import_dataset(spec, source, home, how="in place")
    assert done.record.folder == source
    assert done.record.bytes == sum(map(len, FILES.values()))
    assert not home.dataset("films").exists()
    assert place_of(spec, home) == source
    assert {path.name for path in source.rglob("*.pgm")} == {"one.pgm", "two.pgm"}


def test_an_archive_cannot_be_linked(tmp_path: Path, home: Home, spec: DatasetSpec) -> None:
    (tmp_path / "x.zip").write_bytes(b"")
    with pytest.raises(DataError, match="only a folder can be linked; unpack the archive first"):
        import_dataset(spec, tmp_path / "x.zip", home, how="linked")


def test_a_folder_used_in_place_that_is_gone_is_named(tmp_path: Path, home: Home, spec: DatasetSpec) -> None:
    source = folder(tmp_path / "src")
    import_dataset(spec, source, home, how="in place")
    source.rename(tmp_path / "moved")
    with pytest.raises(NotImportedError, match="is gone; bring the folder back"):
        place_of(spec, home)


def test_an_archive_of_an_archive_is_said(tmp_path: Path, home: Home, spec: DatasetSpec) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("inner/films.tar.gz", b"packed")
    with pytest.raises(DataError, match=r"but an archive \(inner/films.tar.gz\); unpack that one"):
        import_dataset(spec, tmp_path / "x.zip", home)


def test_what_the_plugin_cannot_list_is_not_imported(tmp_path: Path, home: Home, spec: DatasetSpec) -> None:
    def refuse(root: Path) -> list[Sample]:
        raise DataError(f"{root}: a label is wrong")

    with pytest.raises(DataError, match="a label is wrong"):
        import_dataset(replace(spec, samples=refuse), folder(tmp_path / "src"), home)
    assert not home.dataset("films").exists()


def test_an_import_is_removed_but_never_the_folder_that_is_used_in_place(tmp_path: Path, home: Home, spec: DatasetSpec) -> None:
    source = folder(tmp_path / "src")
    import_dataset(spec, source, home)
    assert remove_import(spec, home) == home.dataset("films")
    assert not list(home.dataset("films").parent.iterdir())
    import_dataset(spec, source, home, how="in place")
    remove_import(spec, home)
    assert (source / "Info.txt").exists()
    assert remove_import(spec, home) is None


def test_a_hostile_archive_leaves_nothing_behind(tmp_path: Path, home: Home, spec: DatasetSpec) -> None:
    source = folder(tmp_path / "src")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(source / "Info.txt", "Info.txt")
        tar.add(source / "a" / "one.pgm", "../a/one.pgm")
    with pytest.raises(ArchiveError, match="points outside"):
        import_dataset(spec, tmp_path / "x.tar", home)
    assert not [path for path in home.root.rglob("*") if path.is_file()]
    assert not (tmp_path / "a").exists()


def test_a_full_disk_is_named_and_nothing_stays(
    tmp_path: Path, home: Home, spec: DatasetSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __enter__(self) -> Full:
            return self

        def __exit__(self, *error: object) -> None: ...

        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

    source = folder(tmp_path / "src")
    real = Path.open
    monkeypatch.setattr(Path, "open", lambda self, mode="r", *a, **k: Full() if mode == "wb" else real(self, mode, *a, **k))
    with pytest.raises(DataError, match=r"cannot write .*: No space left on device; nothing was imported"):
        import_dataset(spec, source, home)


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path, spec: DatasetSpec) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AdbenchError, match="choose another with --home"):
        import_dataset(spec, folder(tmp_path / "src"), Home(tmp_path / "file" / "home"))


def test_what_ships_with_adbench_or_has_no_manifest_is_not_imported(tmp_path: Path, home: Home, spec: DatasetSpec) -> None:
    with pytest.raises(DataError, match="ships with adbench"):
        import_dataset(replace(spec, embedded=tmp_path), tmp_path, home)
    with pytest.raises(DataError, match="has no manifest"):
        import_dataset(replace(spec, editions=()), tmp_path, home)
