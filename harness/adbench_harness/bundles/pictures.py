"""Example pictures of a bundle: decoded and written anew, so that nothing but pixels comes in."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Final

from pydantic import TypeAdapter, ValidationError

from ..api import DataError, Sample
from ..result import EXAMPLES as FOLDER
from ..result import Example, Examples
from .form import EXAMPLES, PICTURE, first_problem, printable
from .opening import Bundle

LARGEST_SIDE: Final = 1024
"""Pixels; no protocol prepares larger images."""
MOST: Final = 100
"""Images; a run shows sixteen."""


def read_pictures(bundle: Bundle, run_id: str, test: Mapping[str, Sample], scores: Mapping[str, float]) -> Examples | None:
    """The pictures of a run; what they are of is taken from our samples and the run's scores. None if it has none.

    Raises:
        DataError: if one is of no test image, is no PNG, or too large.
    """
    if not bundle.has(run_id, EXAMPLES):
        return None
    where = f"{bundle.path}: run {run_id}, {EXAMPLES}"
    try:
        listed = TypeAdapter(list[Example]).validate_json(bundle.read(run_id, EXAMPLES))
    except ValidationError as error:
        raise DataError(f"{where}: not a list of examples: {first_problem(error)}") from None
    if len(listed) > MOST:
        raise DataError(f"{where}: lists {len(listed)} images, more than {MOST}")
    files = {name: _picture(bundle, run_id, name) for one in listed for name in one.files.values()}
    return Examples([_ours(one, test, scores, where) for one in listed], files)


def _ours(example: Example, test: Mapping[str, Sample], scores: Mapping[str, float], where: str) -> Example:
    sample = test.get(example.image)
    if sample is None:
        raise DataError(f"{where}: {printable(example.image)!r} is no test image of the run")
    if example.map_white is not None and not math.isfinite(example.map_white):
        raise DataError(f"{where}: map_white of {example.image!r} is {example.map_white}")
    return example.model_copy(update={"label": sample.label, "subtype": sample.subtype, "score": scores[sample.id]})


def _picture(bundle: Bundle, run_id: str, name: str) -> bytes:
    from PIL import Image

    path = f"{FOLDER}/{name}"
    where = f"{bundle.path}: run {run_id}, {printable(path)}"
    if not PICTURE.fullmatch(path) or not bundle.has(run_id, path):
        raise DataError(f"{where}: there is no such picture")
    try:
        with Image.open(io.BytesIO(bundle.read(run_id, path)), formats=["PNG"]) as found:
            if max(found.size) > LARGEST_SIDE:
                raise DataError(f"{where}: {found.size[0]} x {found.size[1]} pixels, more than {LARGEST_SIDE} a side")
            pixels = found.convert("L" if found.mode in ("1", "L") else "RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise DataError(f"{where}: is no PNG that can be decoded") from None
    stream = io.BytesIO()
    pixels.save(stream, format="PNG")
    return stream.getvalue()
