"""A package of one's own, complete and running, to start from: ``adbench models new`` and ``adbench datasets new``."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import jinja2

from .. import __version__
from ..api import OptionError, StoreError
from ..registry import names

TEMPLATES: Final = Path(__file__).parent
NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

Kind = Literal["model", "dataset"]


@dataclass(frozen=True)
class Package:
    """What is made."""

    kind: Kind
    name: str
    """Of the plugin and its distribution."""
    folder: Path
    files: tuple[str, ...]
    """Relative to the folder, sorted."""

    @property
    def module(self) -> str:
        """What is imported."""
        return self.name.replace("-", "_")

    @property
    def code(self) -> str:
        """The one file to edit."""
        return f"src/{self.module}/__init__.py"


def new_package(kind: Kind, name: str, into: Path) -> Package:
    """Write a package called ``name`` into the folder ``into``/``name``.

    Raises:
        OptionError: for a name that can't be one, or is taken.
        StoreError: if the folder is there already, or can't be written.
    """
    _check_name(kind, name)
    folder = into / name
    values = {
        "name": name,
        "module": name.replace("-", "_"),
        "class_name": "".join(word.capitalize() for word in name.split("-")),
        "title": name.replace("-", " ").capitalize(),
        "version": __version__,
    }
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise StoreError(f"{folder} is there already; choose another name, or another place with --into") from None
    except OSError as error:
        raise StoreError(f"cannot make {folder}: {error.strerror or error}") from None
    try:
        for path, text in _rendered(kind, values).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        if kind == "dataset":
            from .pictures import write_pictures

            write_pictures(folder / "src" / values["module"] / "images")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise StoreError(f"cannot write {folder}: {error.strerror or error}") from None
    written = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return Package(kind, name, folder, tuple(written))


def _rendered(kind: Kind, values: dict[str, str]) -> dict[str, str]:
    """Texts by their path in the package; a template's path may name the module too."""
    source = TEMPLATES / kind
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(source),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # Python, TOML and Markdown, from a name that holds letters, digits and hyphens alone
    )
    texts = {}
    for name in environment.list_templates(extensions=["jinja"]):
        path = name.removesuffix(".jinja").replace("MODULE", values["module"]).replace("DOT", ".")
        texts[path] = environment.get_template(name).render(values)
    return texts


def _check_name(kind: Kind, name: str) -> None:
    if not NAME.fullmatch(name):
        raise OptionError(f"{name!r} can't be a name; use small letters, digits and single hyphens, a letter first: my-{kind}")
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or importlib.util.find_spec(module) is not None:
        raise OptionError(f"{name!r} would be imported as {module!r}, which is taken in this Python; choose another name")
    if any(plugin.name == name for plugin in names(kind)):
        raise OptionError(f"a {kind} called {name!r} is installed; choose another name")
