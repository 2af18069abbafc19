from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, matthews_corrcoef, precision_score, recall_score, roc_auc_score

from adbench_harness.metrics.delong import roc_area
from adbench_harness.metrics.evaluation import NO_RULE, Figure, ScoredImages, evaluate, thresholds
from adbench_harness.metrics.intervals import Interval
from adbench_harness.metrics.thresholds import HONEST, RULES, normal_q95

LABELS = np.array([0] * 30 + [1] * 30, dtype=np.int8)
SUBTYPES = ["normal"] * 30 + ["cnv"] * 20 + ["dme"] * 10
RANDOM = np.random.default_rng(5)
SCORES = RANDOM.normal(LABELS * 0.8)
HELD_OUT = RANDOM.normal(size=40)
IMAGES = ScoredImages(LABELS, SUBTYPES, SCORES, [None] * 60, HELD_OUT)
TASKS = {"cnv": ["cnv"], "either": ["cnv", "dme"], "none": ["absent"]}
ALL_RULES = tuple(RULES)

Figures = dict[tuple[str, str, str], Figure]


def evaluated(images: ScoredImages, rules: tuple[str, ...] = ALL_RULES) -> Figures:
    return {(f.task, f.rule, f.name): f for f in evaluate(images, TASKS, rules)}


@pytest.fixture(scope="module")
def figures() -> Figures:
    return evaluated(IMAGES)


def test_figures_agree_with_scikit_learn(figures: Figures) -> None:
    for rule in ALL_RULES:
        called = figures["all", rule, "threshold"].value < SCORES
        assert figures["all", rule, "f1"].value == pytest.approx(f1_score(LABELS, called), abs=1e-12)
        assert figures["all", rule, "precision"].value == pytest.approx(precision_score(LABELS, called), abs=1e-12)
        assert figures["all", rule, "sensitivity"].value == pytest.approx(recall_score(LABELS, called), abs=1e-12)
        assert figures["all", rule, "specificity"].value == pytest.approx(recall_score(LABELS, called, pos_label=0), abs=1e-12)
        assert figures["all", rule, "mcc"].value == pytest.approx(matthews_corrcoef(LABELS, called), abs=1e-12)
    assert figures["all", NO_RULE, "roc_auc"].value == pytest.approx(roc_auc_score(LABELS, SCORES), abs=1e-12)
    assert figures["all", NO_RULE, "pr_auc"].value == pytest.approx(average_precision_score(LABELS, SCORES), abs=1e-12)


def test_every_figure_but_counts_and_thresholds_has_an_interval_that_holds_it(figures: Figures) -> None:
    bare = {name for (_, _, name), figure in figures.items() if figure.interval is None}
    assert bare == {"n_abnormal", "n_normal", "n_held_out", "threshold", "tp", "fn", "fp", "tn"}
    for key, figure in figures.items():
        if figure.interval is not None:
            assert figure.interval.low - 1e-12 <= figure.value <= figure.interval.high + 1e-12, key


def test_how_an_interval_was_made_is_said(figures: Figures) -> None:
    methods = {
        ("all", NO_RULE, "roc_auc"): "DeLong, logit",
        ("all", NO_RULE, "pr_auc"): "bootstrap",
        ("all", HONEST, "sensitivity"): "Wilson",
        ("all", HONEST, "f1"): "bootstrap",
        ("all", HONEST, "promised_specificity"): "Beta band of the conformal quantile",
        ("all", "youden", "sensitivity"): "bootstrap",
        ("all", "youden", "random_sensitivity"): "random scores",
        ("all", "all-positive", "sensitivity"): "by definition",
    }
    for key, method in methods.items():
        interval = figures[key].interval
        assert interval is not None
        assert interval.method == method


