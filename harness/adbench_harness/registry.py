"""Plugins by name: names from entry-point metadata, and the import of exactly one plugin when it is asked for."""

from __future__ import annotations

import difflib
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Generic, Literal, TypeVar

import pluggy

from .api import (
    AdbenchError,
    DatasetSpec,
    ExecutorSpec,
    ModelSpec,
    OptionError,
    PluginError,
    ProtocolSpec,
    UnknownNameError,
    hookspecs,
)
from .provenance import PluginProvenance, plugin_provenance

Kind = Literal["model", "dataset", "protocol", "executor"]
SpecT = TypeVar("SpecT", ModelSpec, DatasetSpec, ProtocolSpec, ExecutorSpec)

KINDS: Final[tuple[Kind, ...]] = ("model", "dataset", "protocol", "executor")


@dataclass(frozen=True)
class PluginName:
    """A plugin as its distribution's metadata states it; nothing is imported to know this."""

    kind: Kind
    name: str
    distribution: str
    version: str
    module: str
    entry_point: EntryPoint

    @property
    def qualified(self) -> str:
        """Distribution and name; unambiguous where two distributions claim one name."""
        return f"{self.distribution}:{self.name}"


@dataclass(frozen=True)
class Plugin(Generic[SpecT]):
    """An imported plugin."""

    source: PluginName
    spec: SpecT
    module: ModuleType


AnyPlugin = Plugin[ModelSpec] | Plugin[DatasetSpec] | Plugin[ProtocolSpec] | Plugin[ExecutorSpec]


def names(kind: Kind) -> list[PluginName]:
    """Every installed plugin of a kind, sorted by name, without importing any."""
    found = [_plugin_name(kind, point) for point in entry_points(group=f"adbench.{kind}s")]
    return sorted(found, key=lambda plugin: (plugin.name, plugin.distribution))


def model(name: str) -> Plugin[ModelSpec]:
    """The model of that name. Raises UnknownNameError or PluginError."""
    return load(find("model", name), ModelSpec)


def dataset(name: str) -> Plugin[DatasetSpec]:
    """The dataset of that name; of ``NAME:PATH``, the folder at that path, if the dataset takes one.

    Raises:
        UnknownNameError, PluginError: as for any plugin.
        OptionError: for a path where none is taken, or one that can't be.
        DataError: if the folder is not what the dataset expects.
    """
    try:
        source = find("dataset", name)
    except UnknownNameError:
        source, path = _with_path(name)
        return _at(load(source, DatasetSpec), path)
    return load(source, DatasetSpec)


def protocol(name: str) -> Plugin[ProtocolSpec]:
    """The protocol of that name. Raises UnknownNameError or PluginError."""
    return load(find("protocol", name), ProtocolSpec)


def executor(name: str) -> Plugin[ExecutorSpec]:
    """The executor of that name. Raises UnknownNameError or PluginError."""
    return load(find("executor", name), ExecutorSpec)


def find(kind: Kind, name: str) -> PluginName:
    """The one plugin of that name; ``distribution:name`` chooses where two distributions claim a name."""
    installed = names(kind)
    matches = [plugin for plugin in installed if name in (plugin.name, plugin.qualified)]
    if not matches:
        raise UnknownNameError(unknown_name(kind, name, (plugin.name for plugin in installed)))
    if len(matches) > 1:
        choices = " or ".join(plugin.qualified for plugin in matches)
        raise PluginError(f"{kind} {name!r} is claimed by {len(matches)} distributions; say which: {choices}")
    return matches[0]


def unknown_name(what: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that nobody has: the nearest ones, else all."""
    there = sorted(set(known))
    near = difflib.get_close_matches(name, there, n=3, cutoff=0.5)
    if near:
        return f"no {what} is called {name!r}; did you mean {' or '.join(near)}?"
    return f"no {what} is called {name!r}; there is: {', '.join(there) or 'none'}"


def load(source: PluginName, expected: type[SpecT]) -> Plugin[SpecT]:
    """Import one plugin and take the spec that it registers.

    Raises:
        PluginError: if it fails to import, is written for another API, or does not register one spec of its own name.
    """
    module = _import(source)
    _check_api(source, module)
    registered: list[Any] = []
    manager = pluggy.PluginManager("adbench")
    manager.add_hookspecs(hookspecs)
    try:
        with _confined(source.kind, source.qualified):
            manager.register(module, name=source.qualified)
            hook: Callable[..., object] = getattr(manager.hook, f"register_{source.kind}s")
            hook(register=registered.append)
    except (Exception, SystemExit) as error:
        raise PluginError(_broken(source, error)) from error
    if len(registered) != 1 or not isinstance(registered[0], expected):
        raise PluginError(
            f"{source.kind} plugin {source.qualified} ({source.module}) must register exactly one {expected.__name__} "
            f"by @hookimpl register_{source.kind}s, and registered {len(registered)}"
        )
    spec: SpecT = registered[0]
    if spec.name != source.name:
        raise PluginError(
            f"{source.kind} plugin {source.qualified} registers the name {spec.name!r}; entry point and spec must agree"
        )
    return Plugin(source, spec, module)


def load_any(source: PluginName) -> AnyPlugin:
    """Import one plugin of whichever kind. Raises PluginError."""
    if source.kind == "model":
        return load(source, ModelSpec)
    if source.kind == "dataset":
        return load(source, DatasetSpec)
    return load(source, ProtocolSpec) if source.kind == "protocol" else load(source, ExecutorSpec)


def provenance(plugin: AnyPlugin) -> PluginProvenance:
    """Whose code a plugin is, and of which revision; an executor, which has no part in any number, has none."""
    spec = plugin.spec
    declared = (
        spec.revision if isinstance(spec, ModelSpec | DatasetSpec) else spec.version if isinstance(spec, ProtocolSpec) else 0
    )
    return plugin_provenance(plugin.source.name, plugin.source.distribution, plugin.module, declared)


@contextmanager
def blamed(kind: Kind, plugin: str, when: str) -> Iterator[None]:
    """Name the plugin whose code raised an error that nobody foresaw.

    Raises:
        PluginError: in place of any exception that is not one of ours.
    """
    try:
        with _confined(kind, plugin):
            yield
    except AdbenchError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"{kind} {plugin} failed {when}: {type(error).__name__}: {error}{place_of(error, _module_of(kind, plugin))} (ADBENCH_DEBUG=1 shows the traceback)"
        ) from error


def place_of(error: BaseException, module: ModuleType | None) -> str:
    """Where in a plugin's own code an error arose, in brackets: the innermost line of its module, or of the package that has it."""
    file = getattr(module, "__file__", None)
    if module is None or file is None:
        return ""
    own = Path(file).parent if module.__package__ else Path(file)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).is_relative_to(own):
            return f" ({frame.filename}, line {frame.lineno}, in {frame.name})"
    return ""


