from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import pytest

from adbench_datasets.mias_annotations import (
    Annotation,
    centred_box,
    check_films,
    patient_group,
    read_annotations,
    read_manifest,
)
from adbench_harness.api import Box, DataError, file_sha256


def test_rows_are_read_by_film(small_mias: Path) -> None:
    films = read_annotations(small_mias)
    assert list(films) == ["mdb001", "mdb003", "mdb005", "mdb059", "mdb144", "mdb216"]
    assert films["mdb001"] == [Annotation("mdb001", "G", "CIRC", "B", 535, 425, 197)]
    assert films["mdb003"] == [Annotation("mdb003", "D", "NORM")]
    assert [row.radius for row in films["mdb005"]] == [30, 26]


def test_lesions_without_circle_have_no_centre(small_mias: Path) -> None:
    films = read_annotations(small_mias)
    assert films["mdb059"] == [Annotation("mdb059", "F", "CIRC", "B")]
    assert films["mdb216"] == [Annotation("mdb216", "D", "CALC", "M")]
    assert films["mdb216"][0].centre is None


def test_y_counts_from_the_bottom() -> None:
    assert Annotation("mdb144", "F", "MISC", "B", 233, 994, 29).centre == (233, 29)
    assert Annotation("mdb144", "F", "MISC", "B", 0, 0, 1).centre == (0, 1023)


def test_carriage_returns_change_nothing(small_mias: Path) -> None:
    expected = read_annotations(small_mias)
    info = small_mias / "Info.txt"
    info.write_bytes(info.read_bytes().replace(b"\n", b"\r\n"))
    assert read_annotations(small_mias) == expected


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("mdb01 G NORM", "no film id"),
        ("mdb009 X NORM", "density"),
        ("mdb009 G", "density"),
        ("mdb009 G NORM B", "normal film has further fields"),
        ("mdb009 G LUMP B 1 2 3", "unknown class"),
        ("mdb009 G CIRC", "severity"),
        ("mdb009 G CIRC X 1 2 3", "severity"),
        ("mdb009 G CIRC B 1 2", "x, y and radius"),
        ("mdb009 G CIRC B 1 -2 3", "x, y and radius"),
        ("mdb009 G CIRC B 1 2 3 4", "x, y and radius"),
        ("mdb009 G CIRC B 1024 2 3", "below 1024"),
        ("mdb009 G CIRC B 1 2 0", "radius above 0"),
        ("mdb003 D CIRC B 1 2 3", "said to be normal"),
        ("mdb001 D CIRC B 1 2 3", "two densities"),
    ],
)
def test_a_bad_row_is_named_with_file_and_line(small_mias: Path, row: str, complaint: str) -> None:
    info = small_mias / "Info.txt"
    number = len(info.read_text().splitlines()) + 1
    with info.open("a") as stream:
        stream.write(row + "\n")
    with pytest.raises(DataError, match=rf"{re.escape(str(info))}, line {number}: .*{complaint}"):
        read_annotations(small_mias)


def test_missing_info_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Info\.txt can't be read.*import the dataset again"):
        read_annotations(tmp_path)


def test_info_without_rows_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "Info.txt").write_text("only prose\n")
    with pytest.raises(DataError, match="no row"):
        read_annotations(tmp_path)


def test_missing_films_are_counted(small_mias: Path) -> None:
    films = read_annotations(small_mias)
    check_films(small_mias, films)
    (small_mias / "mdb003.pgm").unlink()
    with pytest.raises(DataError, match=r"lacks mdb003\.pgm, listed"):
        check_films(small_mias, films)
    (small_mias / "mdb144.pgm").unlink()
    with pytest.raises(DataError, match=r"lacks mdb003\.pgm and 1 more"):
        check_films(small_mias, films)


def test_a_group_is_an_odd_film_and_the_next() -> None:
    assert patient_group("mdb001") == patient_group("mdb002") == "001-002"
    assert patient_group("mdb321") == patient_group("mdb322") == "321-322"


def test_boxes_are_shifted_into_the_film() -> None:
    assert centred_box(500, 400, 120) == Box(440, 340, 560, 460)
    assert centred_box(10, 1020, 120) == Box(0, 904, 120, 1024)


def test_manifest_lists_the_archive() -> None:
    entries = {entry.path: entry for entry in read_manifest()}
    assert len(entries) == 325
    assert {"Info.txt", "Licence.txt", "README", "mdb001.pgm", "mdb322.pgm"} <= entries.keys()
    assert all(len(entry.sha256) == 64 and entry.bytes > 0 for entry in entries.values())


def test_real_rows_are_counted_as_known(listed_mias: Path) -> None:
    films = read_annotations(listed_mias)
    rows = list(chain.from_iterable(films.values()))
    assert len(rows) == 330
    assert len(films) == 322
    assert sum(row.is_lesion for row in rows) == 123
    assert sum(row.centre is not None for row in rows) == 119
    assert sum(not rows[0].is_lesion for rows in films.values()) == 207
    assert {film for film, rows in films.items() if len(rows) > 1} == {
        "mdb005",
        "mdb132",
        "mdb144",
        "mdb223",
        "mdb226",
        "mdb239",
        "mdb249",
    }
    assert {row.film for row in rows if row.is_lesion and row.centre is None} == {"mdb059", "mdb216", "mdb233", "mdb245"}
    assert len({patient_group(film) for film in films}) == 161


@pytest.mark.slow
def test_real_files_match_the_manifest(real_mias: Path) -> None:
    entries = read_manifest()
    assert {path.name for path in real_mias.iterdir()} == {entry.path for entry in entries}
    for entry in entries:
        assert (real_mias / entry.path).stat().st_size == entry.bytes
        assert file_sha256(real_mias / entry.path) == entry.sha256
