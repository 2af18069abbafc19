"""What is looked at, as the command line of pytest says it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from ... import registry
from ...data.listing import folder
from ...home import Home
from ..checking import check_dataset, check_model
from ..report import Report, Result
from ..rules import dataset_checks


@dataclass
class Looking:
    """All checks of one plugin; looked at when the first result is asked for, in a process of its own."""

    name: str
    checks: Sequence[str]
    look: Callable[[Sequence[str]], Report]
    """Looks at the checks of those names, and at what they need."""
    found: dict[str, Result] = field(default_factory=dict)

    def result(self, check: str, chosen: Sequence[str]) -> Result:
        """A check's result; ``chosen`` are those that will be asked for.

        Raises:
            AdbenchError: if the plugin can't be looked at.
        """
        if not self.found:
            self.found = {result.check: result for result in self.look(chosen).results}
        return self.found[check]


def asked_for(config: pytest.Config) -> list[Looking]:
    """Every plugin that the command line names.

    Raises:
        AdbenchError: for one that is not installed or can't be loaded, and for a dataset whose files are not there.
        CollectError: if none is named, or an option of a model is no NAME=VALUE.
    """
    models: list[str] = config.getoption("adbench_model")
    datasets: list[str] = config.getoption("adbench_dataset")
    if not models and not datasets:
        raise pytest.Collector.CollectError("say what is to be looked at: --adbench-model NAME or --adbench-dataset NAME")
    return [*(_model(name, config) for name in models), *(_dataset(name, config) for name in datasets)]


def _model(name: str, config: pytest.Config) -> Looking:
    from ..rules import model_checks

    registry.model(name)
    look = partial(
        check_model,
        name,
        dict(_setting(word) for word in config.getoption("adbench_set")),
        config.getoption("adbench_device"),
        config.getoption("adbench_image_size"),
        config.getoption("adbench_budget"),
    )
    return Looking(name, [check.name for check in model_checks()], look)


def _dataset(name: str, config: pytest.Config) -> Looking:
    given = config.getoption("adbench_home")
    home = Home.at(Path(given) if given else None)
    folder(registry.dataset(name).spec, home)
    return Looking(name, [check.name for check in dataset_checks()], partial(check_dataset, name, home.root))


def _setting(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or not name.strip():
        raise pytest.Collector.CollectError(f"--adbench-set {word}: must be NAME=VALUE")
    return name.strip(), value
