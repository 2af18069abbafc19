"""What a large site costs: python bench/leaderboard.py [MODELS] [SPLITS] [SITE].

Fills a database with scores of noise on the test sets' sizes of the seven datasets, and with figures that are drawn, not computed,
since evaluating thousands of runs takes longer than all that is measured here. Then the site is built, built again with nothing
new, and built after one more run. Prints seconds, also as multiples of a plain copy of the scores into Parquet in the same run,
the index page's size, the largest memory, and how many files one more run touches. With SITE the site is kept there, to be opened
by bench/page.py.
"""

from __future__ import annotations

import gzip
import json
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
from store import DATASETS, RULES, timed

from adbench_harness.home import Results
from adbench_harness.store.database import reading, writing
from adbench_leaderboard.build import build

RUN: Final = [
    "run_id",
    "model",
    "variant",
    "options",
    "dataset",
    "fingerprint",
    "protocol",
    "protocol_version",
    "fit_digest",
    "evaluation_digest",
    "split",
    "seed",
    "created",
    "device",
    "seconds",
    "parameters",
    "manifest",
    "unranked",
]
METRIC: Final = ["run_id", "task", "rule", "oracle", "name", "value", "low", "high"]
AREAS: Final = ("roc_auc", "somers_d", "pr_auc", "partial_auc", "fpr_at_95_tpr", "ks", "random_roc_auc", "random_pr_auc")
RATES: Final = ("sensitivity", "specificity", "precision", "f1", "balanced_accuracy", "mcc")
COUNTS: Final = ("threshold", "tp", "fn", "fp", "tn")
FAMILIES: Final = ("GAN", "distillation", "feature bank", "autoencoder")


def main(models: int, splits: int, kept: Path | None) -> None:
    """Make the store, build its site three times, print a table."""
    random = np.random.default_rng(0)
    taken: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        results, site = Results(Path(folder) / "results"), kept or Path(folder) / "site"
        results.runs.mkdir(parents=True)
        with writing(results.database, fresh=True) as db:
            for dataset in DATASETS:
                for split in range(splits):
                    fill(db, random, dataset, split, range(models))
        with timed("plain copy", taken), reading(results.database) as db:
            db.execute(f"copy score to '{folder}/plain.parquet'").fetchall()
        with timed("build", taken):
            build(results.database, site)
        with timed("build again, nothing new", taken):
            build(results.database, site)
        before = {path: path.stat().st_mtime_ns for path in site.rglob("*") if path.is_file()}
        with writing(results.database) as db:
            fill(db, random, "head-ct", 0, [models])
        with timed("build after one more run", taken):
            build(results.database, site)
        touched = sum(before.get(path) != path.stat().st_mtime_ns for path in site.rglob("*") if path.is_file())
        index = (site / "index.html").read_bytes()
    for what, seconds in taken.items():
        print(f"{what:<34}{seconds:8.2f} s   {seconds / taken['plain copy']:6.1f} x plain copy")
    peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    print(
        f"index {len(index) / 1e3:.0f} kB, {len(gzip.compress(index)) / 1e3:.0f} kB packed; largest memory {peak:.0f} MiB, all processes"
    )
    print(f"one more run touches {touched} of {len(before)} files")


def fill(db: duckdb.DuckDBPyConnection, random: np.random.Generator, dataset: str, split: int, models: Sequence[int]) -> None:
    """Runs of models on a split of a dataset, straight into the database."""
    held_out, normal, abnormal, patient, tasks = DATASETS[dataset]
    label = np.repeat([0, 0, 1], [held_out, normal, abnormal]).astype(np.int8)
    count = len(label)
    shared = random.normal(size=count)
    runs = {model: f"model-{model:02d}-{dataset}-{split}" for model in models}
    images = {
        "image": [f"image-{place:06d}" for place in range(count)],
        "label": pa.array(label, pa.int8()),
        "subtype": ["normal"] * (held_out + normal) + [f"kind {place % tasks}" if tasks else "kind" for place in range(abnormal)],
        "group_id": [f"patient {place // patient}" if patient else None for place in range(count)],
        "subset": ["held_out"] * held_out + ["test"] * (normal + abnormal),
    }
    for model, run_id in runs.items():
        scores = label * (0.4 + 0.05 * model) + shared + random.normal(size=count)
        insert(db, "score", {"run_id": [run_id] * count, **images, "score": scores})
    insert(db, "run", columns(RUN, [run_row(run_id, model, dataset, split) for model, run_id in runs.items()]))
    named = [f"task {number}" for number in range(tasks)]
    found = [
        row for run_id in runs.values() for task in ("all", *named) for row in metric_rows(random, run_id, task, normal, abnormal)
    ]
    insert(db, "metric", columns(METRIC, found))
    if named:
        rows = [(run_id, task, f"kind {number}") for run_id in runs.values() for number, task in enumerate(named)]
        insert(db, "task", columns(("run_id", "task", "subtype"), rows))


def run_row(run_id: str, model: int, dataset: str, split: int) -> tuple[Any, ...]:
    """A run, with what pages show of its manifest."""
    name = f"model-{model:02d}"
    manifest = {
        "run_id": run_id,
        "command": f"adbench run --model {name} --dataset {dataset} --split {split}",
        "protocol": {"name": "bench", "version": 1, "fit": {}, "evaluation": {"thresholds": list(RULES)}, "overrides": {}},
        "dataset": {"title": dataset, "fingerprint": "d" * 16, "licence": "CC0"},
        "model": {"title": name, "family": FAMILIES[model % len(FAMILIES)]},
        "timings": {"train": 10.0},
    }
    digests = ("d" * 16, "bench", 1, "f" * 16, "e" * 16)
    return (
        run_id,
        name,
        name,
        "{}",
        dataset,
        *digests,
        split,
        0,
        f"2026-01-{split + 1:02d}",
        "none",
        10.0,
        10**6,
        json.dumps(manifest),
        None,
    )


def metric_rows(random: np.random.Generator, run_id: str, task: str, normal: int, abnormal: int) -> Iterator[tuple[Any, ...]]:
    """Figures of about the number that a run has, each with an interval where it would have one."""
    for name, number in (("n_abnormal", abnormal), ("n_normal", normal)):
        yield run_id, task, "none", False, name, float(number), None, None
    for name in AREAS:
        yield run_id, task, "none", False, name, *estimate(random)
    for rule in (*RULES, "all-positive"):
        oracle = rule not in ("normal-q95", "all-positive")
        for name in (*RATES, *(f"random_{name}" for name in RATES)):
            yield run_id, task, rule, oracle, name, *estimate(random)
        for name in COUNTS:
            yield run_id, task, rule, oracle, name, float(random.integers(1, 200)), None, None


def estimate(random: np.random.Generator) -> tuple[float, float, float]:
    """A figure and the ends of its interval."""
    value = float(np.clip(random.normal(0.75, 0.08), 0, 1))
    return value, max(value - 0.07, 0.0), min(value + 0.06, 1.0)


def columns(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    """Rows as columns."""
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def insert(db: duckdb.DuckDBPyConnection, table: str, values: dict[str, Any]) -> None:
    """Columns into a table of the store."""
    db.execute("select 1").fetchall()  # nothing is registered while an answer is not read to its end
    db.register("incoming", pa.table(values))
    db.execute(f"insert into {table} by name select * from incoming").fetchall()
    db.unregister("incoming")


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 50,
        int(sys.argv[2]) if len(sys.argv) > 2 else 5,
        Path(sys.argv[3]) if len(sys.argv) > 3 else None,
    )
