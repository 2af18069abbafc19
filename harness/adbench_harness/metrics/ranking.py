"""Figures that need no threshold. Labels are 0 normal, 1 abnormal; a higher score means more abnormal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

Labels = NDArray[np.int8]
Values = NDArray[np.float64]


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
