from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from adbench_harness.api import OptionError, Options


class Sample(Options):
    size: int = Field(4, ge=1, le=9, description="how large")
    kind: Literal["a", "b"] | Path = Field("a", description="a, b or a file")
    fast: bool = False


def test_words_become_values() -> None:
    options = Sample.parse({"size": "7", "fast": "true", "kind": "b"})
    assert (options.size, options.fast, options.kind) == (7, True, "b")
    assert Sample.parse({}) == Sample()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sise": "7"}, "unknown option 'sise'; known options: size, kind, fast"),
        ({"size": "0"}, r"option size=0: input should be greater than or equal to 1 \(how large\)"),
        ({"size": "many"}, "option size=many: input should be a valid integer"),
        ({"fast": "perhaps"}, "option fast=perhaps: "),
    ],
)
def test_a_refused_word_is_named_with_what_is_allowed(settings: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Sample.parse(settings)


def test_a_file_enters_the_identity_by_its_content(tmp_path: Path) -> None:
    first, second = tmp_path / "one.bin", tmp_path / "two.bin"
    first.write_bytes(b"weights")
    second.write_bytes(b"weights")
    identities = [Sample.parse({"kind": str(path)}).identity() for path in (first, second)]
    assert identities[0] == identities[1]
    assert identities[0]["kind"] == {"sha256": hashlib.sha256(b"weights").hexdigest()}
    with pytest.raises(OptionError, match=r"cannot read .*gone"):
        Sample.parse({"kind": str(tmp_path / "gone")}).identity()


def test_labels_name_only_what_differs_from_the_default() -> None:
    assert Sample().labels() == {}
    assert Sample(size=7).labels() == {"size": "7"}
