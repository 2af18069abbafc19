"""What a full store costs: python bench/store.py [MODELS] [SEEDS].

Makes run folders of noise with the test sets' sizes of the seven datasets, ingests them into a fresh database, and reads what a
page needs. Prints seconds, scores a second, the database's size and the process's largest memory; each is compared with a plain
copy of the same scores into DuckDB in the same run, since machines differ.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np

from adbench_harness.api import Subset
from adbench_harness.home import Results
from adbench_harness.manifest import Cell, Manifest
from adbench_harness.result import Scores, write_run
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_harness.store.queries import run_rows

# Held-out normals, test normals, test abnormals, images a patient (0: unknown), named tasks.
DATASETS = {
    "head-ct": (20, 20, 100, 0, 0),
    "brain-tumor-mri": (20, 20, 155, 0, 0),
    "br35h": (240, 300, 1500, 0, 0),
    "mias": (20, 122, 115, 2, 0),
    "mias-patches": (20, 122, 119, 2, 2),
    "retinal-oct": (5263, 242, 726, 4, 3),
    "c-nmc": (678, 648, 1219, 40, 0),
}
RULES = ("normal-q95", "best-f1", "youden", "sens-at-spec-95", "spec-at-sens-95")


def scores(sizes: tuple[int, int, int, int, int], random: np.random.Generator) -> Scores:
    """Scores of a detector that sees a little."""
    held_out, normal, abnormal, patient, tasks = sizes
    count = held_out + normal + abnormal
    subset: list[Subset] = ["test"] * count
    subset[:held_out] = ["held_out"] * held_out
    label = np.repeat([0, 0, 1], [held_out, normal, abnormal]).astype(np.int8)
    kinds = [f"kind {place % tasks}" if tasks else "kind" for place in range(abnormal)]
    return Scores(
        image=[f"image {place}" for place in range(count)],
        label=label,
        subtype=["normal"] * (held_out + normal) + kinds,
        group=[f"patient {place // patient}" if patient else None for place in range(count)],
        subset=subset,
        score=random.normal(label * 1.2),
    )


def manifest(dataset: str, model: int, seed: int, tasks: int) -> Manifest:
    """The least that a run says of itself."""
    name = f"model-{model}"
    return Manifest(
        run_id=f"{name}-{dataset}-{seed}",
        cell=Cell(model=name, options={}, dataset=dataset, protocol="bench", fit_digest="f" * 16, split=0, seed=seed),
        variant=name,
        command="",
        created="2026-01-01T00:00:00Z",
        protocol={"name": "bench", "version": 1, "evaluation": {"thresholds": list(RULES)}, "overrides": {}},
        dataset={"fingerprint": "d" * 16, "tasks": {f"task {kind}": [f"kind {kind}"] for kind in range(tasks)}},
        model={"parameters": 1},
        plugins={},
        compute={"device_name": "none"},
        environment={},
        timings={},
        training={},
        files={},
    )


@contextmanager
def timed(what: str, taken: dict[str, float]) -> Iterator[None]:
    """Note how many seconds something takes."""
    start = time.perf_counter()
    yield
    taken[what] = time.perf_counter() - start


def plain_copy(results: Results) -> None:
    """The scores into a table, with nothing computed."""
    db = duckdb.connect(str(results.root / "plain.duckdb"))
    files = [str(path) for path in sorted(results.runs.glob("*/scores.parquet"))]
    for path in files:  # one transaction a run, as an ingest
        db.execute("create table if not exists score as from read_parquet($1) limit 0", [path])
        db.execute("insert into score from read_parquet($1)", [path])
    db.close()


def main(models: int, seeds: int) -> None:
    """Make the store, time it, print a table."""
    random = np.random.default_rng(0)
    taken: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        results = Results(Path(folder))
        total = 0
        for dataset, sizes in DATASETS.items():
            for model in range(models):
                for seed in range(seeds):
                    made = scores(sizes, random)
                    total += len(made.image)
                    write_run(results.runs, manifest(dataset, model, seed, sizes[-1]), made, [], None)
        with timed("plain copy", taken):
            plain_copy(results)
        with timed("ingest", taken):
            done = ingest(results)
        with timed("ingest again, nothing new", taken):
            ingest(results)
        with timed("read every figure of every run", taken), reading(results.database) as db:
            figures = len(db.execute("select * from metric").fetchall())
            rows = len(run_rows(db))
        megabytes = results.database.stat().st_size / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(done.added)} runs ({rows} listed, {len(done.refused)} refused), {total:,} scores, {figures:,} figures")
    for what, seconds in taken.items():
        print(f"{what:<34}{seconds:8.2f} s   {seconds / taken['plain copy']:6.1f} x plain copy")
    print(
        f"database {megabytes:.1f} MB, largest memory {peak:.0f} MiB, {1000 * taken['ingest'] / max(len(done.added), 1):.0f} ms a run"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10, int(sys.argv[2]) if len(sys.argv) > 2 else 5)
