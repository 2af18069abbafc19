"""What comparing 10 models of 5 seeds on 7 datasets costs: python bench/comparing.py [MODELS] [SEEDS].

The plain form does the same pair by pair: it asks the database for the scores of each pair, computes the areas and their
covariance for that pair alone, and draws images for each pair anew. Test sets are as large as those of the built-in datasets.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from adbench_harness.metrics.across import ScoredSet, across, unit_names
from adbench_harness.metrics.comparison import contrast, seed_means
from adbench_harness.metrics.delong import paired_areas
from adbench_harness.store.contenders import Contender, Meeting, contender, meetings, stored_runs
from adbench_harness.store.database import reading, writing
from adbench_harness.store.pairwise import compare
from adbench_harness.store.scored import scored_together

TEST_SETS: Final = {  # normal, abnormal, images a group
    "head-ct": (20, 100, 1),
    "brain-tumor-mri": (18, 155, 1),
    "br35h": (300, 1500, 1),
    "mias": (40, 115, 2),
    "mias-patches": (40, 119, 2),
    "retinal-oct": (250, 750, 1),
    "c-nmc": (1000, 3000, 50),
}
RUN_COLUMNS: Final = (
    "run_id, model, variant, options, dataset, fingerprint, protocol, protocol_version, fit_digest, evaluation_digest, "
    "split, seed, created, device, seconds, parameters, manifest"
)


def make_store(database: Path, models: int, seeds: int) -> None:
    """Runs whose scores say something, with what is shared by all models, by the seeds of one, and by nobody."""
    random = np.random.default_rng(0)
    with writing(database, fresh=True) as db:
        for dataset, (normal, abnormal, size) in TEST_SETS.items():
            labels = np.repeat([0, 1], [normal, abnormal])
            shared = random.normal(size=len(labels))
            for model in range(models):
                own = random.normal(size=len(labels))
                for seed in range(seeds):
                    scores = labels * (0.8 + 0.05 * model) + shared + own + random.normal(size=len(labels))
                    _add(db, dataset, f"model-{model}", seed, labels, scores, size)


def _add(
    db: duckdb.DuckDBPyConnection, dataset: str, model: str, seed: int, labels: np.ndarray, scores: np.ndarray, size: int
) -> None:
    run_id = f"{model}-{dataset}-{seed}"
    manifest = json.dumps({"dataset": {"independent_source": "mias" if dataset.startswith("mias") else dataset}})
    values = [run_id, model, model, "{}", dataset, "f", "p", 1, "d", "e", 0, seed, "2026-01-01", "cpu", 1.0, 1, manifest]
    db.execute(f"insert into run ({RUN_COLUMNS}) values ({', '.join('?' * len(values))})", values)
    count = len(labels)
    table = pa.table(
        {
            "run_id": [run_id] * count,
            "image": [f"image-{number:06d}" for number in range(count)],
            "label": pa.array(labels, pa.int8()),
            "subtype": ["abnormal" if label else "normal" for label in labels],
            "group_id": [None if size == 1 else f"{label}-{number // size}" for number, label in enumerate(labels)],
            "subset": ["test"] * count,
            "score": scores,
        }
    )
    db.register("incoming", table)
    db.execute("insert into score (run_id, image, label, subtype, group_id, subset, score) select * from incoming")
    db.unregister("incoming")


def plain(db: duckdb.DuckDBPyConnection, contenders: list[Contender], met: list[Meeting]) -> None:
    """Every pair on its own."""
    for i, j in combinations(range(len(contenders)), 2):
        test_sets = []
        for meeting in met:
            runs = [[run.run_id for run in meeting.runs[place]] for place in (i, j)]
            images = scored_together(db, runs[0] + runs[1])
            rows = [np.arange(len(runs[0])), len(runs[0]) + np.arange(len(runs[1]))]
            contrast(seed_means(paired_areas(images.labels, images.scores, images.codes), rows), 0, 1)
            dataset = meeting.setting.dataset
            units = list(unit_names(dataset, images.images, images.groups))
            test_sets.append(ScoredSet(dataset, images.labels, units, dataset, [images.scores[one] for one in rows]))
        across(test_sets).difference(0, 1)


def main(models: int, seeds: int) -> None:
    """Print seconds of wall time and of the processor, and the ratio."""
    with tempfile.TemporaryDirectory() as place:
        database = Path(place) / "adbench.duckdb"
        make_store(database, models, seeds)
        with reading(database) as db:
            taken = {}
            for name in ("together", "pair by pair"):
                wall, processor = time.perf_counter(), time.process_time()
                stored = stored_runs(db)
                contenders = [contender(f"model-{number}", stored) for number in range(models)]
                met = list(meetings(contenders).found)
                if name == "together":
                    compare(db, contenders, met, ["all"])
                else:
                    plain(db, contenders, met)
                taken[name] = time.perf_counter() - wall, time.process_time() - processor
        pairs = models * (models - 1) // 2
        print(f"{pairs} pairs of {models} models, {seeds} seeds each, {len(TEST_SETS)} datasets")
        for name, (wall, processor) in taken.items():
            ratio = processor / taken["together"][1]
            print(f"{name:<14}{wall:8.2f} s wall  {processor:8.2f} s processor  {ratio:6.1f} x together")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    main(*(numbers or [10, 5]))
