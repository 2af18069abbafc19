from __future__ import annotations

from pathlib import Path
from typing import cast

import pluggy
import pytest

from adbench_harness import registry
from adbench_harness.api import hookspecs


def hooks() -> list[str]:
    manager = pluggy.PluginManager("adbench")
    manager.add_hookspecs(hookspecs)
    return [name for name in vars(manager.hook) if not name.startswith("_")]


def test_there_is_one_hook_a_kind_of_plugin() -> None:
    assert sorted(hooks()) == ["register_datasets", "register_executors", "register_models", "register_protocols"]


@pytest.mark.parametrize("hook", hooks())
def test_every_hook_says_what_it_is_for(hook: str) -> None:
    assert getattr(hookspecs, hook).__doc__.strip().endswith(".")


@pytest.mark.parametrize("hook", hooks())
def test_every_hook_is_in_the_documentation(hook: str, documentation: str) -> None:
    assert hook in documentation


@pytest.mark.parametrize("hook", hooks())
def test_every_hook_is_implemented_by_a_third_party_and_loaded(hook: str, tiny: Path) -> None:
    kind = cast(registry.Kind, hook.removeprefix("register_").removesuffix("s"))
    theirs = [plugin for plugin in registry.names(kind) if plugin.distribution == "adbench-tiny"]
    assert [registry.load_any(plugin).spec.name for plugin in theirs] == [plugin.name for plugin in theirs]
    assert len(theirs) == 1
