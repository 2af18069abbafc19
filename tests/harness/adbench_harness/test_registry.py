from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from adbench_harness import registry
from adbench_harness.api import PluginError, UnknownNameError

SPEC = """
from adbench_harness.api import DatasetSpec, hookimpl
adbench_api = {api}

@hookimpl
def register_datasets(register):
    for name in {names!r}:
        register(DatasetSpec(name=name, title=name, samples=lambda root: [], modality="", organ="", citation="", licence="",
                             source="", group_rule=""))
"""


def one(name: str, api: int = 1) -> str:
    return SPEC.format(api=api, names=[name])


def test_built_ins_come_in_by_entry_points() -> None:
    assert {plugin.name for plugin in registry.names("model")} >= {"multikd", "pca"}
    assert {plugin.name for plugin in registry.names("dataset")} >= {"mias", "mias-patches", "phantom"}
    assert [plugin.name for plugin in registry.names("protocol")] == ["esmaeili2023"]


@pytest.mark.parametrize(
    "plugin", [p for kind in registry.KINDS for p in registry.names(kind)], ids=lambda plugin: plugin.qualified
)
def test_every_installed_plugin_loads_under_its_name(plugin: registry.PluginName) -> None:
    assert registry.load_any(plugin).spec.name == plugin.name


def test_a_third_party_is_found_beside_the_built_ins(tiny: Path) -> None:
    plugin = registry.model("tiny-autoencoder")
    assert (plugin.source.distribution, plugin.source.version) == ("adbench-tiny", "1.2.3")
    assert registry.dataset("tiny-discs").spec.title == "Tiny discs"
    assert registry.protocol("tiny-protocol").spec.splits == 2


def test_listing_imports_nothing(fake_distribution: Any) -> None:
    fake_distribution(
        "loud", "1", {"loud_plugin": "raise RuntimeError('imported')"}, {"adbench.datasets": {"loud": "loud_plugin"}}
    )
    assert "loud" in [plugin.name for plugin in registry.names("dataset")]
    assert "loud_plugin" not in sys.modules


@pytest.mark.parametrize(
    "source", ["raise RuntimeError('no luck')", "import not_there", "import sys; sys.exit(3)", "syntax error"]
)
def test_a_broken_plugin_breaks_only_itself(fake_distribution: Any, source: str) -> None:
    fake_distribution("broken", "0.9", {"broken_plugin": source}, {"adbench.datasets": {"broken": "broken_plugin"}})
    with pytest.raises(PluginError, match=r"broken:broken 0\.9 failed to load.*pip uninstall broken"):
        registry.dataset("broken")
    assert registry.dataset("phantom").spec.name == "phantom"


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'multikdd'; did you mean multikd"):
        registry.model("multikdd")
    with pytest.raises(UnknownNameError, match=r"there is: .*multikd, pca"):
        registry.model("zzz")


def test_two_distributions_with_one_name_must_be_told_apart(fake_distribution: Any) -> None:
    fake_distribution("shadow", "1", {"shadow_plugin": one("phantom")}, {"adbench.datasets": {"phantom": "shadow_plugin"}})
    with pytest.raises(PluginError, match="claimed by 2 distributions; say which: adbench-harness:phantom or shadow:phantom"):
        registry.dataset("phantom")
    assert registry.dataset("shadow:phantom").source.distribution == "shadow"
    assert registry.dataset("adbench-harness:phantom").spec.title.startswith("Phantom")


def test_what_a_plugin_prints_is_not_our_answer(fake_distribution: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fake_distribution("loud", "1", {"loud_one": f"print('hello')\n{one('loud')}"}, {"adbench.datasets": {"loud": "loud_one"}})
    registry.dataset("loud")
    assert (capsys.readouterr().out, registry.dataset("loud").spec.name) == ("", "loud")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (one("other"), "registers the name 'other'; entry point and spec must agree"),
        (SPEC.format(api=1, names=[]), "must register exactly one DatasetSpec .* registered 0"),
        (SPEC.format(api=1, names=["odd", "odd"]), "registered 2"),
        (one("odd", api=2), "written for API 2, this adbench has API 1; try: pip install --upgrade adbench-harness"),
        (one("odd", api=0), "try: pip install --upgrade odd"),
        (one("odd").replace("adbench_api = 1", ""), "does not state its API; add `adbench_api = 1`"),
        ("adbench_api = 1", "must register exactly one"),
        (one("odd").replace("(register):", "(wrong_name):"), "failed to load: PluginValidationError"),
        (one("odd").replace("for name", "raise SystemExit(3)\n    for name"), "failed to load: SystemExit: 3"),
        (one("odd").replace("for name", "raise ValueError('x')\n    for name"), "failed to load: ValueError: x"),
    ],
)
def test_a_plugin_that_breaks_the_rules_is_told_which(fake_distribution: Any, source: str, message: str) -> None:
    fake_distribution("odd", "1", {"odd_plugin": source}, {"adbench.datasets": {"odd": "odd_plugin"}})
    with pytest.raises(PluginError, match=message):
        registry.dataset("odd")
