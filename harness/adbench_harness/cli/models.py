"""adbench models."""

from __future__ import annotations

import click

from .options import Device, Setting, check_limit_option, json_option


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
    from .show import options_schema, print_facts, print_json, print_options

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
        print_json({**facts, "options": options_schema(spec.options)})
        return
    print_facts(facts)
    print_options(spec.options)


@models.command("check")
@click.argument("name")
@click.option("--set", "settings", type=Setting(), multiple=True, help="A model option.")
@click.option(
    "--device",
    "devices",
    type=Device(),
    multiple=True,
    help="auto, cpu, cuda, cuda:N or mps; again for each.  [default: cpu, and cuda where there is one]",
)
@click.option("--only", multiple=True, metavar="CHECK", help="This check, and what it needs; again for each.")
@click.option(
    "--image-size",
    type=click.IntRange(16, 1024),
    default=32,
    show_default=True,
    help="Pixels; raise it for an architecture that needs more.",
)
@click.option(
    "--budget",
    type=click.IntRange(1),
    default=1920,
    show_default=True,
    help="Training images presented before scores are looked at.",
)
@check_limit_option
@json_option
def check_model(
    name: str,
    settings: tuple[tuple[str, str], ...],
    devices: tuple[str, ...],
    only: tuple[str, ...],
    image_size: int,
    budget: int,
    time_limit: float,
    as_json: bool,
) -> None:
    """Look whether a detector keeps the rules: before you publish it, and before anybody trains it for hours.

    It is trained and scored on images that are made for this, in a process of its own. The exit status is 1 if a rule is broken.

    \b
    Examples:
      adbench models check my-detector
      adbench models check multikd --set teacher=random --device cpu --json
      adbench models check my-detector --only batch --only reload
    """
    from ..registry import find

    find("model", name)  # a mistyped name is told at once
    from ..conformance.checking import check_model as check
    from .checking import finish, print_heading, print_result

    reports = []
    for device in devices or _all_devices():
        if not as_json:
            print_heading(f"{name} on {device}", [f"{key}={word}" for key, word in settings])
        heard = (lambda result: None) if as_json else print_result
        reports.append(check(name, dict(settings), device, image_size, budget, only, time_limit, heard))
    finish(reports, as_json)


def _all_devices() -> list[str]:
    import torch

    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
