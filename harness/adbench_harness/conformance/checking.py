"""All checks of one plugin, as a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import registry
from ..api import OptionError
from ..data.listing import folder
from ..device import choose_device
from ..home import Home
from ..registry import PluginName, unknown_name
from .checks import Check
from .report import Report
from .rules import dataset_checks
from .subject import BUDGET, IMAGE_SIZE, ModelSubject
from .supervise import TIME_LIMIT, Heard, Supervised


def check_model(
    name: str,
    settings: Mapping[str, str] | None = None,
    device: str = "auto",
    image_size: int = IMAGE_SIZE,
    budget: int = BUDGET,
    only: Sequence[str] = (),
    time_limit: float = TIME_LIMIT,
    heard: Heard = lambda result: None,
) -> Report:
    """Look whether a model keeps the rules, with the given options, on a device.

    ``only`` names checks; what they need is looked at too. ``time_limit`` is in seconds, for each check. ``heard`` is told each
    result as it comes.

    Raises:
        PluginError: if the plugin can't be loaded.
        OptionError: for an unknown option, check or device.
    """
    from .rules import model_checks  # scikit-learn, which no dataset needs

    plugin = registry.model(name)
    words = dict(settings or {})
    options = plugin.spec.options.parse(words)
    place = choose_device(device)
    checks = model_checks()
    titles = _titles(checks, only)
    request = {
        "kind": "model",
        "name": plugin.source.qualified,
        "settings": words,
        "device": str(place),
        "image_size": image_size,
        "budget": budget,
        "only": list(only),
    }
    results = Supervised(request, titles, time_limit, heard).run()
    case = ModelSubject(plugin, options, words, place, Path(), image_size, budget).case_words
    return Report("model", plugin.spec.name, _words(plugin.source), words, str(place), case, results)


def check_dataset(
    name: str, home: Path, only: Sequence[str] = (), time_limit: float = TIME_LIMIT, heard: Heard = lambda result: None
) -> Report:
    """Look whether a dataset keeps the rules, on the copy that lies under ``home``.

    Raises:
        PluginError: if the plugin can't be loaded.
        NotImportedError: if its files are not there.
        OptionError: for an unknown check.
    """
    plugin = registry.dataset(name)
    titles = _titles(dataset_checks(), only)
    place = folder(plugin.spec, Home(home))
    request = {"kind": "dataset", "name": name, "home": str(home), "only": list(only)}
    results = Supervised(request, titles, time_limit, heard).run()
    return Report("dataset", plugin.spec.name, _words(plugin.source), {}, "", f"the files in {place}", results)


def _titles(checks: Sequence[Check[Any]], only: Sequence[str]) -> dict[str, str]:
    titles = {check.name: check.title for check in checks}
    for name in only:
        if name not in titles:
            raise OptionError(unknown_name("check", name, titles))
    return titles


def _words(source: PluginName) -> str:
    return f"{source.distribution} {source.version} ({source.module})"
