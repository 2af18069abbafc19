"""SHA-256 of files, remembered by path, size and time of change, so that listing a dataset again costs a stat a file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from ..api import DataError
from ..home import put_in_place


def hash_files(root: Path, paths: Iterable[str], memo_folder: Path) -> dict[str, str]:
    """Hex SHA-256 of each file below ``root`` (paths relative, forward slashes).

    Raises:
        DataError: naming the file that is missing or can't be read.
    """
    memo_file = memo_folder / f"{hashlib.sha256(str(root).encode()).hexdigest()[:16]}.json"
    memo = _read(memo_file)
    wanted = sorted(set(paths))
    stamps = {path: _stamp(root, path) for path in wanted}
    stale = [path for path in wanted if path not in memo or memo[path][:2] != stamps[path]]
    if stale:
        with ThreadPoolExecutor() as pool:
            fresh = dict(zip(stale, pool.map(lambda path: _hash(root / path), stale), strict=True))
        memo = {**memo, **{path: [*stamps[path], fresh[path]] for path in stale}}
        _write(memo_file, memo)
    return {path: str(memo[path][2]) for path in wanted}


def _stamp(root: Path, path: str) -> list[int | str]:
    try:
        found = os.stat(f"{root}/{path}")  # noqa: PTH116  # a Path for each of 80,000 files costs more than its stat
    except OSError as error:
        raise DataError(f"{root / path}: {error.strerror or error}; import the dataset again") from None
    return [found.st_size, found.st_mtime_ns]


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None


def _read(memo_file: Path) -> dict[str, list[int | str]]:
    try:
        memo = json.loads(memo_file.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(memo, dict):
        return {}
    return {path: entry for path, entry in memo.items() if isinstance(entry, list) and len(entry) == 3}


def _write(memo_file: Path, memo: dict[str, list[int | str]]) -> None:
    """Best effort: a memo that can't be kept costs time, not correctness."""
    with suppress(OSError):
        memo_file.parent.mkdir(parents=True, exist_ok=True)
        with put_in_place(memo_file) as unfinished:
            unfinished.write_text(json.dumps(memo))
