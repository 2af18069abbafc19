"""Small made-up folders, and the real data where the machine has it."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[4]
ARCHIVE = "all-mias.tar.bz2"

INFO_EXCERPT = """\
              MAMMOGRAPHIC IMAGE ANALYSIS SOCIETY
Thank you for downloading the MIAS MiniMammographic Database.
2nd column: Character of background tissue:
                F - Fatty
1) The list is arranged in pairs of films.
   Coordinate system origin is the bottom-left corner.
=================================================================

mdb001 G CIRC B 535 425 197
mdb003 D NORM\x20
mdb005 F CIRC B 477 133 30
mdb005 F CIRC B 500 168 26\x20
mdb059 F CIRC B
mdb144 F MISC B 233 994 29
mdb144 F MISC M 313 540 27
mdb216 D CALC M *NOTE 3*\x20

=================================================================
"""


def write_mias(folder: Path, info: str = INFO_EXCERPT) -> Path:
    """A folder with this Info.txt and an empty file for each film it names."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Info.txt").write_bytes(info.encode())
    for line in info.splitlines():
        if line.startswith("mdb"):
            (folder / f"{line.split()[0]}.pgm").touch()
    return folder


@pytest.fixture
def small_mias(tmp_path: Path) -> Path:
    return write_mias(tmp_path / "mias")


def real_data(name: str) -> Path:
    """A file or folder of real data, or the test is skipped."""
    stated = os.environ.get("ADBENCH_TEST_DATA")
    folder = Path(stated) if stated else REPOSITORY.parent / "shared" / "data"
    if not (folder / name).exists():
        pytest.skip(f"no {name} in {folder}; set ADBENCH_TEST_DATA to its folder")
    return folder / name


@pytest.fixture(scope="session")
def mias_archive() -> Path:
    return real_data(ARCHIVE)


@pytest.fixture(scope="session")
def real_brain_tumor_mri() -> Path:
    return real_data("brain-tumor-mri")


@pytest.fixture(scope="session")
def real_head_ct() -> Path:
    return real_data("head-ct")


@pytest.fixture(scope="session")
def real_retinal_oct() -> Path:
    return real_data("retinal-oct-mini")


@pytest.fixture(scope="session")
def real_c_nmc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature of the real images, unpacked."""
    folder = tmp_path_factory.mktemp("c-nmc")
    with zipfile.ZipFile(real_data("c-nmc-mini.zip")) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def listed_mias(mias_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real Info.txt beside empty films: enough to list samples, and quick."""
    with tarfile.open(mias_archive, "r|bz2") as archive:
        # Info.txt comes first, so hardly anything is decompressed.
        for member in archive:
            if Path(member.name).name == "Info.txt":
                stream = archive.extractfile(member)
                assert stream is not None
                return write_mias(tmp_path_factory.mktemp("mias") / "listed", stream.read().decode("latin-1"))
    pytest.fail(f"{mias_archive} has no Info.txt")


@pytest.fixture(scope="session")
def real_mias(mias_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real films; unpacking takes about 15 s."""
    folder = tmp_path_factory.mktemp("mias") / "real"
    folder.mkdir()
    with tarfile.open(mias_archive, "r|bz2") as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is not None:
                with (folder / Path(member.name).name).open("wb") as target:
                    shutil.copyfileobj(stream, target)
    return folder
