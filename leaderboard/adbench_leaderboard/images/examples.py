"""Test images that a run keeps pictures of, and what each threshold makes of them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from adbench_harness.api import StoreError
from adbench_harness.metrics.thresholds import TRIVIAL
from adbench_harness.result import Example, Examples, read_examples

from .. import names, wording
from ..queries import Run
from ..site import Choices, File

TITLES: Final = {"input": "image", "reconstruction": "reconstruction", "map": "anomaly map"}
"""Kinds of pictures, in the order in which they are shown."""
WIDEST: Final = 4096
"""Pixels; a picture that claims to be larger is not shown."""


@dataclass(frozen=True)
class Picture:
    """A picture of the site."""

    title: str
    alt: str
    """What is seen, for those who don't."""
    path: str
    """In the site."""
    width: int
    height: int


@dataclass(frozen=True)
class Verdict:
    """What a threshold says of an image."""

    abnormal: bool
    """Whether it is called abnormal."""
    right: bool


@dataclass(frozen=True)
class Shot:
    """A test image with the verdicts on it."""

    example: Example
    verdicts: Sequence[Verdict]
    """One a rule of the gallery."""
    pictures: Sequence[Picture]
    """Empty where pictures may not be shown."""


@dataclass(frozen=True)
class Gallery:
    """The examples of a run."""

    rules: Sequence[str]
    """Those that gave the run a threshold, the honest ones first."""
    shots: Sequence[Shot]
    white: float | None
    """The value of the anomaly map that is shown as white; None without maps."""
    files: Sequence[File]
    """The pictures."""
    problem: str = ""
    """Why there are none though the run kept some."""


def gallery(run: Run, choices: Choices) -> Gallery | None:
    """The examples of a run, with pictures where the publisher chose so; None if its folder keeps none, or is not at hand."""
    if choices.runs is None:
        return None
    pictured = run.dataset in choices.with_images
    try:
        found = read_examples(choices.runs / run.run_id, run.mapping("files"), pictured)
        return _gallery(run, found, pictured) if found is not None and found.listed else None
    except StoreError as error:
        return Gallery([], [], None, [], str(error).replace(str(choices.runs), "runs"))


def _gallery(run: Run, found: Examples, pictured: bool) -> Gallery:
    thresholds = _thresholds(run)
    folder = names.run_page(run).removesuffix(".html")
    shots = [
        Shot(
            example,
            [_verdict(example, threshold) for threshold in thresholds.values()],
            list(_pictures(folder, number, example, found.files)) if pictured else [],
        )
        for number, example in enumerate(found.listed)
    ]
    files = {
        picture.path: found.files[name]
        for shot in shots
        for picture, name in zip(shot.pictures, _in_order(shot.example).values(), strict=False)
    }
    whites = [example.map_white for example in found.listed if example.map_white is not None]
    return Gallery(
        list(thresholds), shots, whites[0] if whites else None, [File(path, content) for path, content in files.items()]
    )


def _thresholds(run: Run) -> Mapping[str, float]:
    found = {rule: run.figure("threshold", rule) for rule in sorted(run.rules, key=run.oracles.__contains__) if rule != TRIVIAL}
    return {rule: threshold for rule, threshold in found.items() if threshold is not None}


def _verdict(example: Example, threshold: float) -> Verdict:
    abnormal = example.score > threshold
    return Verdict(abnormal, abnormal == bool(example.label))


def _in_order(example: Example) -> dict[str, str]:
    """Names of the pictures in the run's folder, by kind."""
    return {kind: name for kind in TITLES if (name := example.files.get(kind)) is not None}  # type: ignore[call-overload]


def _pictures(folder: str, number: int, example: Example, files: Mapping[str, bytes]) -> list[Picture]:
    label = f"abnormal ({example.subtype})" if example.label else "normal"
    words = {
        "input": f"Test image {example.image}, {label}, score {wording.number(example.score)}",
        "reconstruction": f"What the detector makes of test image {example.image}",
        "map": f"Where the detector finds test image {example.image} abnormal: white most, black not at all",
    }
    return [
        Picture(TITLES[kind], words[kind], f"{folder}/{number:02}-{kind}.png", *_size(name, files[name]))
        for kind, name in _in_order(example).items()
    ]


def _size(name: str, content: bytes) -> tuple[int, int]:
    """Width and height of a PNG. Raises StoreError if it states none that can be shown."""
    try:
        chunk, width, height = struct.unpack_from(">4sII", content, 12)
    except struct.error:
        chunk, width, height = b"", 0, 0
    if chunk != b"IHDR" or not (0 < width <= WIDEST and 0 < height <= WIDEST):
        raise StoreError(f"{name} is no picture that can be shown")
    return width, height
