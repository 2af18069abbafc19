"""Which code made a result: distribution, version, revision, and for an editable install the hash of its source."""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import sys
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from types import ModuleType
from typing import Final

from pydantic import BaseModel, ConfigDict

from . import __version__

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
    revision = f"source:{source_hash(module)}" if editable else str(declared)
    return PluginProvenance(
        name=name,
        distribution=distribution_name,
        version=installed,
        module=module.__name__,
        editable=editable,
        revision=revision,
    )


def source_hash(module: ModuleType) -> str:
    """Hash of a module's source and of those modules of its own package that it imports, directly or through others."""
    package = module.__name__.partition(".")[0]
    waiting, sources = [module.__name__], dict[str, str]()
    while waiting:
        name = waiting.pop()
        found = sys.modules.get(name)
        file = getattr(found, "__file__", None)
        if name in sources or file is None:
            continue
        sources[name] = Path(file).read_text(encoding="utf-8")
        waiting += [other for other in _imports(sources[name], name) if other.partition(".")[0] == package]
    text = "\0".join(f"{name}\0{source}" for name, source in sorted(sources.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _imports(source: str, name: str) -> list[str]:
    """Absolute names of all that a source imports; of ``from a import b`` both a and a.b, since b may be a module."""
    imported: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = name.split(".")[: -node.level] if node.level else []
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
