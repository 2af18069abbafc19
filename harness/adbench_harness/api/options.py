"""Options of a model: declared once, validated, and part of a run's identity."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from .errors import OptionError

Json = JsonValue
"""Plain data."""


class Options(BaseModel):
    """Base of a model's options; subclass it and declare fields with ``pydantic.Field``.

    Options are frozen, unknown names are refused, and each field's description is what ``adbench models show`` prints.
    A field that holds a ``pathlib.Path`` is a file: it enters the run's identity by the hash of its content, not its name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False)

    lengths: ClassVar[frozenset[str]] = frozenset()
    """Names of options that set how long a phase trains. A run that changes one is off protocol: protocols count on the default."""

    @classmethod
    def parse(cls, settings: dict[str, str]) -> Self:
        """Options from ``name=value`` words as typed.

        Raises:
            OptionError: for an unknown name or a value that the field refuses.
        """
        try:
            return cls.model_validate_strings(settings)
        except ValidationError as error:
            raise OptionError("; ".join(_explain(cls, problem) for problem in error.errors(include_url=False))) from None

    def identity(self) -> dict[str, Json]:
        """All options as plain data, files by the SHA-256 of their content."""
        plain: dict[str, Json] = self.model_dump(mode="json")
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Path):
                plain[name] = {"sha256": file_sha256(value)}
        return plain

    def labels(self) -> dict[str, str]:
        """Short words for each option that differs from its default; together they name the variant of the model."""
        words = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value != field.default:
                words[name] = f"sha256:{file_sha256(value)[:8]}" if isinstance(value, Path) else str(value)
        return words


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's content.

    Raises:
        OptionError: if the file can't be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise OptionError(f"cannot read {path}: {error.strerror}") from None


def _explain(cls: type[Options], problem: object) -> str:
    """One problem found by pydantic, in words: which option, what is wrong, what it takes."""
    assert isinstance(problem, dict)
    name = str(problem["loc"][0]) if problem["loc"] else "options"
    if problem["type"] == "extra_forbidden":
        known = ", ".join(cls.model_fields) or "none"
        return f"unknown option {name!r}; known options: {known}"
    field = cls.model_fields.get(name)
    hint = f" ({field.description})" if field is not None and field.description else ""
    message = problem["msg"].removeprefix("Value error, ")
    return f"option {name}={problem['input']}: {message[0].lower()}{message[1:]}{hint}"
