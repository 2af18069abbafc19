"""Which code made a result: distribution, version, revision, and for an editable install the hash of its source."""

from __future__ import annotations

import ast
import hashlib
import json
import platform
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Final

from pydantic import BaseModel, ConfigDict

from . import __version__

SOURCE: Final = "source:"
"""Begins the revision of code that was run in place, which is known by its hash."""
RECORDED: Final = ("numpy", "pillow", "pyarrow", "scikit-learn", "scipy", "torch", "torchvision")


class PluginProvenance(BaseModel):
    """Where a plugin of a run came from."""

    model_config = ConfigDict(frozen=True)

    name: str
    distribution: str
    version: str
    module: str
    editable: bool
    revision: str
    """The declared revision, or "source:<hash>" for an editable install."""


def plugin_provenance(name: str, distribution_name: str, module: ModuleType, declared: int) -> PluginProvenance:
    """Provenance of an imported plugin."""
    try:
        installed = version(distribution_name)
        direct_url = distribution(distribution_name).read_text("direct_url.json")
    except PackageNotFoundError:
        installed, direct_url = "0", None
    editable = bool(direct_url and json.loads(direct_url).get("dir_info", {}).get("editable"))
    revision = f"{SOURCE}{source_hash(module)}" if editable else str(declared)
    return PluginProvenance(
        name=name,
        distribution=distribution_name,
        version=installed,
        module=module.__name__,
        editable=editable,
        revision=revision,
    )


def revision_like(stated: PluginProvenance, here: PluginProvenance, module: ModuleType) -> str:
    """The revision of the code that is here, stated as another's is.

    Code that was run in place is known by its hash, and may have been installed since: then its hash is what can be compared.
    """
    return f"{SOURCE}{source_hash(module)}" if stated.revision.startswith(SOURCE) else here.revision


def source_hash(module: ModuleType) -> str:
    """Hash of a module's source and of those modules of its own package that it imports, directly or through others."""
    package = module.__name__.partition(".")[0]
    waiting, sources = [module.__name__], dict[str, str]()
    while waiting:
        name = waiting.pop()
        spec = _spec(name) if name not in sources else None
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            continue
        sources[name] = Path(spec.origin).read_text(encoding="utf-8")
        within = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
        waiting += [other for other in _imports(sources[name], within) if other.partition(".")[0] == package]
    text = "\0".join(f"{name}\0{source}" for name, source in sorted(sources.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _spec(name: str) -> ModuleSpec | None:
    try:
        return find_spec(name)
    except (ImportError, AttributeError, ValueError):  # a name in a module, not a module
        return None


def _imports(source: str, package: str) -> list[str]:
    """Absolute names of all that a source imports; of ``from a import b`` both a and a.b, since b may be a module."""
    imported: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*above, node.module] if node.module else above)
            imported += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return imported


def environment() -> dict[str, str]:
    """Versions of everything that has a part in a number."""
    found = {"adbench": __version__, "python": platform.python_version(), "platform": platform.platform()}
    for name in RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
