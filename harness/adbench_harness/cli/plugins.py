"""adbench plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .options import json_option

if TYPE_CHECKING:
    from ..registry import Kind, PluginName


@click.group()
def plugins() -> None:
    """Plugins of every kind.

    \b
    Example:
      adbench plugins list
      adbench plugins show slurm
    """


@plugins.command("list")
@json_option
def list_plugins(as_json: bool) -> None:
    """Load every plugin, and show which work; a broken one is shown with its error and stops nothing else; the exit status is then 1.

    \b
    Example:
      adbench plugins list --json
    """
    from ..registry import KINDS, names
    from .show import print_json, print_rows

    found = [(plugin, _error(plugin)) for kind in KINDS for plugin in names(kind)]
    if as_json:
        print_json(
            [
                {
                    "kind": plugin.kind,
                    "name": plugin.name,
                    "distribution": plugin.distribution,
                    "version": plugin.version,
                    "module": plugin.module,
                    "error": error,
                }
                for plugin, error in found
            ]
        )
    else:
        print_rows(
            ["kind", "name", "distribution", "version", "state"],
            [[p.kind, p.name, p.distribution, p.version, error or "ok"] for p, error in found],
        )
    if any(error for _, error in found):
        raise SystemExit(1)


@plugins.command("show")
@click.argument("executor")
@json_option
def show_executor(executor: str, as_json: bool) -> None:
    """What an executor does, and its options. Other plugins: `adbench models show`, `datasets show`, `protocols show`.

    \b
    Example:
      adbench plugins show slurm
    """
    from ..registry import executor as load
    from .show import options_schema, print_facts, print_json, print_options

    plugin = load(executor)
    source, spec = plugin.source, plugin.spec
    facts = {
        "name": spec.name,
        "title": spec.title,
        "plugin": f"{source.distribution} {source.version} ({source.module})",
    }
    if as_json:
        print_json({**facts, "options": options_schema(spec.options)})
        return
    print_facts(facts)
    print_options(spec.options)


def print_names(kind: Kind, as_json: bool) -> None:
    """Names of one kind, without importing any plugin."""
    from ..registry import names
    from .show import print_json, print_rows

    found = names(kind)
    if as_json:
        print_json([{"name": p.name, "distribution": p.distribution, "version": p.version, "module": p.module} for p in found])
    else:
        print_rows(["name", "distribution", "version"], [[p.name, p.distribution, p.version] for p in found])


def _error(plugin: PluginName) -> str | None:
    from ..api import PluginError
    from ..registry import find, load_any

    try:
        find(plugin.kind, plugin.name)
        load_any(plugin)
    except PluginError as error:
        return str(error)
    return None
