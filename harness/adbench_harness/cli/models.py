"""adbench models."""

from __future__ import annotations

import click

from .options import json_option


@click.group()
def models() -> None:
    """Detectors that are installed.

    \b
    Example:
      adbench models show multikd
    """


@models.command("list")
@json_option
def list_models(as_json: bool) -> None:
    """Names, and the distributions they come from; imports none of them.

    \b
    Example:
      adbench models list --json
    """
    from .plugins import print_names

    print_names("model", as_json)


@models.command("show")
@click.argument("name")
@json_option
def show_model(name: str, as_json: bool) -> None:
    """What a detector does, its paper, and its options with defaults.

    \b
    Example:
      adbench models show multikd
    """
    from .. import registry
    from .show import print_facts, print_json, print_rows

    plugin = registry.model(name)
    spec, source = plugin.spec, plugin.source
    facts = {
        "name": spec.name,
        "title": spec.title,
        "family": spec.family,
        "description": spec.description,
        "training": spec.training_phase,
        "testing": spec.testing_phase,
        "score": spec.score,
        "paper": spec.paper,
        "url": spec.url,
        "revision": spec.revision,
        "plugin": f"{source.distribution} {source.version} ({source.module})",
    }
    if as_json:
        print_json({**facts, "options": spec.options.model_json_schema()["properties"] if spec.options.model_fields else {}})
        return
    print_facts(facts)
    rows = [[name, str(field.default), field.description] for name, field in spec.options.model_fields.items()]
    if rows:
        click.echo()
        print_rows(["option", "default", "meaning"], rows)
