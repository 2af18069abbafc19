"""Download a dataset's archive: goes on where it was cut off, and is checked before anything is imported."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ..api import DataError, DatasetSpec, Download
from ..home import Home, make_folder

if TYPE_CHECKING:
    from requests import Response

Progress = Callable[[int, int | None], None]
"""Called with (bytes done, bytes in all or None)."""
CHUNK: Final = 1 << 14
"""Bytes; what came of a chunk is lost if the connection ends in it."""
ATTEMPTS: Final = 5
"""How often a download that is cut off goes on by itself."""
TIMEOUT: Final = (20.0, 60.0)
"""Seconds to connect, and seconds without a byte."""
KAGGLE: Final = "kaggle:"
PARTIAL_CONTENT: Final = 206
RANGE_REFUSED: Final = 416


@dataclass(frozen=True)
class Fetched:
    """An archive or folder that can be imported."""

    path: Path
    origin: str
    ours: bool
    """Whether it lies in our cache, so that it may be removed once it is imported."""


def fetch(spec: DatasetSpec, home: Home, progress: Progress | None = None, pause: float = 1.0) -> Fetched:
    """Download from the first place that the dataset names; ``pause`` is the seconds before the first new attempt.

    Raises:
        DataError: saying what went wrong, what is kept, and how to get the files by hand.
    """
    if not spec.downloads:
        raise DataError(f"dataset {spec.name} can't be fetched by a program; get it yourself ({spec.source}) and import it")
    failures: list[str] = []
    for download in spec.downloads:
        try:
            if download.url.startswith(KAGGLE):
                return _from_kaggle(download)
            return Fetched(_from_web(download, home, progress, pause), download.url, ours=True)
        except DataError as error:
            failures.append(str(error))
    raise DataError(
        f"{'; '.join(failures)}; or get it yourself ({spec.source}) and type: adbench datasets import {spec.name} PATH"
    )


def _from_web(download: Download, home: Home, progress: Progress | None, pause: float) -> Path:
    import pooch

    folder = make_folder(home.root / "cache" / "downloads", "home's download folder")
    name = Path(urlsplit(download.url).path).name or "archive"
    key = hashlib.sha256(download.url.encode()).hexdigest()[:12]
    pooch.get_logger().setLevel("ERROR")  # what it would print, the command says
    downloader = _Resuming(folder / f".{key}-{name}.part", progress, pause)
    try:
        found = pooch.retrieve(
            download.url,
            known_hash=f"sha256:{download.sha256}" if download.sha256 else None,
            fname=f"{key}-{name}",
            path=folder,
            downloader=downloader,
        )
    except ValueError as error:
        if "hash" not in str(error).lower():
            raise DataError(f"{download.url} can't be fetched: {error}") from None
        raise DataError(
            f"{download.url} gave another file than the one that is known (SHA-256 differs); it was removed, nothing was imported"
        ) from None
    except OSError as error:
        raise DataError(
            f"cannot write {error.filename or folder}: {error.strerror or error}; free space or choose --home"
        ) from None
    return Path(found)


class _Resuming:
    """A downloader for pooch that keeps what has come, and asks only for the rest."""

    def __init__(self, part: Path, progress: Progress | None, pause: float) -> None:
        self.part = part
        self.version = part.with_suffix(".version")
        self.progress = progress
        self.pause = pause

    def __call__(self, url: str, output_file: Any, pooch: Any, check_only: bool = False) -> None:
        """Download to ``output_file``, a path or an open file. Raises DataError, OSError."""
        import requests

        reason = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(self.pause * 2 ** (attempt - 1))
            try:
                self._receive(url)
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                reason = _why(error)
            except requests.RequestException as error:
                raise DataError(f"{url} can't be fetched: {_why(error)}") from None
            else:
                self._deliver(output_file)
                return
        kept = f"; {self.part.stat().st_size:,} bytes are kept, the same command goes on" if self.part.exists() else ""
        raise DataError(f"{url} can't be fetched, tried {ATTEMPTS} times: {reason}{kept}")

    def _receive(self, url: str) -> None:
        """One attempt at what is still missing."""
        import requests

        there = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Accept-Encoding": "identity"}
        version = self.version.read_text() if self.version.exists() else ""
        if there and version:  # a server whose file has changed since sends the whole
            headers |= {"Range": f"bytes={there}-", "If-Range": version}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if urlsplit(url).scheme == "https" and urlsplit(response.url).scheme != "https":
                raise DataError(f"{url} leads to {response.url}, which is not encrypted; refused")
            if response.status_code == RANGE_REFUSED:
                self._forget()
                raise requests.ConnectionError("the server has another file than before")
            if not response.ok:
                raise DataError(f"{response.url} answers {response.status_code} {response.reason}")
            going_on = response.status_code == PARTIAL_CONTENT
            self.version.write_text(response.headers.get("ETag") or response.headers.get("Last-Modified") or "")
            self._append(response, there if going_on else 0)

    def _append(self, response: Response, start: int) -> None:
        import requests

        rest = response.headers.get("Content-Length")
        total = start + int(rest) if rest and rest.isdigit() else None
        done = start
        with self.part.open("ab" if start else "wb") as out:
            for chunk in response.iter_content(CHUNK):
                out.write(chunk)
                done += len(chunk)
                if self.progress is not None:
                    self.progress(done, total)
        if total is not None and done != total:
            raise requests.ConnectionError(f"the connection ended after {done:,} of {total:,} bytes")

    def _deliver(self, output_file: Any) -> None:
        try:
            shutil.move(self.part, output_file)
        finally:
            self._forget()

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.version.unlink(missing_ok=True)


def _why(error: BaseException) -> str:
    """The innermost reason, which is the one that says something."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return f"{error}" or type(error).__name__


def _from_kaggle(download: Download) -> Fetched:
    handle = download.url.removeprefix(KAGGLE)
    try:
        import kagglehub
    except ImportError:
        raise DataError(f"{download.url}: Kaggle's datasets need kagglehub: pip install 'adbench-harness[kaggle]'") from None
    try:
        return Fetched(Path(kagglehub.dataset_download(handle)), f"https://www.kaggle.com/datasets/{handle}", ours=False)
    except Exception as error:  # kagglehub documents none of what it raises
        raise DataError(
            f"Kaggle gives no {handle}: {_why(error)}; if it asks for an account, make a token at "
            "https://www.kaggle.com/settings and put it into ~/.kaggle/kaggle.json or KAGGLE_API_TOKEN"
        ) from None