def _module_of(kind: Kind, plugin: str) -> ModuleType | None:
    """The module of a plugin that is loaded, by its qualified name."""
    return next((sys.modules.get(one.entry_point.module) for one in names(kind) if one.qualified == plugin), None)


@contextmanager
def _confined(kind: Kind, plugin: str) -> Iterator[None]:
    """What a plugin prints is not our answer, and a copy of our process that it forks must not come back to do our work again."""
    process = os.getpid()
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if os.getpid() != process:
            sys.stderr.write(f"adbench: warning: {kind} {plugin} forked a process that does not end by itself; it was ended\n")
            sys.stderr.flush()
            os._exit(1)


def _with_path(name: str) -> tuple[PluginName, str]:
    """The dataset and the path of ``NAME:PATH`` or ``distribution:NAME:PATH``."""
    words = name.split(":")
    for count in range(1, min(len(words), 3)):
        with suppress(UnknownNameError):
            return find("dataset", ":".join(words[:count])), ":".join(words[count:])
    asked = words[0] if "/" in name else name  # a path would hide which name is meant
    raise UnknownNameError(unknown_name("dataset", asked, (plugin.name for plugin in names("dataset"))))


def _at(plugin: Plugin[DatasetSpec], given: str) -> Plugin[DatasetSpec]:
    spec, name = plugin.spec, plugin.source.name
    if spec.at is None:
        where = "leave it out" if spec.embedded is not None else f"import it: adbench datasets import {spec.folder_name} PATH"
        raise OptionError(f"dataset {name} takes no path; {where}")
    if not given:
        raise OptionError(f"dataset {name} is a folder of your own; say which folder: {name}:/path")
    try:
        path = Path(given).expanduser().absolute()
        str(path).encode()
    except RuntimeError as error:
        raise OptionError(f"{given}: {error}") from None
    except UnicodeEncodeError:
        raise OptionError(f"{os.fsencode(given)!r}: a path must be valid UTF-8") from None
    with blamed("dataset", plugin.source.qualified, "to take a folder"):
        found = spec.at(path)
    if not isinstance(found, DatasetSpec) or not found.name.startswith(f"{name}-"):
        raise PluginError(
            f"dataset plugin {plugin.source.qualified} must give a DatasetSpec called {name}-… for a folder, "
            f"and gave {getattr(found, 'name', found)!r}"
        )
    return replace(plugin, spec=found)


def _plugin_name(kind: Kind, point: EntryPoint) -> PluginName:
    distribution = point.dist
    name, version = (distribution.name, distribution.version) if distribution is not None else ("unknown", "0")
    return PluginName(kind, point.name, name, version, point.value, point)


def _import(source: PluginName) -> ModuleType:
    try:
        with _confined(source.kind, source.qualified):
            module = source.entry_point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin that calls sys.exit at import must not end us either
        raise PluginError(_broken(source, error)) from error
    if not isinstance(module, ModuleType):
        raise PluginError(f"entry point {source.module!r} of {source.distribution} must name a module, not an object in it")
    return module


def _check_api(source: PluginName, module: ModuleType) -> None:
    stated = getattr(module, "adbench_api", None)
    if stated == hookspecs.API_VERSION:
        return
    if stated is None:
        raise PluginError(
            f"{source.kind} plugin {source.qualified} does not state its API; add `adbench_api = {hookspecs.API_VERSION}` to {source.module}"
        )
    newer = isinstance(stated, int) and stated > hookspecs.API_VERSION
    mend = "pip install --upgrade adbench-harness" if newer else f"pip install --upgrade {source.distribution}"
    raise PluginError(
        f"{source.kind} plugin {source.qualified} is written for API {stated}, this adbench has API {hookspecs.API_VERSION}; try: {mend}"
    )


def _broken(source: PluginName, error: BaseException) -> str:
    return (
        f"{source.kind} plugin {source.qualified} {source.version} failed to load: {type(error).__name__}: {error}; "
        f"mend it, or: pip uninstall {source.distribution}"
    )
