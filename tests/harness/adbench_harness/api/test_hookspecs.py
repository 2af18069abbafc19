from __future__ import annotations

import pluggy
import pytest

from adbench_harness.api import hookspecs


def hooks() -> list[str]:
    manager = pluggy.PluginManager("adbench")
    manager.add_hookspecs(hookspecs)
    return [name for name in vars(manager.hook) if not name.startswith("_")]


def test_there_is_one_hook_a_kind_of_plugin() -> None:
    assert sorted(hooks()) == ["register_datasets", "register_models", "register_protocols"]


@pytest.mark.parametrize("hook", hooks())
def test_every_hook_says_what_it_is_for(hook: str) -> None:
    assert getattr(hookspecs, hook).__doc__.strip().endswith(".")


@pytest.mark.parametrize("hook", hooks())
def test_every_hook_is_in_the_documentation(hook: str, documentation: str) -> None:
    assert hook in documentation
