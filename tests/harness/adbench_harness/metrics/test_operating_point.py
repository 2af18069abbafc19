from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, matthews_corrcoef, precision_score, recall_score

from adbench_harness.metrics.operating_point import FIGURES, Confusion, Matrices, confusion

COUNT = st.integers(0, 60)
STUDY = """
head-ct f-anogan 99 1 16 4 .861 .990 .921
brain-tumor-mri multikd 155 0 11 7 .934 1.000 .966
mias ganomaly 115 0 40 0 .742 1.000 .852
mias-patches ganomaly 114 3 34 6 .770 .974 .860
retinal-oct multikd 233 9 8 234 .967 .963 .965
c-nmc f-anogan 1204 15 607 41 .665 .988 .795
"""


@pytest.mark.parametrize("row", STUDY.split("\n")[1:-1])
def test_the_study_s_confusion_matrices_give_its_printed_figures(row: str) -> None:
    tp, fn, fp, tn = (int(word) for word in row.split()[2:6])
    precision, recall, f1 = (float(word) for word in row.split()[6:])
    at = Confusion(tp, fn, fp, tn)
    assert (at.precision, at.sensitivity, at.f1) == pytest.approx((precision, recall, f1), abs=0.00051)


@given(st.integers(1, 60), COUNT, COUNT, st.integers(1, 60))
def test_figures_agree_with_scikit_learn(tp: int, fn: int, fp: int, tn: int) -> None:
    labels = np.repeat([1, 1, 0, 0], [tp, fn, fp, tn])
    called = np.repeat([1, 0, 1, 0], [tp, fn, fp, tn])
    found = Confusion(tp, fn, fp, tn).figures()
    assert found == pytest.approx(
        {
            "sensitivity": recall_score(labels, called),
            "specificity": recall_score(labels, called, pos_label=0),
            "precision": precision_score(labels, called, zero_division=0),
            "f1": f1_score(labels, called),
            "balanced_accuracy": balanced_accuracy_score(labels, called),
            "mcc": matthews_corrcoef(labels, called),
        },
        abs=1e-12,
    )


def test_arrays_of_matrices_give_arrays_of_figures() -> None:
    rows = [(3, 1, 2, 4), (0, 4, 0, 6), (4, 0, 6, 0)]
    matrices = Matrices(*(np.array(column, dtype=float) for column in zip(*rows, strict=True)))
    for name, figure in FIGURES.items():
        np.testing.assert_allclose(figure(matrices), [Confusion(*row).figures()[name] for row in rows])


def test_rates_without_a_class_are_nan_and_precision_of_no_call_is_zero() -> None:
    assert np.isnan(Confusion(0, 0, 1, 1).sensitivity)
    assert np.isnan(Confusion(1, 1, 0, 0).specificity)
    assert Confusion(0, 2, 0, 2).precision == 0.0
    assert Confusion(0, 2, 0, 2).figures()["mcc"] == 0.0


def test_abnormal_is_above_the_threshold() -> None:
    labels, scores = np.array([0, 1, 1, 0], dtype=np.int8), np.array([0.5, 0.5, 0.6, 0.9])
    assert confusion(labels, scores, 0.5) == Confusion(tp=1, fn=1, fp=1, tn=1)
