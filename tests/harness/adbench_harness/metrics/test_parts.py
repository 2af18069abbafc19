from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from adbench_harness.metrics.evaluation import ScoredImages, evaluate
from adbench_harness.metrics.parts import Part, PartFigure, evaluate_parts, parts

LABELS = np.repeat([0, 1], [30, 40]).astype(np.int8)
KINDS = ["normal"] * 30 + ["benign"] * 25 + ["malignant"] * 15
SCORES = np.random.default_rng(2).normal(LABELS * 1.0)
ATTRIBUTES: list[dict[str, str | float | int]] = [
    {"density": "FGD"[place % 3], **({"radius": float(place)} if place >= 30 else {})} for place in range(70)
]
IMAGES = ScoredImages(LABELS, KINDS, SCORES, [None] * 70, np.random.default_rng(1).normal(size=25), ATTRIBUTES)


@pytest.fixture(scope="module")
def figures() -> dict[tuple[str, str, str], PartFigure]:
    return {(f.part, f.rule, f.name): f for f in evaluate_parts(IMAGES, parts(IMAGES), ["normal-q95", "youden"])}


def test_parts_are_kinds_words_and_thirds_of_numbers() -> None:
    found = {part.name: int(part.chosen.sum()) for part in parts(IMAGES)}
    assert found == {
        "kind = benign": 25,
        "kind = malignant": 15,
        "density = D": 23,
        "density = F": 24,
        "density = G": 23,
        "radius <= 43": 14,
        "radius > 43 to 56": 13,
        "radius > 56": 13,
    }


def test_a_number_with_few_steps_is_taken_by_step_and_a_name_is_no_group() -> None:
    facts: list[dict[str, str | float | int]] = [
        {"level": place % 4 + 1, "name": f"image {place}", "same": 1} for place in range(70)
    ]
    assert [part.name for part in parts(replace(IMAGES, attributes=facts)) if not part.name.startswith("kind")] == [
        "level = 1",
        "level = 2",
        "level = 3",
        "level = 4",
    ]


def test_one_kind_and_no_attribute_make_no_part() -> None:
    assert parts(ScoredImages(LABELS, ["normal"] * 30 + ["tumor"] * 40, SCORES, [None] * 70, np.empty(0))) == []


def test_sensitivity_is_of_the_part_s_lesions_at_the_whole_set_s_threshold(
    figures: dict[tuple[str, str, str], PartFigure],
) -> None:
    whole = {(f.rule, f.name): f.value for f in evaluate(IMAGES, {}, ["normal-q95", "youden"]) if f.task == "all"}
    benign = np.array([kind == "benign" for kind in KINDS])
    for rule in ("normal-q95", "youden"):
        called = whole[rule, "threshold"] < SCORES
        assert figures["kind = benign", rule, "sensitivity"].value == pytest.approx(called[benign].mean())
        dense = np.array([facts["density"] == "D" for facts in ATTRIBUTES])
        assert figures["density = D", rule, "specificity"].value == pytest.approx(1 - called[dense & (LABELS == 0)].mean())
    chosen = benign | (LABELS == 0)
    assert figures["kind = benign", "none", "roc_auc"].value == pytest.approx(roc_auc_score(LABELS[chosen], SCORES[chosen]))


def test_a_part_of_lesions_has_no_specificity(figures: dict[tuple[str, str, str], PartFigure]) -> None:
    assert ("kind = benign", "youden", "specificity") not in figures
    assert figures["kind = benign", "none", "n_normal"].value == 0


def test_intervals_say_how_they_were_made_and_hold_the_value(figures: dict[tuple[str, str, str], PartFigure]) -> None:
    for (_, rule, name), figure in figures.items():
        if name in ("sensitivity", "specificity"):
            assert figure.interval is not None
            assert figure.interval.method == ("Wilson" if rule == "normal-q95" else "bootstrap")
            assert figure.interval.low - 1e-12 <= figure.value <= figure.interval.high + 1e-12


def test_a_test_set_of_one_class_and_an_empty_part_give_nothing() -> None:
    nobody = Part("nobody", np.zeros(70, dtype=bool))
    assert evaluate_parts(IMAGES, [nobody], ["youden"]) == []
    alone = IMAGES.where(LABELS == 1)
    assert evaluate_parts(alone, parts(alone), ["youden"]) == []
