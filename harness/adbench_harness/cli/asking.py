"""A matrix of runs as it is asked for: by the words of a command, or in a TOML file whose words the command may change."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import click
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..api import OptionError
from ..matrix import Matrix, Setting
from .options import DEFAULT_PROTOCOL, Numbers

Word = str | int | float | bool
Choice = Sequence[str] | Literal["all"]
Chosen = Sequence[int] | Literal["all"]


@dataclass(frozen=True)
class Said:
    """What the command says; None or empty where it says nothing."""

    models: Choice = ()
    datasets: Choice = ()
    protocols: Choice = ()
    splits: Chosen = ()
    seeds: Chosen = ()
    settings: Sequence[Setting] = ()
    device: str | None = None
    eval_dataset: str | None = None
    train_size: int | None = None


class MatrixFile(BaseModel):
    """Keys are the command's options."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | list[str] = Field(default_factory=list)
    dataset: str | list[str] = Field(default_factory=list)
    protocol: str | list[str] = Field(default_factory=list)
    split: str | int | list[int] = Field(default_factory=list)
    seed: str | int | list[int] = Field(default_factory=list)
    device: str | None = None
    train_size: int | None = None
    eval_dataset: str | None = None
    set: dict[str, Word | list[Word] | dict[str, Word | list[Word]]] = Field(default_factory=dict)
    """Options; under a model's name those of that model; several words of one are variants."""


def matrix_of(said: Said, file: Path | None) -> Matrix:
    """What the file asks for, changed by what the command says.

    Raises:
        OptionError: if the file can't be read or says what can't be, or if no model or dataset is named.
    """
    asked = _read(file) if file is not None else Said()
    models, datasets = said.models or asked.models, said.datasets or asked.datasets
    for what, found in (("model", models), ("dataset", datasets)):
        if not found:
            raise OptionError(f"no {what} is named{f' in {file}' if file is not None else ''}; say which with --{what}")
    renewed = {(setting.model, setting.name) for setting in said.settings}
    kept = [setting for setting in asked.settings if (setting.model, setting.name) not in renewed]
    return Matrix(
        models,
        datasets,
        said.protocols or asked.protocols or (DEFAULT_PROTOCOL,),
        said.splits or asked.splits or (0,),
        said.seeds or asked.seeds or (0,),
        (*kept, *said.settings),
        said.device or asked.device or "auto",
        said.eval_dataset or asked.eval_dataset,
        asked.train_size if said.train_size is None else said.train_size,
    )


def _read(path: Path) -> Said:
    try:
        found = MatrixFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise OptionError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"{path} is no TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][:2])
        known = f"; keys are {', '.join(MatrixFile.model_fields)}" if first["type"] == "extra_forbidden" else ""
        raise OptionError(f"{path}: {where}: {first['msg'][0].lower()}{first['msg'][1:]}{known}") from None
    try:
        splits, seeds = _numbers(found.split), _numbers(found.seed)
    except click.BadParameter as error:
        raise OptionError(f"{path}: {error.message}") from None
    return replace(
        Said(_names(found.model), _names(found.dataset), _names(found.protocol), splits, seeds, tuple(_settings(found))),
        device=found.device,
        eval_dataset=found.eval_dataset,
        train_size=found.train_size,
    )


def _names(given: str | list[str]) -> Choice:
    if isinstance(given, list):
        return tuple(given)
    return "all" if given == "all" else (given,)


def _numbers(given: str | int | list[int]) -> Chosen:
    if isinstance(given, list):
        return tuple(dict.fromkeys(given))
    chosen = Numbers().convert(str(given), None, None)
    return "all" if isinstance(chosen, str) else chosen


def _settings(found: MatrixFile) -> Iterator[Setting]:
    for name, value in found.set.items():
        if isinstance(value, dict):
            yield from (Setting(option, word, name) for option, words in value.items() for word in _words(words))
        else:
            yield from (Setting(name, word) for word in _words(value))


def _words(value: Word | list[Word]) -> list[str]:
    """As they would be typed."""
    words = value if isinstance(value, list) else [value]
    return [str(word).lower() if isinstance(word, bool) else str(word) for word in words]
