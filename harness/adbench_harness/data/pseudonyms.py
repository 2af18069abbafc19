"""Groups that name persons, replaced by salted hashes: equal for equal names, and worthless to who lacks the home's secret."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from ..api import AdbenchError, Sample
from ..home import Home, beside, make_folder
from ..locking import held

FILE: Final = "secret"
LOCK_SECONDS: Final = 30.0
BYTES: Final = 32
DIGITS: Final = 16


def pseudonymous(samples: Sequence[Sample], home: Home) -> tuple[Sample, ...]:
    """The samples, each group replaced by the first hex digits of HMAC-SHA256(the home's secret, group).

    Raises:
        AdbenchError: if the secret can't be made or read.
    """
    groups = {sample.group for sample in samples} - {None}
    if not groups:
        return tuple(samples)
    salt = secret(home)
    names = {group: _hash(salt, group) for group in groups if group is not None}
    return tuple(replace(sample, group=names[sample.group]) if sample.group is not None else sample for sample in samples)


def first_ids(samples: Sequence[Sample]) -> dict[str, str]:
    """The lowest sample id of each group: tells which samples belong together, the same whatever the groups are called."""
    found: dict[str, str] = {}
    for sample in samples:
        if sample.group is not None:
            found[sample.group] = min(sample.id, found.get(sample.group, sample.id))
    return found


def secret(home: Home) -> bytes:
    """The home's secret: random, made once, readable by its owner only.

    Raises:
        AdbenchError: naming the file, if it can't be made or read, or is damaged.
    """
    path = home.root / FILE
    try:
        if not path.exists():
            make_folder(home.root, "home")
            with held(
                home.root / f".{FILE}.lock", LOCK_SECONDS
            ):  # of two processes that find none, one makes it and both read that
                if not path.exists():
                    _make(path)
        kept = path.read_bytes()
    except OSError as error:
        raise AdbenchError(
            f"{path}, with which patients are hidden, can't be made or read ({error.strerror or error}); "
            "mend that, or choose another home with --home or ADBENCH_HOME"
        ) from None
    if len(kept) != BYTES:
        raise AdbenchError(
            f"{path} is damaged: {len(kept)} bytes, not {BYTES}; bring it back from a backup, or remove it "
            "(patients then get other hashes than in the runs that are stored)"
        )
    return kept


def _make(path: Path) -> None:
    """Written beside its place and renamed, so that nobody reads a part of it."""
    unfinished = beside(path)
    unfinished.unlink(missing_ok=True)  # of a process of our number that was killed
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(secrets.token_bytes(BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _hash(salt: bytes, group: str) -> str:
    return hmac.new(salt, group.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:DIGITS]
