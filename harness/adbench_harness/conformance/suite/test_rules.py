"""One test a rule; its id names the plugin and the check."""

from __future__ import annotations

import pytest

from adbench_harness.api import AdbenchError
from adbench_harness.conformance.suite.looking import Looking, asked_for


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each check of each plugin that the command line names."""
    try:
        asked = asked_for(metafunc.config)
    except AdbenchError as error:
        raise pytest.Collector.CollectError(str(error)) from None
    pairs = [pytest.param(looking, check, id=f"{looking.name}-{check}") for looking in asked for check in looking.checks]
    metafunc.parametrize(("looking", "check"), pairs)


def test_rule(looking: Looking, check: str, request: pytest.FixtureRequest) -> None:
    """The plugin keeps the rule."""
    asked = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    chosen = [params["check"] for params in asked if params.get("looking") is looking]
    try:
        result = looking.result(check, chosen)
    except AdbenchError as error:
        pytest.fail(str(error), pytrace=False)
    if result.status == "skipped":
        pytest.skip(result.message)
    if result.status == "failed":
        pytest.fail(f"{result.title}: {result.message}", pytrace=False)
