"""What is sent to where a run is made, and what comes back: the one function that every executor calls."""

from __future__ import annotations

import io
import pickle
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Final, Self
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from .. import __version__, registry
from ..api import AdbenchError, InterruptedRunError, PluginError, StoreError, Tell, TimeLimitError
from ..checkpoint import IfMoved
from ..data.listing import Listing
from ..home import MACHINE, Home, Results, make_folder
from ..placing import placing, sync_all
from ..plan import RunRequest
from ..provenance import PluginProvenance, revision_like
from ..result import find_run
from ..retention import KeepWeights
from ..runner import Conditions
from .attempts import Attempt, attempts_of

SIGN: Final = ".sign"
_LISTINGS: Final[dict[Path, dict[str, Listing]]] = {}
"""What this process has listed, by home; it makes runs for one command, and ends with it."""


class Order(BaseModel):
    """One run to be made somewhere, as JSON."""

    model_config = ConfigDict(frozen=True)

    adbench: str
    plugins: dict[registry.Kind, PluginProvenance]
    """What the command has: a run is made by the same code, or not at all."""
    request: RunRequest
    home: Path
    results: Path
    sign: str | None
    """A file that whoever sees the results folder finds there; None where that is sure."""
    fresh: bool
    keep_weights: KeepWeights
    time_limit: float | None
    if_moved: IfMoved
    wait: bool

    @classmethod
    def of(cls, request: RunRequest, conditions: Conditions, sign: str | None) -> Self:
        """What a command asks for."""
        return cls(
            adbench=__version__,
            plugins=plugins_of(request),
            request=request,
            home=conditions.home.root,
            results=conditions.results.root,
            sign=sign,
            fresh=conditions.fresh,
            keep_weights=conditions.keep_weights,
            time_limit=conditions.time_limit,
            if_moved=conditions.if_moved,
            wait=conditions.wait,
        )

    def to_bytes(self) -> bytes:
        """As it travels."""
        return self.model_dump_json().encode()


@dataclass(frozen=True)
class Made:
    """What came of an order."""

    attempts: Sequence[Attempt]
    packed: Mapping[str, bytes]
    """Run folders by run id, where the results folder can't be seen from there."""
    interrupted: InterruptedRunError | None
    machine: str
    seconds: float
    """What it took there, figures and all."""


def plugins_of(request: RunRequest) -> dict[registry.Kind, PluginProvenance]:
    """Whose code a run is made by. What can't be told here is left out: where the run is made the reason is found again."""
    found: dict[registry.Kind, PluginProvenance] = {}
    names: dict[registry.Kind, str] = {"model": request.model, "dataset": request.dataset, "protocol": request.protocol}
    for kind, name in names.items():
        try:
            found[kind] = _code(kind, name)[0]
        except AdbenchError:
            continue
    return found


def make(content: bytes, tell: Tell, stop: Callable[[], bool]) -> bytes:
    """Make the run of an order; see ``api.Make``. What went wrong comes back as well."""
    start = time.monotonic()
    order = Order.model_validate_json(content)
    attempts: list[Attempt] = []
    packed: dict[str, bytes] = {}
    interrupted = None
    away = False
    try:
        _check_code(order)
        with _place(order) as (results, away):
            conditions = Conditions(
                home=_home(order),
                results=results,
                fresh=order.fresh,
                keep_weights=order.keep_weights,
                listen=lambda moment: tell(moment.phase, moment.done, moment.total),
                stop=stop,
                time_limit=order.time_limit,
                if_moved=order.if_moved,
                wait=order.wait,
            )
            listings = _LISTINGS.setdefault(conditions.home.root, {})
            attempts += attempts_of(order.request, conditions, listings)
            if away:
                packed = {path.name: pack(path) for path in results.runs.iterdir() if not path.name.startswith(".")}
    except InterruptedRunError as error:
        interrupted = InterruptedRunError(_words(error, away))
    except AdbenchError as error:
        attempts.append(Attempt(order.request, None, error))
    attempts = [replace(one, error=_sent(one.error, away)) if one.error is not None else one for one in attempts]
    return pickle.dumps(Made(attempts, packed, interrupted, MACHINE, time.monotonic() - start))


