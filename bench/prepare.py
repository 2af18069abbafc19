"""What preparing images costs over a bare loop, alternating in one run: python bench/prepare.py [IMAGES] [ROUNDS].

The bare loop decodes, converts and resizes the same JPEG files of 512 x 496 pixels in one thread; times the number of cores,
it is what the machine could do. The files are gray, as retinal scans are: adbench resizes one channel of
such a file, and the bare loop three. The second time reads the cache.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from adbench_harness.api import DatasetSpec, FitRules, Sample
from adbench_harness.data.listing import Listing, listing
from adbench_harness.data.prepare import prepare
from adbench_harness.home import Home

SIZE = (512, 496)
RULES = FitRules()


def make_images(root: Path, count: int) -> list[Sample]:
    """Speckled gray JPEG files with structure, as retinal scans have."""
    root.mkdir()
    generator = np.random.default_rng(0)
    rows = np.linspace(0, 6, SIZE[1])[:, None]
    columns = np.linspace(0, 9, SIZE[0])[None, :]
    for number in range(count):
        image = 90 + 70 * np.sin(rows + np.cos(columns + number)) + generator.normal(0, 18, (SIZE[1], SIZE[0]))
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(root / f"{number:05d}.jpeg", quality=90)
    return [Sample(f"{number:05d}", f"{number:05d}.jpeg", 0) for number in range(count)]


def bare_loop(root: Path, samples: list[Sample]) -> None:
    """Decode, convert, resize: nothing else, one thread."""
    for sample in samples:
        with Image.open(root / sample.path) as image:
            np.asarray(image.convert("RGB").resize((RULES.image_size, RULES.image_size), Image.Resampling.BILINEAR))


def made(root: Path, samples: list[Sample], home: Home) -> Listing:
    """The images as a dataset; their hashes are taken here, once."""
    spec = DatasetSpec(
        name="made",
        title="",
        samples=lambda _: samples,
        modality="",
        organ="",
        citation="",
        licence="",
        source="",
        group_rule="",
        embedded=root,
    )
    return listing(spec, home)


def main(count: int, rounds: int) -> None:
    """Print images a second of each, and the ratio to cores x bare loop."""
    with tempfile.TemporaryDirectory() as folder:
        root, home = Path(folder) / "images", Home(Path(folder) / "home")
        samples = make_images(root, count)
        found = made(root, samples, home)
        rates: dict[str, list[float]] = {"bare loop, one core": [], "prepare": [], "prepare, second time": []}
        few = samples[: max(count // 5, 1)]
        for _ in range(rounds):
            shutil.rmtree(home.prepared, ignore_errors=True)
            for name, work, images in (
                ("bare loop, one core", lambda: bare_loop(root, few), len(few)),
                ("prepare", lambda: prepare(found, samples, RULES, home), count),
                ("prepare, second time", lambda: prepare(found, samples, RULES, home), count),
            ):
                start = time.perf_counter()
                work()
                rates[name].append(images / (time.perf_counter() - start))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    best = cores * statistics.median(rates["bare loop, one core"])
    for name, values in rates.items():
        median = statistics.median(values)
        print(f"{name:<24}{median:12.0f} images/s  {median / best:8.2f} x ({cores} cores x bare loop)")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB, with {count} images")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, int(sys.argv[2]) if len(sys.argv) > 2 else 3)
