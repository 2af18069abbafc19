"""A database filled by hand: what the atlas reads, with no run folders behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pytest

from adbench_harness.store.migrations import migrate
from adbench_leaderboard import queries
from adbench_leaderboard.atlas.gather import views
from adbench_leaderboard.atlas.view import View
from adbench_leaderboard.tables import boards

NAMES: Sequence[str] = ("n0", "n1", "n2", "n3", "a4", "a5", "a6")
"""Four normal images, then three abnormal ones."""


@dataclass
class Store:
    """A database, and how runs come into it."""

    db: duckdb.DuckDBPyConnection

    def add(
        self,
        run_id: str,
        model: str,
        scores: Sequence[float],
        *,
        seed: int = 0,
        split: int = 0,
        dataset: str = "phantom",
        fingerprint: str = "d" * 16,
        fit_digest: str = "f" * 16,
        unranked: str | None = None,
        created: str = "2026-01-02 03:04:05",
        names: Sequence[str] = NAMES,
        groups: Sequence[str | None] | None = None,
        kind: str = "bleed",
        attributes: Mapping[str, object] | None = None,
        thresholds: Mapping[str, float] | None = None,
    ) -> None:
        """A run with its scores and thresholds; the first four images are normal."""
        manifest = {"protocol": {"evaluation": {"thresholds": ["normal-q95", "youden"]}}, "dataset": {"licence": "CC0"}}
        self.db.execute(
            "insert into run by name select ? as run_id, ? as model, ? as variant, '{}' as options, ? as dataset, ? as fingerprint, "
            "'study' as protocol, 1 as protocol_version, ? as fit_digest, 'e' as evaluation_digest, ? as unranked, ? as split, "
            "? as seed, ?::timestamp as created, 'cpu' as device, 1 as seconds, 1 as parameters, ? as manifest",
            [run_id, model, model, dataset, fingerprint, fit_digest, unranked, split, seed, created, json.dumps(manifest)],
        )
        facts = json.dumps(attributes) if attributes else None
        for place, (name, score) in enumerate(zip(names, scores, strict=True)):
            abnormal = place > 3
            group = groups[place] if groups else None
            self.db.execute(
                "insert into score by name select ? as run_id, ? as image, ? as label, ? as subtype, ? as group_id, "
                "'test' as subset, ? as score, ? as attributes",
                [run_id, name, int(abnormal), kind if abnormal else "normal", group, score, facts],
            )
        for rule, value in ({"youden": 0.5} if thresholds is None else thresholds).items():
            self.db.execute(
                "insert into metric values (?, 'all', ?, true, 'threshold', ?, null, null, null)", [run_id, rule, value]
            )

    def views(self, dataset: str = "phantom") -> list[View]:
        """The views of a dataset."""
        return views(self.db, boards(queries.runs(self.db)), dataset)


@pytest.fixture
def store() -> Iterator[Store]:
    with duckdb.connect() as db:
        migrate(db)
        yield Store(db)


@pytest.fixture
def filled(store: Store) -> Store:
    """Three models of two seeds: all miss a6, all raise a false alarm on n0, kd alone catches a5; and runs that must not meet them."""
    for seed in (0, 1):
        store.add(f"kd-{seed}", "kd", (0.9, 0.1, 0.2, 0.3, 0.8, 0.7, 0.0), seed=seed)
        store.add(f"pca-{seed}", "pca", (0.9, 0.1, 0.2, 0.3, 0.8, 0.25, 0.0), seed=seed)
        # The seeds of gan are split over n3.
        store.add(f"gan-{seed}", "gan", (0.9, 0.1, 0.2, 0.4 + 0.2 * seed, 0.8, 0.25, 0.0), seed=seed)
    inverted = (0.1, 0.9, 0.8, 0.7, 0.2, 0.3, 1.0)
    store.add("kd-split", "kd", inverted, split=1)
    store.add("kd-digest", "kd", inverted, fit_digest="a" * 16)
    store.add("kd-files", "kd", inverted, fingerprint="b" * 16)
    store.add("kd-off", "kd", inverted, seed=2, unranked="off protocol")
    store.add("kd-mias", "kd", inverted, dataset="mias")
    return store
