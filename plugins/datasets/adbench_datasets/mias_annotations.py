"""The radiologists' annotations of MIAS (Info.txt), and the facts that both MIAS datasets share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adbench_harness.api import Box, DataError, ManifestEntry

from .label_tables import and_more
from .shipped_manifests import read_shipped_manifest

INFO: Final = "Info.txt"
FILM_SIZE: Final = 1024
"""Every film is padded or clipped to a square of this many pixels."""
NORMAL_CLASS: Final = "NORM"
SEVERITIES: Final = {"B": "benign", "M": "malignant"}
_CLASSES: Final = frozenset({"CALC", "CIRC", "SPIC", "MISC", "ARCH", "ASYM"})
_DENSITIES: Final = frozenset({"F", "G", "D"})
_FILM: Final = re.compile(r"mdb\d{3}")
_REPAIR: Final = "import the dataset again from the original archive"

CITATION: Final = (
    "J. Suckling et al. (1994): The Mammographic Image Analysis Society Digital Mammogram Database. "
    "Excerpta Medica, International Congress Series 1069, pp. 375-378."
)
LICENCE: Final = (
    "MIAS licence agreement (Licence.txt in the archive): for research purposes only; not to be rented, leased or sold; "
    "publications must refer to the database."
)
SOURCE: Final = (
    "The mini-MIAS archive all-mias.tar.gz (322 films at 200 micron, 1024 x 1024 pixels, 8 bit) of the Pilot European Image "
    "Processing Archive. Download it yourself, which accepts its licence, and import the archive or the unpacked folder."
)
URL: Final = "http://peipa.essex.ac.uk/info/mias.html"
ARCHIVE_URL: Final = "http://peipa.essex.ac.uk/pix/mias/all-mias.tar.gz"
GROUP_RULE: Final = "one patient: a pair of films with consecutive numbers, odd first (001-002, 003-004, ...)"
TASKS: Final[Mapping[str, Sequence[str]]] = {
    "benign": ("benign", "benign+malignant"),
    "malignant": ("malignant", "benign+malignant"),
}


@dataclass(frozen=True)
class Annotation:
    """One row of Info.txt: a lesion, or the statement that a film is normal."""

    film: str
    """Such as "mdb005"."""
    density: str
    """Background tissue: F fatty, G fatty-glandular, D dense-glandular."""
    lesion_class: str
    """CALC, CIRC, SPIC, MISC, ARCH, ASYM; NORM where the film is normal."""
    severity: str | None = None
    """B benign, M malignant; None where the film is normal."""
    x: int | None = None
    """Column of the lesion's centre, if stated."""
    y: int | None = None
    """Height of the lesion's centre above the *bottom* row, if stated."""
    radius: int | None = None
    """Radius in pixels of a circle around the lesion, if stated."""

    @property
    def is_lesion(self) -> bool:
        """Whether the row describes a lesion."""
        return self.lesion_class != NORMAL_CLASS

    @property
    def centre(self) -> tuple[int, int] | None:
        """Column and row of the lesion's centre, row 0 at the top as in the decoded image."""
        if self.x is None or self.y is None:
            return None
        # Info.txt, note 3: "Coordinate system origin is the bottom-left corner".
        return self.x, FILM_SIZE - 1 - self.y


