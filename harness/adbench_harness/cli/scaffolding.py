"""adbench models new, adbench datasets new."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..scaffold import Kind

into_option = click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Folder in which the package's folder is made.",
)


@click.command("new")
@click.argument("name")
@into_option
def new_model(name: str, into: Path) -> None:
    """Write a package with a detector in one file, its test, README and CI, which installs and runs as it is.

    \b
    Example:
      adbench models new my-detector
    """
    _make("model", name, into)


@click.command("new")
@click.argument("name")
@into_option
def new_dataset(name: str, into: Path) -> None:
    """Write a package with a dataset in one file, images to start with, its test, README and CI, which installs and runs as it is.

    \b
    Example:
      adbench datasets new my-dataset
    """
    _make("dataset", name, into)


def _make(kind: Kind, name: str, into: Path) -> None:
    from ..scaffold import new_package

    package = new_package(kind, name, into)
    images = [path for path in package.files if path.endswith(".png")]
    for path in package.files:
        if path not in images:
            click.echo(f"  {package.folder / path}")
    if images:
        click.echo(f"  and {len(images)} images")
    click.echo(f"Edit {package.code}; then:")
    other = f"--model {name} --dataset phantom" if kind == "model" else f"--model pca --dataset {name}"
    for command in (f"cd {package.folder}", "pip install -e '.[dev]'", f"adbench {kind}s check {name}", f"adbench run {other}"):
        click.echo(f"  {command}")
