"""Gray squares with texture; the abnormal ones have a bright disc. 40 normal, 20 abnormal, drawn on first use."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from adbench_harness.api import DatasetSpec, Sample, hookimpl

adbench_api = 1

FOLDER = Path(tempfile.gettempdir()) / "adbench-tiny-discs-1"


def draw(folder: Path) -> None:
    """Write all images; the same every time."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(60):
        place = folder / f"{number:02}.png"
        if place.exists():
            continue
        source = random.Random(number)
        image = Image.new("L", (40, 32))
        image.putdata([100 + source.randrange(40) for _ in range(40 * 32)])
        if number >= 40:
            x, y, r = source.randrange(8, 32), source.randrange(8, 24), source.randrange(2, 8)
            ImageDraw.Draw(image).ellipse((x - r, y - r, x + r, y + r), fill=230)
        image.save(place.with_suffix(".tmp"), format="PNG")
        place.with_suffix(".tmp").replace(place)


def samples(root: Path) -> Sequence[Sample]:
    """List all images."""
    return [
        Sample(f"{n:02}", f"{n:02}.png", int(n >= 40), "disc" if n >= 40 else "normal", group=f"g{n // 2}") for n in range(60)
    ]


@hookimpl
def register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    """Register the discs, drawn here: listing samples writes nothing."""
    draw(FOLDER)
    register(
        DatasetSpec(
            name="tiny-discs",
            title="Tiny discs",
            samples=samples,
            modality="synthetic",
            organ="none",
            citation="none",
            licence="CC0",
            source="drawn on first use",
            group_rule="pairs",
            expected={"normal": 40, "disc": 20},
            embedded=FOLDER,
        )
    )
