"""What statistics of the test batch do to GANomaly: python scripts/batch_statistics.py RUN_FOLDER...

Each folder is a run of `ganomaly` with `bn_at_test=running` that keeps its weights (`--keep-weights all`). Its network is not trained
again: the same weights score the run's test images by the statistics of training, and by those of the batch in batches of several
sizes, in several random orders (the abnormal ones mixed in as the test set has them), and class by class, as a listing of folders
gives them. One line of tab-separated values for each: dataset, protocol, seed, training images presented, how, batch size, orders, mean
ROC AUC over orders, the lowest, the highest, and by how much the score of one image changes from order to order (its standard
deviation, median over images, in interquartile ranges of scores).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from adbench_harness.api import Sample
from adbench_harness.applying.detector import StoredDetector, load_stored
from adbench_harness.data.images import DeviceImages
from adbench_harness.data.prepare import prepare
from adbench_harness.device import DTYPES, reproducible
from adbench_harness.home import Home
from adbench_harness.metrics.ranking import roc_auc
from adbench_harness.plan import RunRequest, plan
from adbench_models.ganomaly import GANomaly

PUBLISHED = 32
"""The batch size of the study."""
ORDERS = {1: 1, 8: 3, PUBLISHED: 5, 128: 3}
"""How many random orders, by batch size. In batches of one there is but one."""


@dataclass(frozen=True)
class Way:
    """How test images were normalised, and what came out."""

    how: str
    batch: int
    scores: NDArray[np.float64]
    """(orders, N)."""


def ways(stored: StoredDetector, detector: GANomaly, images: DeviceImages, labels: NDArray[np.int8]) -> Iterator[Way]:
    """The same weights by statistics of training, and by those of batches of several sizes and orders."""
    everything = np.arange(len(labels))
    yield Way("statistics of training", PUBLISHED, _scores(detector, images, "running", PUBLISHED, [everything]))
    random = np.random.default_rng(stored.manifest.cell.seed)
    for batch, orders in ORDERS.items():
        drawn = [random.permutation(everything) for _ in range(orders)]
        yield Way("of the batch, mixed", batch, _scores(detector, images, "batch", batch, drawn))
    by_class = np.argsort(labels, kind="stable")
    yield Way("of the batch, class by class", PUBLISHED, _scores(detector, images, "batch", PUBLISHED, [by_class]))


def _scores(
    detector: GANomaly, images: DeviceImages, statistics: str, batch: int, orders: list[NDArray[np.int64]]
) -> NDArray[np.float64]:
    detector.options = detector.options.model_copy(update={"bn_at_test": statistics})
    found = np.empty((len(orders), len(images)))
    with reproducible(), torch.inference_mode():
        for number, order in enumerate(orders):
            for part in torch.split(torch.from_numpy(order), batch):
                found[number, part.numpy()] = detector.score(images.batch(part)).double().cpu().numpy()
    return found


def main(folders: list[str]) -> None:
    """Print a line a way of each run."""
    if not folders:
        sys.exit(__doc__)
    for folder in folders:
        stored = load_stored(Path(folder), {}, "cpu")
        cell, detector = stored.manifest.cell, stored.detector
        if not isinstance(detector, GANomaly):
            sys.exit(f"{folder}: a run of {cell.model}; this looks at runs of ganomaly")
        made = plan(RunRequest(cell.model, cell.dataset, cell.protocol, cell.split, cell.seed, "cpu"), Home.at(None))
        samples: list[Sample] = made.samples("test")
        prepared = prepare(made.listing, samples, stored.rules, Home.at(None))
        images = DeviceImages(prepared, [sample.id for sample in samples], stored.device, DTYPES[stored.rules.precision])
        labels = np.asarray([sample.label for sample in samples], dtype=np.int8)
        presented = stored.manifest.training["images_presented"]
        for way in ways(stored, detector, images, labels):
            areas = [roc_auc(labels, scores) for scores in way.scores]
            spread = np.subtract(*np.quantile(way.scores[0], [0.75, 0.25]))
            change = float(np.median(way.scores.std(axis=0, ddof=1)) / spread) if len(areas) > 1 else 0.0
            row = [cell.dataset, cell.protocol, cell.seed, presented, way.how, way.batch, len(areas)]
            figures = [f"{value:.3f}" for value in (np.mean(areas), min(areas), max(areas), change)]
            print(*row, *figures, sep="\t", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
