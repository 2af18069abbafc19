from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import adbench_harness.api as api

ROOT = Path(__file__).parents[2]
SOURCES = [path for root in ("harness", "plugins", "leaderboard") for path in sorted((ROOT / root).rglob("*.py"))]


def test_the_api_exports_what_it_says() -> None:
    modules = {"dataset", "errors", "executor", "files", "hookspecs", "model", "options", "protocol"}
    # pytest puts names of its own, which are no identifiers, into what it has rewritten.
    public = {name for name in vars(api) if name.isidentifier() and not name.startswith("_")} - modules - {"annotations"}
    assert sorted(public) == sorted(api.__all__)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small_enough_to_read(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= 400
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 60, f"{node.name} is long"


def test_no_module_is_called_after_nothing() -> None:
    assert not [path for path in SOURCES if re.fullmatch(r"(utils?|common|helpers?|misc|core)\.py", path.name)]
