"""A small store made of run folders, and the pages that come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from pydantic import JsonValue

from adbench_harness.home import Results
from adbench_harness.manifest import Cell, Manifest
from adbench_harness.result import CurvePoint, Scores, write_run
from adbench_harness.store.ingest import ingest
from adbench_leaderboard.build import build

SCORES: Sequence[float] = (0.1, 0.2, 0.3, 0.7, 0.4, 0.8, 0.9)
"""Four normal images, then three abnormal ones."""

HYPHENS = {ord("\N{EN DASH}"): "-", ord("\N{MINUS SIGN}"): "-"}

MakeRun = Callable[..., str]


@pytest.fixture
def make_run(results: Results) -> MakeRun:
    """Writes a run folder; everything but what a test is about has a plain value."""

    def make(
        run_id: str,
        model: str = "pca",
        dataset: str = "phantom",
        *,
        variant: str | None = None,
        title: str = "A model",
        url: str = "https://example.org/paper",
        seed: int = 0,
        split: int = 0,
        scores: Sequence[float] = SCORES,
        created: str = "2026-01-02T03:04:05Z",
        overrides: Mapping[str, str] | None = None,
        fit_digest: str = "f" * 16,
        fingerprint: str = "d" * 16,
        partial: str | None = None,
        subtypes: Sequence[str] = ("bleed", "bleed", "tumour"),
        thresholds: Sequence[str] = ("best-f1", "youden"),
        counts: Mapping[str, int] | None = None,
        curves: Sequence[CurvePoint] = (CurvePoint("fit", 0, "loss", 2.0), CurvePoint("fit", 1, "loss", 0.5)),
    ) -> str:
        manifest = Manifest(
            run_id=run_id,
            cell=Cell(
                model=model,
                options={"width": 64},
                dataset=dataset,
                protocol="study",
                fit_digest=fit_digest,
                split=split,
                seed=seed,
            ),
            variant=variant or model,
            command=f"adbench run --model {model} --dataset {dataset} --split {split} --seed {seed}",
            created=created,
            protocol=_protocol(fit_digest, dict(overrides or {}), thresholds),
            dataset={**_dataset(dataset, fingerprint, sorted(set(subtypes)), counts), "partial": partial},
            model={"title": title, "url": url, "parameters": 12345, "given": {"teacher": {"kind": "random", "sha256": "abc"}}},
            plugins={"model": {"name": model, "distribution": "adbench-harness", "version": "0.1.0", "revision": "1"}},
            compute={"device": "cpu", "device_name": "x86_64", "threads": 2},
            environment={"adbench": "0.1.0"},
            timings={"prepare": 0.5, "train": 61.0},
            training={"images": 8, "images_presented": 16},
            files={},
        )
        write_run(results.runs, manifest, _scores(scores, subtypes), curves, weights=None)
        return run_id

    return make


def _protocol(fit_digest: str, overrides: dict[str, JsonValue], thresholds: Sequence[str]) -> dict[str, JsonValue]:
    return {
        "name": "study",
        "version": 1,
        "title": "A study",
        "fit": {"image_size": 128},
        "evaluation": {"thresholds": list(thresholds)},
        "split_rule": "by hash",
        "fit_digest": fit_digest,
        "evaluation_digest": "e" * 16,
        "overrides": overrides,
    }


def _dataset(name: str, fingerprint: str, kinds: Sequence[str], counts: Mapping[str, int] | None) -> dict[str, JsonValue]:
    return {
        "title": f"The {name} images",
        "licence": "CC0",
        "fingerprint": fingerprint,
        "counts": {**(counts or {"train_normal": 8, "test_normal": 4, "test_abnormal": 3})},
        "subtypes": {"normal": 12, **dict.fromkeys(kinds, 1)},
        "tasks": {kind: [kind] for kind in kinds},
    }


def _scores(scores: Sequence[float], subtypes: Sequence[str]) -> Scores:
    normal = len(scores) - len(subtypes)
    return Scores(
        image=[f"image-{number}" for number in range(len(scores))],
        label=np.asarray([0] * normal + [1] * len(subtypes), dtype=np.int8),
        subtype=["normal"] * normal + list(subtypes),
        group=[None] * len(scores),
        subset=["test"] * len(scores),
        score=np.asarray(scores, dtype=np.float64),
    )


@dataclass
class Table:
    """A table of a page: its caption and its rows of text."""

    caption: str = ""
    rows: list[list[str]] = field(default_factory=list)


class Reader(HTMLParser):
    """What a page holds: tables, links, ids, tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[Table] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self._place = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag == "table":
            self.tables.append(Table())
        elif tag == "tr":
            self.tables[-1].rows.append([])
        elif tag in ("td", "th"):
            self.tables[-1].rows[-1].append("")
        if tag in ("td", "th", "caption"):
            self._place = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._place:
            self._place = ""

    def handle_data(self, data: str) -> None:
        data = data.translate(HYPHENS)
        self.text += f"{data} "
        if self._place == "caption":
            self.tables[-1].caption += data
        elif self._place:
            row = self.tables[-1].rows[-1]
            row[-1] = " ".join(f"{row[-1]} {data}".split())


@pytest.fixture
def render(results: Results, tmp_path: Path) -> Callable[[], Path]:
    """Takes in the runs and renders their site; path of its index page."""

    def build_site() -> Path:
        ingest(results)
        return build(results.database, tmp_path / "site")

    return build_site


@pytest.fixture
def read() -> Callable[[Path], Reader]:
    """Parses a page."""
    return lambda path: Reader(path.read_text(encoding="utf-8"))
