from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from adbench_harness import provenance, registry


def test_a_wheel_s_revision_is_what_it_declares(tiny: Path) -> None:
    plugin = registry.model("tiny-autoencoder")
    found = provenance.plugin_provenance("tiny-autoencoder", plugin.source.distribution, plugin.module, 1)
    assert (found.editable, found.revision, found.version, found.module) == (False, "1", "1.2.3", "adbench_tiny.autoencoder")


def test_an_editable_install_s_revision_is_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    class Editable:
        def read_text(self, name: str) -> str:
            return '{"url": "file:///somewhere", "dir_info": {"editable": true}}'

    monkeypatch.setattr(provenance, "distribution", lambda name: Editable())
    monkeypatch.setattr(provenance, "version", lambda name: "0.1")
    found = provenance.plugin_provenance("pca", "adbench-harness", registry.model("pca").module, 7)
    assert found.editable
    assert found.revision.startswith("source:")


def test_the_source_hash_follows_imports_within_the_package_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "hashed"
    package.mkdir()
    files = {
        "__init__": "",
        "plugin": "from . import shared\nimport json",
        "shared": "from hashed.deep import x",
        "deep": "x = 1",
        "other": "",
    }
    for name, source in files.items():
        (package / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("hashed.plugin")
    try:
        first = provenance.source_hash(module)
        (package / "other.py").write_text("y = 2")
        assert provenance.source_hash(module) == first
        (package / "deep.py").write_text("x = 2")
        assert provenance.source_hash(module) != first
    finally:
        for name in [name for name in sys.modules if name.startswith("hashed")]:
            del sys.modules[name]


def test_the_source_hash_of_a_plugin_that_is_a_package_covers_its_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "hashed2" / "detector"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("")
    (package / "__init__.py").write_text("def build():\n    from .network import x")  # imported late
    (package / "network.py").write_text("x = 1")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("hashed2.detector")
    try:
        first = provenance.source_hash(module)
        (package / "network.py").write_text("x = 2")
        assert provenance.source_hash(module) != first
    finally:
        for name in [name for name in sys.modules if name.startswith("hashed2")]:
            del sys.modules[name]


def test_the_environment_names_what_has_a_part_in_a_number() -> None:
    found: dict[str, Any] = provenance.environment()
    assert {"adbench", "python", "platform", "torch", "numpy", "pillow", "scikit-learn"} <= set(found)
