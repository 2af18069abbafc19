"""Figures that need no threshold. Labels are 0 normal, 1 abnormal; a higher score means more abnormal.

All depend on the order of scores alone, so they are the same for any two detectors whose scores differ by a monotone change.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

Labels = NDArray[np.int8]
Values = NDArray[np.float64]

PARTIAL_FPR: Final = 0.1
"""Where the partial area ends: beyond one false alarm in ten normal images nobody works."""
HIGH_TPR: Final = 0.95


def roc_auc(labels: Labels, scores: Values) -> float:
    """Area under the ROC curve; ties count half."""
    return float(roc_auc_score(labels, scores))


def average_precision(labels: Labels, scores: Values) -> float:
    """PR AUC as average precision: the sum of precisions weighted by steps of recall, with no interpolation."""
    return float(average_precision_score(labels, scores))


def pr_auc_trapezoid(labels: Labels, scores: Values) -> float:
    """PR AUC by the trapezoid rule, as early code of the field computes it; optimistic, shown beside average precision."""
    precision, recall, _ = precision_recall_curve(labels, scores)
    return float(auc(recall, precision))


def partial_auc(labels: Labels, scores: Values) -> float:
    """Area under the ROC curve up to a false positive rate of 0.1, standardised (McClish 1989): 0.5 by chance, 1 at best."""
    return float(roc_auc_score(labels, scores, max_fpr=PARTIAL_FPR))


def fpr_at_95_tpr(labels: Labels, scores: Values) -> float:
    """The lowest false positive rate with a sensitivity of 0.95 at least."""
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    # A sensitivity is a count over a count: half a count below is no rounding error.
    return float(fpr[tpr >= HIGH_TPR - 1e-12].min())


def kolmogorov_smirnov(labels: Labels, scores: Values) -> float:
    """The largest distance between the score distributions of normal and abnormal images, abnormal higher; 0 to 1."""
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    return float((tpr - fpr).max())


def somers_d(area: float) -> float:
    """Somers' D (1962), also Cliff's delta and the rank-biserial correlation: 2 AUC - 1, -1 to 1, 0 by chance."""
    return 2 * area - 1
