"""Names of pages and addresses of links, made from words that nobody vouches for."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from markupsafe import Markup

from .queries import Run
from .tables import ModelKey, ProtocolKey, by_name, model_key

PLAIN: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")
DEVICE: Final = re.compile(r"con|prn|aux|nul|com\d|lpt\d")
"""Names that Windows keeps for itself."""
DIGEST: Final = re.compile(r"[0-9a-f]{16}")
BREAK: Final = re.compile(r"(?<=[/\\_=@])(?=[^/\\_=@])")
"""Where a long name may be broken; browsers break behind hyphens by themselves."""
WRITTEN: Final = "\n\t\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Control characters that ordinary text needs."""


def slug(name: str) -> str:
    """A file name for a name: the name itself if it is plain, else what is plain of it and a digest.

    A plain name has no dot and a digest follows one, so a name can't be chosen to take another's page.
    """
    if PLAIN.fullmatch(name) and not DEVICE.fullmatch(name):
        return name
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "x"
    return f"{plain}.{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def run_page(run: Run) -> str:
    """Where a run's page lies."""
    return f"run/{slug(run.run_id)}.html"


def dataset_page(name: str) -> str:
    """Where a dataset's page lies."""
    return f"dataset/{slug(name)}.html"


def dataset_sheet(kind: str, name: str) -> str:
    """Where a table of a dataset lies as CSV: of kind "standing", "rules" or "areas"."""
    return f"data/{kind}/{slug(name)}.csv"


def board_anchor(key: ProtocolKey) -> str:
    """What a board is called in addresses and file names; it stays the same as long as its rules do."""
    parts = f"{key.name}-{key.version}-{key.fit_digest}-{key.evaluation_digest}"
    # From the right, this can be read in one way only.
    plain = PLAIN.fullmatch(parts) and all(DIGEST.fullmatch(part) for part in key[2:])
    return parts if plain else slug(" ".join(map(str, key)))


def model_pages(runs: Iterable[Run]) -> Mapping[ModelKey, str]:
    """Where each model's page lies; where one variant name stands for several option sets, the options tell them apart."""
    keys = by_name(model_key(run) for run in runs)
    variants = [key.variant for key in keys]
    return {key: f"model/{slug(key.variant if variants.count(key.variant) == 1 else ' '.join(key))}.html" for key in keys}


def web_address(text: str) -> str:
    """The text if it is an http or https address, else nothing."""
    if text[:4].lower() != "http":  # hardly any text is one, and taking it apart is slow
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    clean = text == text.strip() and not any(unicodedata.category(character).startswith(("C", "Z")) for character in text)
    return text if clean and parts.scheme in ("http", "https") and parts.netloc else ""


def printable(text: str) -> str:
    """The text with control characters spelt out, among them those that turn the direction of what follows."""
    if text.isprintable():  # most are, and a site prints millions
        return text
    return "".join(f"\\u{ord(character):04x}" if _controls(character) else character for character in text)


def breakable(text: str) -> Markup:
    """The text as markup that may go on in the next line behind each of / \\ _ = @, as long names of files and models need it."""
    return Markup("<wbr>").join(BREAK.split(printable(text)))


def _controls(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs") and character not in WRITTEN
