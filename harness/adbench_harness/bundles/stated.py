"""What a bundle's manifest may say, by kind: what is checked, and the few facts that nobody here can know and that are taken as text.

Titles, licences, papers, descriptions, commands and rules are not among them: they come from the plugins that are installed here.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from ..api import DataError
from ..manifest import FORMAT, Cell, Manifest
from ..provenance import PluginProvenance
from .form import first_problem

MOMENT: Final = "%Y-%m-%dT%H:%M:%SZ"
CLOCKS_DIFFER: Final = timedelta(days=1)


def _plain(words: str) -> str:
    if not words.isprintable():
        raise ValueError("has unprintable characters")
    return words


Text = Annotated[str, Field(max_length=500), AfterValidator(_plain)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Seconds = Annotated[float, Field(ge=0, lt=1e9, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class Computed(_Part):
    """On what the run was made."""

    device: Text
    device_name: Text
    threads: Count
    dtype: Text
    memory_format: Text = "contiguous"
    tf32: bool = False
    torch: Text = ""
    peak_memory_bytes: Count | None = None


class Trained(_Part):
    """How the training went."""

    images: Count
    images_presented: Count = 0
    steps: Count = 0
    epochs: dict[Text, Count] = Field(default_factory=dict, max_length=100)
    resumed: Count = 0


class Detector(_Part):
    """What only an instance of the detector knows."""

    parameters: Count
    given: dict[Text, JsonValue] = Field(default_factory=dict, max_length=100)
    transductive: Text | None = None


class Rules(_Part):
    """The protocol as the sender has it."""

    version: int
    fit: dict[str, JsonValue]
    fit_digest: str
    evaluation_digest: str


class Data(_Part):
    """The dataset as the sender has it."""

    fingerprint: str
    counts: dict[str, int]


class Stated(_Part):
    """A manifest of a bundle, less what is not looked at."""

    run_id: str
    cell: Cell
    variant: Text
    created: str
    rules: Rules
    data: Data
    detector: Detector
    plugin: PluginProvenance
    """Whose code of which revision; part of the run's id."""
    computed: Computed
    environment: dict[Text, Text] = Field(max_length=100)
    timings: dict[Text, Seconds] = Field(max_length=100)
    trained: Trained


def read_stated(content: bytes, where: str) -> Stated:
    """What the manifest ``where`` states.

    Raises:
        DataError: if it is no manifest, says something that no run can say, or is of a run that was made in the future.
    """
    try:
        manifest = Manifest.model_validate_json(content)
        if manifest.format > FORMAT:
            raise DataError(f"{where}: written by a newer adbench; upgrade: pip install --upgrade adbench-harness")
        stated = _ONE.validate_json(json.dumps(_parts(manifest), allow_nan=False))
    except ValidationError as error:
        raise DataError(f"{where}: not the manifest of a run: {first_problem(error)}") from None
    except (ValueError, RecursionError) as error:  # NaN where JSON has no such number
        raise DataError(f"{where}: not the manifest of a run: {error}") from None
    _check_moment(stated.created, where)
    return stated


_ONE: Final = TypeAdapter(Stated)


def _parts(manifest: Manifest) -> dict[str, object]:
    plain = manifest.model_dump(mode="json")
    return {
        "rules": plain["protocol"],
        "data": plain["dataset"],
        "detector": plain["model"],
        "plugin": plain["plugins"].get("model"),
        "computed": plain["compute"],
        "trained": plain["training"],
        **{name: plain[name] for name in ("run_id", "cell", "variant", "created", "environment", "timings")},
    }


def _check_moment(created: str, where: str) -> None:
    """The newest of a model's runs stands for it, so a time that has not come would stand for ever."""
    try:
        moment = datetime.strptime(created, MOMENT).replace(tzinfo=UTC)
    except ValueError:
        raise DataError(f"{where}: created is no time of the form 2026-01-31T12:00:00Z") from None
    if moment > datetime.now(UTC) + CLOCKS_DIFFER:
        raise DataError(f"{where}: made in the future ({created}); is a clock wrong, here or there?")