def test_known_groups_are_taken_into_account() -> None:
    found = evaluated(replace(IMAGES, groups=[f"patient {place // 3}" for place in range(60)]))
    assert found["all", NO_RULE, "n_groups"].value == 20
    for key, method in {
        ("all", NO_RULE, "roc_auc"): "Obuchowski, logit",
        ("all", NO_RULE, "pr_auc"): "bootstrap of groups",
        ("all", HONEST, "sensitivity"): "Wilson, effective size",
        ("all", "youden", "sensitivity"): "bootstrap of groups",
    }.items():
        interval = found[key].interval
        assert interval is not None
        assert interval.method == method
    assert found["all", NO_RULE, "roc_auc"].interval == roc_area(LABELS, SCORES, np.arange(60) // 3).interval


def test_the_honest_threshold_is_of_held_out_normals_alone(figures: Figures) -> None:
    assert figures["all", HONEST, "threshold"].value == normal_q95(HELD_OUT)
    assert figures["cnv", HONEST, "threshold"].value == normal_q95(HELD_OUT)
    upside_down = evaluated(replace(IMAGES, labels=(1 - LABELS).astype(np.int8)))
    assert upside_down["all", HONEST, "threshold"].value == normal_q95(HELD_OUT)


def test_without_enough_held_out_normals_the_honest_rule_has_no_figure() -> None:
    found = evaluated(replace(IMAGES, held_out=HELD_OUT[:18]))
    assert not [key for key in found if key[1] == HONEST]
    assert found["all", NO_RULE, "n_held_out"].value == 18
    assert ("all", "youden", "sensitivity") in found
    assert [rule.name for rule, _ in thresholds(replace(IMAGES, held_out=HELD_OUT[:18]), list(RULES.values()))] == [
        rule for rule in RULES if rule != HONEST
    ]


def test_a_task_is_its_subtypes_against_all_normals(figures: Figures) -> None:
    chosen = [kind != "dme" for kind in SUBTYPES]
    assert figures["cnv", NO_RULE, "roc_auc"].value == pytest.approx(roc_auc_score(LABELS[chosen], SCORES[chosen]), abs=1e-12)
    assert (figures["cnv", NO_RULE, "n_normal"].value, figures["cnv", NO_RULE, "n_abnormal"].value) == (30, 20)
    assert figures["either", NO_RULE, "roc_auc"].value == figures["all", NO_RULE, "roc_auc"].value


def test_a_task_of_one_class_has_counts_and_nothing_else(figures: Figures) -> None:
    assert {key[2] for key in figures if key[0] == "none"} == {"n_normal", "n_abnormal", "n_held_out"}


def test_the_trivial_classifier_is_a_row_of_every_table(figures: Figures) -> None:
    assert figures["all", "all-positive", "sensitivity"].value == 1
    assert figures["all", "all-positive", "specificity"] == Figure(
        "all", "all-positive", "specificity", 0.0, Interval(0.0, 0.0, "by definition")
    )


def test_constant_scores_have_figures() -> None:
    area = evaluated(replace(IMAGES, scores=np.ones(60)))["all", NO_RULE, "roc_auc"]
    assert area.interval is not None
    assert 0 < area.interval.low < 0.5 < area.interval.high < 1


def test_perfect_scores_are_no_certainty() -> None:
    """No bootstrap replicate has an image on the wrong side; thirty images of a class still allow for some in a hundred."""
    found = evaluated(replace(IMAGES, scores=LABELS.astype(float)))
    for rule in ("best-f1", "youden"):
        for name in ("sensitivity", "specificity", "precision", "f1", "balanced_accuracy", "mcc"):
            figure = found["all", rule, name]
            assert figure.value == 1
            assert figure.interval is not None
            assert figure.interval.low < 0.95
            assert figure.interval.high == 1
    area = found["all", NO_RULE, "roc_auc"]
    assert area.interval is not None
    assert 0.8 < area.interval.low < area.interval.high == 1
    assert found["all", NO_RULE, "pr_auc"].interval is None


def test_one_image_of_each_class_has_figures() -> None:
    found = evaluated(ScoredImages(np.array([0, 1], dtype=np.int8), ["normal", "x"], np.array([0.0, 1.0]), ["a", "b"], HELD_OUT))
    assert found["all", NO_RULE, "roc_auc"].value == 1
    interval = found["all", "youden", "sensitivity"].interval
    assert interval is not None
    assert interval.method == "Wilson"
