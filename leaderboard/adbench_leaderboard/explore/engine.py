"""DuckDB for browsers: taken from its npm packages when a site is built, kept, and checked whenever it is used.

It is some 35 MB of other people's files, so it is neither part of adbench nor taken unasked.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import tarfile
import zlib
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from adbench_harness.api import AdbenchError
from adbench_harness.home import make_folder, put_in_place

from ..site import File

DUCKDB: Final = "1.4.3"
"""What the WebAssembly below is."""
FOLDER: Final = "engine"
SECONDS: Final = 600
"""How long npm may take."""


@dataclass(frozen=True)
class Part:
    """A file of a package."""

    member: str
    """In the package."""
    sha256: str
    path: str
    """Below the engine's folder of a site; what ends in .gz is packed there and whole in the package."""


@dataclass(frozen=True)
class Package:
    """An npm package, pinned."""

    name: str
    version: str
    integrity: str
    """SHA-512 of its archive, as the registry writes it."""
    parts: Sequence[Part]

    @property
    def archive(self) -> str:
        """What ``npm pack`` calls its file."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


PACKAGES: Final = (
    Package(
        "@duckdb/duckdb-wasm",
        "1.32.0",
        "sha512-IewXTNYEjsZCPE9weUWgtjGxUlMRo7qhX0GF6tq/KjK8bnY+RAl4cyUdYUfcdzbyb4b9ZxPC+FOsCcxgaKFWMg==",
        (
            Part("dist/duckdb-eh.wasm", "4c221bfa59c11f24dbd750e70c90b9252eca6eec5633936e6a2ec766e55fd879", "duckdb.wasm.gz"),
            Part(
                "dist/duckdb-browser-eh.worker.js",
                "f8ab72b6b90b3ad83077d47426d4a99d5d9a4c7e07cba1a2be37d655adc7c1ab",
                "duckdb-worker.js",
            ),
            Part("dist/duckdb-browser.cjs", "bf86743bc168edcb6b3dea652a0bb08608ed983473e46f8825aa0762cac5e10b", "duckdb.js"),
        ),
    ),
    Package(
        "apache-arrow",
        "17.0.0",
        "sha512-X0p7auzdnGuhYMVKYINdQssS4EcKec9TCXyez/qtJt32DrIMGbzqiaMiQ0X6fQlQpw8Fl0Qygcv4dfRAr5Gu9Q==",
        (
            Part("Arrow.es2015.min.js", "375fb7c891e25677c021e585d4ec51a5752112b182f41d51071b8401e590379e", "arrow.js"),
            Part("LICENSE.txt", "229dbe29e4e1344e95172f6f3a4277ec0da5c7850cb03897c47f3a24b7afce08", "arrow-LICENSE.txt"),
            Part("NOTICE.txt", "b62ea242642d3a18f1e29b0c1fe082415a6943fe158ee22b48cff3762f354009", "arrow-NOTICE.txt"),
        ),
    ),
)


class EngineError(AdbenchError):
    """The engine can't be had; the message says what to do."""


def engine(cache: Path) -> list[File]:
    """The engine's files for a site: from the cache, else from npm.

    Raises:
        EngineError: if they are not in the cache and there is no npm, it fails, or it brings other files than those that are pinned.
    """
    found = _kept(cache)
    if found is None:
        _take(cache)
        found = _kept(cache)
    if found is None:
        raise EngineError(f"what was just written to {cache} can't be read back; check the disk")
    return found


def _kept(cache: Path) -> list[File] | None:
    """What the cache holds; None if anything is missing or damaged."""
    files: list[File] = []
    for part in _parts():
        try:
            content = _place(cache, part).read_bytes()
            whole = gzip.decompress(content) if part.path.endswith(".gz") else content
        except (OSError, EOFError, zlib.error):
            return None
        if hashlib.sha256(whole).hexdigest() != part.sha256:
            return None
        files.append(File(f"{FOLDER}/{part.path}", content))
    return files


def _parts() -> Iterator[Part]:
    return (part for package in PACKAGES for part in package.parts)


def _place(cache: Path, part: Part) -> Path:
    return cache / f"{part.sha256[:16]}-{part.path}"


def _take(cache: Path) -> None:
    make_folder(cache, "cache of the SQL engine")
    with TemporaryDirectory(prefix="adbench-npm-") as folder:
        _pack(Path(folder))
        for package in PACKAGES:
            try:
                for part, content in _read(Path(folder) / package.archive, package):
                    packed = gzip.compress(content, 9, mtime=0) if part.path.endswith(".gz") else content
                    with put_in_place(_place(cache, part)) as unfinished:
                        unfinished.write_bytes(packed)
            except OSError as error:
                raise EngineError(f"the SQL engine can't be kept in {cache}: {error.strerror or error}") from None


def _pack(folder: Path) -> None:
    """Have npm put the archives into a folder, and run nothing of theirs."""
    npm = shutil.which("npm")
    if npm is None:
        raise EngineError("the SQL engine comes from npm, which is not on the path; install Node.js, then build again with --sql")
    wanted = [f"{package.name}@{package.version}" for package in PACKAGES]
    command = [npm, "pack", "--silent", "--ignore-scripts", "--pack-destination", str(folder), *wanted]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise EngineError(f"npm has not brought the SQL engine in {SECONDS} s; try again with --sql") from None
    except OSError as error:
        raise EngineError(f"npm can't be run: {error.strerror or error}") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"it ended with {done.returncode}"]
        raise EngineError(f"npm did not bring the SQL engine ({lines[0].strip()}); try again with --sql when it can")


def _read(archive: Path, package: Package) -> Iterator[tuple[Part, bytes]]:
    """The files that we want of an archive. It is the pinned one, so what it unpacks to is known; nothing of it is written by name."""
    try:
        content = archive.read_bytes()
    except OSError:
        raise EngineError(f"npm left no {archive.name}; take a newer npm, then build again with --sql") from None
    if f"sha512-{b64encode(hashlib.sha512(content).digest()).decode()}" != package.integrity:
        raise EngineError(
            f"npm brought another {package.name} {package.version} than the one that is pinned; nothing of it is used"
        )
    with tarfile.open(archive) as members:
        for part in package.parts:
            member = members.extractfile(f"package/{part.member}")
            assert member is not None  # a file of a pinned archive
            yield part, member.read()