def read_annotations(root: Path) -> dict[str, list[Annotation]]:
    """The rows of Info.txt in ``root`` by film, both in the file's order."""
    path = root / INFO
    try:
        text = path.read_text(encoding="latin-1")
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}); it holds the labels of MIAS: {_REPAIR}") from error
    films: dict[str, list[Annotation]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        # About a hundred lines of prose come first and a ruler last; only rows start with a film's id.
        if not fields or not fields[0].startswith("mdb"):
            continue
        row = _parse_row(fields, f"{path}, line {number}")
        rows = films.setdefault(row.film, [])
        rows.append(row)
        _check_film(rows, f"{path}, line {number}")
    if not films:
        raise DataError(f"{path} has no row that starts with a film such as mdb001; {_REPAIR}")
    return films


def _parse_row(fields: Sequence[str], where: str) -> Annotation:
    """One row from its fields; ``where`` is the file and line for the error."""
    if not _FILM.fullmatch(fields[0]):
        raise DataError(f"{where}: {fields[0]!r} is no film id (mdb and three digits); {_REPAIR}")
    if len(fields) < 3 or fields[1] not in _DENSITIES:
        raise DataError(f"{where}: expected a film, its density (F, G or D) and a class, found {' '.join(fields)!r}; {_REPAIR}")
    film, density, lesion_class, *rest = fields
    if lesion_class == NORMAL_CLASS:
        if rest:
            raise DataError(f"{where}: a normal film has further fields: {' '.join(rest)!r}; {_REPAIR}")
        return Annotation(film, density, lesion_class)
    if lesion_class not in _CLASSES:
        raise DataError(f"{where}: unknown class {lesion_class!r}; {_REPAIR}")
    if not rest or rest[0] not in SEVERITIES:
        raise DataError(f"{where}: a lesion needs a severity, B or M; {_REPAIR}")
    severity, *circle = rest
    # Calcifications spread over the whole breast have no circle; mdb059 has none without saying so.
    if not circle or circle == ["*NOTE", "3*"]:
        return Annotation(film, density, lesion_class, severity)
    return Annotation(film, density, lesion_class, severity, *_parse_circle(circle, where))


def _parse_circle(fields: Sequence[str], where: str) -> tuple[int, int, int]:
    """``x``, ``y`` and radius of a lesion."""
    if len(fields) != 3 or not all(field.isascii() and field.isdigit() for field in fields):
        raise DataError(f"{where}: expected x, y and radius in pixels, found {' '.join(fields)!r}; {_REPAIR}")
    x, y, radius = (int(field) for field in fields)
    if max(x, y) >= FILM_SIZE or radius == 0:
        raise DataError(f"{where}: x and y must be below {FILM_SIZE} and the radius above 0, found {x} {y} {radius}; {_REPAIR}")
    return x, y, radius


def _check_film(rows: Sequence[Annotation], where: str) -> None:
    """Raise DataError if the rows of one film contradict each other."""
    if len(rows) > 1 and not all(row.is_lesion for row in rows):
        raise DataError(f"{where}: {rows[0].film} is said to be normal and has another row; {_REPAIR}")
    if len({row.density for row in rows}) > 1:
        raise DataError(f"{where}: {rows[0].film} has two densities; {_REPAIR}")


def check_films(root: Path, films: Mapping[str, Sequence[Annotation]]) -> None:
    """Raise DataError unless every annotated film is in ``root``."""
    present = {path.name for path in root.iterdir()}
    missing = [film_path(film) for film in films if film_path(film) not in present]
    if missing:
        raise DataError(f"{root} lacks {missing[0]}{and_more(missing)}, listed in {INFO}; {_REPAIR}")


def film_path(film: str) -> str:
    """The file of a film, relative to the dataset's folder."""
    return f"{film}.pgm"


def patient_group(film: str) -> str:
    """Both films of a patient, such as "001-002": the odd number is followed by its even partner."""
    number = int(film.removeprefix("mdb"))
    first = number if number % 2 else number - 1
    return f"{first:03d}-{first + 1:03d}"


def centred_box(column: int, row: int, size: int) -> Box:
    """A square of ``size`` pixels around a pixel, shifted where needed to lie fully inside the film."""
    left, top = (min(max(position - size // 2, 0), FILM_SIZE - size) for position in (column, row))
    return Box(left, top, left + size, top + size)


def read_manifest() -> Sequence[ManifestEntry]:
    """Every file of the original archive with its SHA-256 and size."""
    return read_shipped_manifest("mias")
