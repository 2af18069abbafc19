"""The process in which a plugin is looked at: ``python -m adbench_harness.conformance.child FOLDER``.

The folder holds request.json and gets results.jsonl: a line as a check begins, a line with its result, and a last one. What happened before, in
a process that was ended, stands there already and is not looked at again.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ..api import AdbenchError, Json
from ..registry import Plugin
from .checks import run_checks
from .report import Result

REQUEST: Final = "request.json"
RESULTS: Final = "results.jsonl"


def main(folder: Path) -> None:
    """Look at what request.json names."""
    request = json.loads((folder / REQUEST).read_text())
    earlier = {result.check: result for result in read_results(folder)}
    if request["kind"] == "model":
        from .rules import model_checks

        subject: Any = _model(request, folder)
        checks: Any = model_checks()
    else:
        from .rules import dataset_checks

        subject = _dataset(request, folder)
        checks = dataset_checks()
    wanted = with_needed(checks, request["only"])
    plugin: Plugin[Any] = subject.plugin
    with (folder / RESULTS).open("a") as lines:
        for event in run_checks(wanted, subject, plugin.module, earlier):
            line: dict[str, Json] = {"result": event.plain()} if isinstance(event, Result) else {"begins": event.name}
            lines.write(json.dumps(line, allow_nan=False, default=str) + "\n")
            lines.flush()
        lines.write(json.dumps({"ends": True}) + "\n")


def with_needed(checks: Any, only: list[str]) -> list[Any]:
    """The checks of those names and what they need; all if none is named."""
    by_name = {check.name: check for check in checks}
    wanted: set[str] = set()
    for name in only:
        needed: str | None = name
        while needed is not None and needed not in wanted:
            wanted.add(needed)
            needed = by_name[needed].needs
    return [check for check in checks if not only or check.name in wanted]


def read_results(folder: Path) -> list[Result]:
    """Results so far; a line that a kill cut short is left out."""
    return [Result(**line["result"]) for line in read_lines(folder) if "result" in line]


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """Whole lines of results.jsonl."""
    path = folder / RESULTS
    found = []
    for line in path.read_text().splitlines() if path.exists() else []:
        with suppress(json.JSONDecodeError):  # cut short, or not yet whole
            found.append(json.loads(line))
    return found


def _model(request: dict[str, Any], folder: Path) -> Any:
    from .. import registry
    from ..device import choose_device
    from .subject import ModelSubject

    plugin = registry.model(request["name"])
    options = plugin.spec.options.parse(request["settings"])
    device = choose_device(request["device"])
    return ModelSubject(plugin, options, request["settings"], device, folder, request["image_size"], request["budget"])


def _dataset(request: dict[str, Any], folder: Path) -> Any:
    from .. import registry
    from ..home import Home
    from .dataset_subject import DatasetSubject

    return DatasetSubject(registry.dataset(request["name"]), Home(Path(request["home"])), folder)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except AdbenchError as error:
        print(f"adbench: error: {error}", file=sys.stderr)  # noqa: T201 - this process's only voice
        sys.exit(error.exit_code)
