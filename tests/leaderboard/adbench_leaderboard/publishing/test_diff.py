"""What is said to have changed between two documents of a site."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adbench_harness.api import OptionError
from adbench_leaderboard.publishing.diff import Change, Diff, diff, lines, printed, read

Json = Any
Alter = Callable[[Json], object]


def mean(value: float) -> Json:
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "lowest_run": value, "highest_run": value, "runs": 1}


DOCUMENT: Json = {
    "schema_version": 1,
    "adbench": "0.1.0",
    "datasets": [{"name": "mias", "fingerprint": "d1"}],
    "models": [{"id": "pca", "variant": "pca", "options": {"k": 1}}, {"id": "kd", "variant": "kd", "options": {}}],
    "boards": [
        {
            "protocol": "study",
            "protocol_version": 1,
            "fit_digest": "f" * 16,
            "evaluation_digest": "e" * 16,
            "cells": [
                {
                    "model": "pca",
                    "dataset": "mias",
                    "fingerprint": "d1",
                    "split": 0,
                    "roc_auc": mean(0.7),
                    "rules": {"youden": {"sensitivity": mean(0.6), "specificity": None}},
                }
            ],
            "standings": [
                {
                    "dataset": "mias",
                    "fingerprint": "d1",
                    "split": 0,
                    "models": [
                        {"model": "pca", "letters": "a", "ranks": [1, 2]},
                        {"model": "kd", "letters": "a", "ranks": [1, 2]},
                    ],
                }
            ],
        }
    ],
    "runs": [
        {
            "run_id": "r1",
            "unranked": None,
            "figures": {
                "all": {
                    "none": {"n_normal": [40], "roc_auc": [0.7, 0.6, 0.8]},
                    "youden": {"sensitivity": [0.6, 0.5, 0.7], "tp": [3], "threshold": ["-Infinity"]},
                }
            },
        }
    ],
}
CELL, STANDING = DOCUMENT["boards"][0]["cells"][0], DOCUMENT["boards"][0]["standings"][0]
BOARD = "study version 1 (ffffff, eeeeee)"


@pytest.fixture
def compare(tmp_path: Path) -> Callable[[Alter], Diff]:
    """What changed once the document was altered."""

    def compared(alter: Alter) -> Diff:
        altered = copy.deepcopy(DOCUMENT)
        alter(altered)
        for name, content in (("old.json", DOCUMENT), ("new.json", altered)):
            (tmp_path / name).write_text(json.dumps(content))
        return diff(read(tmp_path / "old.json"), read(tmp_path / "new.json"))

    return compared


def board(document: Json) -> Json:
    return document["boards"][0]


def figures(document: Json) -> Json:
    return document["runs"][0]["figures"]["all"]


@pytest.mark.parametrize(
    ("alter", "changes"),
    [
        (lambda site: site["datasets"].append({"name": "new", "fingerprint": "d2"}), [("dataset", "added", "new (d2)")]),
        (
            lambda site: site["datasets"][0].update(fingerprint="d2"),
            [("dataset", "added", "mias (d2)"), ("dataset", "removed", "mias (d1)")],
        ),
        (lambda site: site["models"].append({"id": "x", "variant": "x", "options": {}}), [("model", "added", "x")]),
        (lambda site: site["runs"].append({**site["runs"][0], "run_id": "r2"}), [("run", "added", "r2")]),
        (lambda site: site["runs"].clear(), [("run", "removed", "r1")]),
        (lambda site: site["runs"][0].update(unranked="partial"), [("run", "changed", "r1")]),
        (
            lambda site: board(site).update(fit_digest="0" * 16),
            [("board", "added", "study version 1 (000000, eeeeee)"), ("board", "removed", BOARD)],
        ),
        (lambda site: board(site)["cells"].append({**CELL, "model": "kd"}), [("cell", "added", f"{BOARD}, mias, kd")]),
        (lambda site: board(site)["cells"].clear(), [("cell", "removed", f"{BOARD}, mias, pca")]),
        (lambda site: board(site)["cells"][0].update(roc_auc=mean(0.8)), [("cell", "changed", f"{BOARD}, mias, pca, ROC AUC")]),
        (lambda site: board(site)["cells"][0].update(roc_auc=None), [("cell", "removed", f"{BOARD}, mias, pca, ROC AUC")]),
        (
            lambda site: board(site)["standings"][0]["models"][1].update(ranks=[2, 2], letters="b"),
            [("standing", "changed", f"{BOARD}, mias split 0, kd")],
        ),
        (lambda site: figures(site)["youden"].update(tp=[4]), [("figure", "changed", "r1, youden tp")]),
        (
            lambda site: figures(site).pop("youden"),
            [("figure", "removed", f"r1, youden {name}") for name in ("sensitivity", "tp", "threshold")],
        ),
        # What a model is called inside of the document is no change of it, and neither is a last digit.
        (
            lambda site: [
                part.update({name: "p2"})
                for part, name in (
                    (site["models"][0], "id"),
                    (board(site)["cells"][0], "model"),
                    (board(site)["standings"][0]["models"][0], "model"),
                )
            ],
            [],
        ),
        (lambda site: figures(site)["none"].update(roc_auc=[0.7 + 1e-15, 0.6, 0.8]), []),
        (lambda site: site.update(adbench="0.2.0"), []),
    ],
)
def test_each_change_is_said_once(compare: Callable[[Alter], Diff], alter: Alter, changes: list[tuple[str, str, str]]) -> None:
    assert [(one.kind, one.what, one.name) for one in compare(alter).changes] == changes


def test_a_change_has_its_size_and_whether_it_shows(compare: Callable[[Alter], Diff]) -> None:
    (small,) = compare(lambda site: figures(site)["none"].update(roc_auc=[0.7001, 0.6, 0.8])).changes
    assert (small.before, small.after, small.seen) == ([0.7, 0.6, 0.8], [0.7001, 0.6, 0.8], False)
    assert small.size == pytest.approx(0.0001)
    (large,) = compare(lambda site: figures(site)["none"].update(roc_auc=[0.75, 0.6, 0.8])).changes
    assert large.seen
    (interval,) = compare(lambda site: figures(site)["none"].update(roc_auc=[0.7, 0.5, 0.8])).changes
    assert (interval.size, interval.seen) == (None, True)
    (word,) = compare(lambda site: figures(site)["youden"].update(threshold=[0.5])).changes
    assert (word.size, word.seen) == (None, True)


def test_people_read_one_line_a_run_and_rounding_as_a_number(compare: Callable[[Alter], Diff]) -> None:
    def alter(site: Json) -> None:
        site["adbench"] = "0.2.0"
        board(site)["cells"][0]["roc_auc"] = mean(0.8)
        figures(site)["none"]["roc_auc"] = [0.9, 0.6, 1.0]
        figures(site)["youden"].update(sensitivity=[0.60001, 0.5, 0.7], tp=[4])

    assert list(lines(compare(alter))) == [
        "made by adbench 0.1.0, then by 0.2.0",
        f"~ cell     {BOARD}, mias, pca, ROC AUC: 0.700 [0.600, 0.800] -> 0.800 [0.700, 0.900] (+0.1)",
        "~ figure   r1, youden tp: 3 -> 4 (+1); 1 more figure of r1",
        "1 figure changed within rounding",
    ]


def test_figures_are_printed_as_on_pages() -> None:
    assert printed("roc_auc", [0.70049, None, 1.0]) == "0.700 [\N{EN DASH}, 1.000]"
    assert printed("threshold", [0.123456]) == "0.1235"
    assert printed("tp", [12.0]) == "12"
    assert printed("threshold", ["-Infinity"]) == "-Infinity"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no .*; give a built site or a leaderboard.json"),
        ("{", "can't be read: .*give a built site"),
        ("[]", "states no schema version, and this adbench compares version 1"),
        ('{"schema_version": 2}', "is of schema version 2, and this adbench compares version 1"),
        ('{"schema_version": 1}', "is not as adbench writes it: adbench: Field required"),
        (json.dumps({**DOCUMENT, "models": []}), "there is no model 'kd'"),
        (json.dumps({**DOCUMENT, "runs": [{"run_id": 3}]}), r"runs\.0\.run_id"),
    ],
)
def test_what_is_no_document_is_one_error(tmp_path: Path, content: str | None, words: str) -> None:
    file = tmp_path / "leaderboard.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(OptionError, match=words) as caught:
        read(file)
    assert "\n" not in str(caught.value)


def test_a_folder_is_a_site(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(OptionError, match=r"has no data/leaderboard\.json; build it again"):
        read(tmp_path)
    (tmp_path / "data/leaderboard.json").write_text(json.dumps(DOCUMENT))
    found = read(tmp_path)
    assert diff(found, found) == Diff(("0.1.0", "0.1.0"), [])
    assert isinstance(Change("run", "added", "r"), Change)
