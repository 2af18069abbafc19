"""A model's options from what a run states of them: checked by the model's own class, files by their hash if they are here."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue, ValidationError

from ..api import DataError, OptionError, Options
from .form import first_problem

Files = Mapping[str, str]
"""Paths on this machine by the name of the option."""


def options_of(cls: type[Options], stated: Mapping[str, JsonValue], files: Files, what: str) -> Options:
    """Options whose ``identity()`` is ``stated``.

    An option that is a file is stated by its hash. Where ``files`` has it, it must have that hash. Where it has not, the options go
    by the hash alone: they name a run, and can't build a detector.

    Raises:
        DataError: if the model's class refuses them, or would state them otherwise; ``what`` names them.
        OptionError: for a file that is another, or that no option asks for.
    """
    hashes = {name: found for name, value in stated.items() if (found := file_hash(value)) is not None}
    if strange := sorted(set(files) - set(hashes)):
        raise OptionError(
            f"--set {strange[0]}=…: {what} has no file as option {strange[0]}; it has: {', '.join(hashes) or 'none'}"
        )
    plain = {name: value for name, value in stated.items() if name not in hashes}
    if set(hashes) <= set(files):
        read = _validated(cls, {**plain, **files}, what)
        if other := next((name for name in hashes if read.identity().get(name) != stated[name]), None):
            raise OptionError(f"--set {other}={files[other]}: not the file of {what}, whose SHA-256 is {hashes[other]}")
        return _same(read, stated, what)
    return _by_hash(cls, stated, plain, hashes, what)


def file_hash(value: JsonValue) -> str | None:
    """The SHA-256 of the file that an option's stated value stands for; None if it stands for none."""
    found = value.get("sha256") if isinstance(value, Mapping) and len(value) == 1 else None
    return found if isinstance(found, str) else None


def _validated(cls: type[Options], values: Mapping[str, JsonValue], what: str) -> Options:
    try:
        return cls.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise DataError(f"{what}: its options are none of the model as it is installed here: {first_problem(error)}") from None


def _same(found: Options, stated: Mapping[str, JsonValue], what: str) -> Options:
    ours = found.identity()
    if differing := sorted(name for name in ours.keys() | stated.keys() if ours.get(name) != stated.get(name)):
        raise DataError(
            f"{what}: option {differing[0]} is stated as {stated.get(differing[0])!r}; it would be {ours.get(differing[0])!r}"
        )
    return found


def _by_hash(
    cls: type[Options],
    stated: Mapping[str, JsonValue],
    plain: Mapping[str, JsonValue],
    hashes: Mapping[str, str],
    what: str,
) -> Options:
    """Options whose files are not here; an empty file stands in for each while the other options are checked."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "file")
        place.touch()
        checked = _validated(cls, {**plain, **dict.fromkeys(hashes, str(place))}, what)
    dumped = checked.model_dump(mode="json")
    if differing := sorted(name for name in plain if dumped.get(name) != plain[name]):
        raise DataError(
            f"{what}: option {differing[0]} is stated as {plain[differing[0]]!r}; it would be {dumped.get(differing[0])!r}"
        )
    defaults = cls.model_construct().model_dump(mode="json", warnings=False)
    words = {name: str(getattr(checked, name)) for name in plain if plain[name] != defaults.get(name)}
    words |= {name: f"sha256:{value[:8]}" for name, value in hashes.items()}
    # A class of the model's own, so that all else that the harness asks of its options is answered by it.
    named = {
        "identity": lambda self: dict(stated),
        "labels": lambda self: {name: words[name] for name in type(self).model_fields if name in words},
        "__module__": __name__,
    }
    make: Any = type(cls)
    found: Options = make("OptionsByHash", (cls,), named).model_construct(**dict(checked))
    return found