def _sent(error: AdbenchError, away: bool) -> AdbenchError:
    """An error that can be read where the command was given: a plugin's own kind as the one of ours that it is."""
    ours: type[AdbenchError] = next(kind for kind in type(error).__mro__ if kind.__module__.startswith("adbench_harness."))
    return ours(_words(error, away))


def _words(error: AdbenchError, away: bool) -> str:
    """What an error says. Of a run that was stopped where the results folder is not seen nothing is left to go on from."""
    if away and isinstance(error, InterruptedRunError | TimeLimitError):
        what = str(error).partition("; the same command")[0]
        return f"{what}; {MACHINE} does not see the results folder, so the run begins anew"
    return str(error)


def taken(outcome: bytes, results: Results) -> Made:
    """What came back; run folders that came with it are put in their place.

    Raises:
        StoreError: if it can't be read, or a folder can't be written.
    """
    try:
        made: Made = pickle.loads(outcome)
    except Exception as error:  # cut short by a disk that was lost, or of what is not installed here
        raise StoreError(f"what came of it can't be read ({type(error).__name__}: {error}); run again") from None
    for run_id, content in made.packed.items():
        unpack(content, results.runs / run_id)
    attempts = [
        replace(one, outcome=replace(one.outcome, folder=results.runs / one.outcome.manifest.run_id)) if one.outcome else one
        for one in made.attempts
    ]
    return replace(made, attempts=attempts)


def sign(results: Results) -> str:
    """Name of a file in the results folder that is in no other: whoever finds it sees the same folder. Raises AdbenchError."""
    folder = make_folder(results.executors, "results folder")
    there = sorted(path.name for path in folder.glob(f"*{SIGN}"))
    if there:
        return there[0]
    name = f"{uuid4().hex}{SIGN}"
    (folder / name).touch()
    return name


def pack(folder: Path) -> bytes:
    """A run folder as an archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.add(folder, arcname=".")
    return stream.getvalue()


def unpack(content: bytes, place: Path) -> None:
    """Put a packed run folder in its place, whole or not at all. Raises StoreError if it can't be."""
    with placing(place, lambda: find_run(place.parent, place.name) is not None) as unfinished:
        try:
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                archive.extractall(unfinished, filter="data")
            sync_all(unfinished)
        except tarfile.TarError as error:
            raise StoreError(f"run {place.name} came back as no archive ({error}); run again") from None


@contextmanager
def _place(order: Order) -> Iterator[tuple[Results, bool]]:
    """Where the run is stored: in the command's results folder if that is seen here, else in one that goes with the answer."""
    results = Results(order.results)
    if order.sign is None or (results.executors / order.sign).exists():
        yield results, False
        return
    folder = Path(tempfile.mkdtemp(prefix="adbench-"))
    try:
        yield Results(folder), True
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _home(order: Order) -> Home:
    """The command's home if it is here, else this machine's own."""
    return Home(order.home) if order.home.is_dir() else Home.at(None)


@cache
def _code(kind: registry.Kind, name: str) -> tuple[PluginProvenance, ModuleType]:
    plugin = registry.dataset(name) if kind == "dataset" else registry.load_any(registry.find(kind, name))
    return registry.provenance(plugin), plugin.module


def _check_code(order: Order) -> None:
    """Raise PluginError if this machine has another adbench, or another version of a plugin, than the command."""
    if order.adbench != __version__:
        raise PluginError(
            f"{MACHINE} has adbench {__version__}, and the command was given to {order.adbench}; install the same there: pip install "
            f"adbench-harness=={order.adbench}"
        )
    for kind, theirs in order.plugins.items():
        ours, module = _code(kind, getattr(order.request, kind))
        revision = revision_like(theirs, ours, module)
        if (ours.distribution, ours.version, revision) != (theirs.distribution, theirs.version, theirs.revision):
            raise PluginError(
                f"{MACHINE} has {kind} {ours.name} of {ours.distribution} {ours.version}, revision {revision}, and the command was given "
                f"with that of {theirs.distribution} {theirs.version}, revision {theirs.revision}; install the same there"
            )
