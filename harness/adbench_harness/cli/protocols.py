"""adbench protocols."""

from __future__ import annotations

import click

from .options import json_option


@click.group()
def protocols() -> None:
    """Rules of comparison that are installed.

    \b
    Example:
      adbench protocols show adbench-v1
    """


@protocols.command("list")
@json_option
def list_protocols(as_json: bool) -> None:
    """Names, and the distributions they come from.

    \b
    Example:
      adbench protocols list
    """
    from .plugins import print_names

    print_names("protocol", as_json)


@protocols.command("show")
@click.argument("name")
@json_option
def show_protocol(name: str, as_json: bool) -> None:
    """A protocol's rules and digests, and the fields that --set can override (the run is then off-protocol).

    \b
    Example:
      adbench protocols show esmaeili2023 --json
    """
    from .. import registry
    from ..protocol import resolve
    from .show import print_facts, print_json, print_rows

    spec = registry.protocol(name).spec
    resolved = resolve(spec, {})
    facts: dict[str, object] = {
        "name": spec.name,
        "version": spec.version,
        "title": spec.title,
        "description": spec.description,
        "reference": spec.reference,
        "splits": spec.splits,
        "seeds": list(spec.seeds),
        "split rule": spec.split_rule,
        "threshold rules": list(spec.evaluation.thresholds),
        "fit digest": resolved.fit_digest,
        "evaluation digest": resolved.evaluation_digest,
    }
    if as_json:
        print_json({**facts, "fit": spec.fit.model_dump(mode="json"), "split counts": dict(spec.split_counts)})
        return
    print_facts(facts)
    click.echo()
    fields = [[name, "unset" if (value := getattr(spec.fit, name)) is None else str(value), field.description]
              for name, field in type(spec.fit).model_fields.items()]  # fmt: skip
    print_rows(["field", "value", "meaning"], fields)
    if spec.split_counts:
        click.echo()
        print_rows(
            ["dataset", "training normals", "test normals"],
            [[dataset, str(train), str(test)] for dataset, (train, test) in spec.split_counts.items()],
            right=["training normals", "test normals"],
        )
