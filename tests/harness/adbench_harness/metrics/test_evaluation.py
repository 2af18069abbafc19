from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from adbench_harness.metrics.evaluation import NO_RULE, evaluate

LABELS = np.array([0] * 30 + [1] * 30, dtype=np.int8)
SUBTYPES = ["normal"] * 30 + ["cnv"] * 20 + ["dme"] * 10
SCORES = np.random.default_rng(5).normal(LABELS * 0.8)
TASKS = {"cnv": ["cnv"], "either": ["cnv", "dme"], "none": ["absent"]}


@pytest.fixture
def figures() -> dict[tuple[str, str, str], float]:
    return {(f.task, f.rule, f.name): f.value for f in evaluate(LABELS, SUBTYPES, SCORES, TASKS, ["best-f1", "youden"])}


def test_figures_agree_with_scikit_learn(figures: dict[tuple[str, str, str], float]) -> None:
    for rule in ("best-f1", "youden", "all-positive"):
        called = figures["all", rule, "threshold"] < SCORES
        assert figures["all", rule, "f1"] == pytest.approx(f1_score(LABELS, called), abs=1e-12)
        assert figures["all", rule, "precision"] == pytest.approx(precision_score(LABELS, called, zero_division=0), abs=1e-12)
        assert figures["all", rule, "sensitivity"] == pytest.approx(recall_score(LABELS, called), abs=1e-12)
        assert figures["all", rule, "specificity"] == pytest.approx(recall_score(LABELS, called, pos_label=0), abs=1e-12)


def test_a_task_is_its_subtypes_against_all_normals(figures: dict[tuple[str, str, str], float]) -> None:
    chosen = [kind != "dme" for kind in SUBTYPES]
    assert figures["cnv", NO_RULE, "roc_auc"] == pytest.approx(roc_auc_score(LABELS[chosen], SCORES[chosen]), abs=1e-12)
    assert (figures["cnv", NO_RULE, "n_normal"], figures["cnv", NO_RULE, "n_abnormal"]) == (30, 20)
    assert figures["either", NO_RULE, "roc_auc"] == figures["all", NO_RULE, "roc_auc"]


def test_a_task_of_one_class_has_counts_and_nothing_else(figures: dict[tuple[str, str, str], float]) -> None:
    assert {key[2] for key in figures if key[0] == "none"} == {"n_normal", "n_abnormal"}


def test_the_trivial_classifier_is_a_row_of_every_table(figures: dict[tuple[str, str, str], float]) -> None:
    assert figures["all", "all-positive", "sensitivity"] == 1
    assert figures["all", "all-positive", "specificity"] == 0
