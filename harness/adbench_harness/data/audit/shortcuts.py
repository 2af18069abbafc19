"""What trivial features alone say about the label: a detector that beats them by little may have learnt no medicine."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom
from sklearn.metrics import roc_auc_score

from ...api import Sample
from ..traits import Traits
from .report import Category, Finding, Shortcut

HIGHEST: Final = 0.65
"""An AUC above it (or, turned round, below 0.35) is a finding if its interval excludes 0.5."""
FEWEST: Final = 5
"""Images that a category of one label must have to be a finding."""
UNLIKELY: Final = 0.05
"""Chance below which such a category is a warning, not a note."""
Z95: Final = 1.959964

WORDS: Final[Mapping[str, str]] = {
    "alpha": "the file has transparency",
    "coloured": "some pixel is not gray",
    "width": "width of the picture",
    "height": "height of the picture",
    "aspect": "width over height",
    "file bytes": "size of the file",
    "brightness": "mean brightness",
    "border brightness": "mean brightness of the outermost 2 %",
    "crop x": "column of the crop's centre",
    "crop y": "row of the crop's centre",
    "crop to side": "distance of the crop's centre to the nearer of the image's left and right border",
}


def shortcuts(samples: Sequence[Sample], traits: Mapping[str, Traits]) -> tuple[Shortcut, ...]:
    """The AUC of each feature that is not the same for all images; none if one label has no image."""
    values: dict[str, dict[str, float]] = {}
    for sample in samples:
        for feature, value in _features(sample, traits[sample.id]).items():
            values.setdefault(feature, {})[sample.id] = value
    for name in ("mode", "format"):
        for word in sorted({str(getattr(traits[sample.id], name)) for sample in samples}):
            values[f"{name} is {word}"] = {s.id: float(getattr(traits[s.id], name) == word) for s in samples}
    labels = {sample.id: sample.label for sample in samples}
    found = (_shortcut(feature, measured, labels) for feature, measured in values.items())
    return tuple(shortcut for shortcut in found if shortcut is not None)


def categories(samples: Sequence[Sample], traits: Mapping[str, Traits]) -> tuple[Category, ...]:
    """Counts by mode and by file format; nothing for a feature that all images share."""
    found: list[Category] = []
    features: tuple[Literal["mode", "format"], ...] = ("mode", "format")
    for feature in features:
        counts = Counter((str(getattr(traits[s.id], feature)), s.label) for s in samples)
        present = sorted({value for value, _ in counts})
        if len(present) > 1:
            found += [_category(feature, value, (counts[value, 0], counts[value, 1]), samples) for value in present]
    return tuple(found)


def shortcut_findings(
    samples: Sequence[Sample], traits: Mapping[str, Traits], measured: Sequence[Shortcut], counted: Sequence[Category]
) -> list[Finding]:
    """A finding for each feature and each category that gives the label away."""
    return [_category_finding(one, samples, traits) for one in counted if one.flagged] + [
        _shortcut_finding(one) for one in measured if one.flagged
    ]


def hanley_mcneil(auc: float, normal: int, abnormal: int) -> float:
    """Standard error of an AUC in [0, 1] measured on so many images (Hanley and McNeil, 1982)."""
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (abnormal - 1) * (q1 - auc**2) + (normal - 1) * (q2 - auc**2)
    return math.sqrt(max(variance, 0.0) / (normal * abnormal))


def _features(sample: Sample, traits: Traits) -> dict[str, float]:
    found: dict[str, float] = {
        "alpha": traits.alpha,
        "coloured": traits.coloured,
        "width": traits.width,
        "height": traits.height,
        "aspect": traits.width / traits.height,
        "file bytes": traits.file_bytes,
        "brightness": traits.brightness,
        "border brightness": traits.border_brightness,
    }
    if sample.box is not None:
        x, y = (sample.box.left + sample.box.right) / 2, (sample.box.top + sample.box.bottom) / 2
        found |= {"crop x": x, "crop y": y, "crop to side": min(x, traits.file_width - x)}
    return found


def _shortcut(feature: str, measured: Mapping[str, float], labels: Mapping[str, int]) -> Shortcut | None:
    truth: NDArray[np.int8] = np.asarray([labels[sample_id] for sample_id in measured], dtype=np.int8)
    values = np.asarray(list(measured.values()), dtype=np.float64)
    abnormal = int(truth.sum())
    normal = len(truth) - abnormal
    if not normal or not abnormal or np.ptp(values) == 0:
        return None
    area = float(roc_auc_score(truth, values))
    auc = max(area, 1 - area)
    reach = Z95 * hanley_mcneil(auc, normal, abnormal)
    low, high = max(auc - reach, 0.0), min(auc + reach, 1.0)
    return Shortcut(
        feature=feature,
        normal=normal,
        abnormal=abnormal,
        auc=round(auc, 4),
        higher="abnormal" if area >= 0.5 else "normal",
        low=round(low, 4),
        high=round(high, 4),
        flagged=auc > HIGHEST and low > 0.5,
    )


def _category(feature: Literal["mode", "format"], value: str, counts: tuple[int, int], samples: Sequence[Sample]) -> Category:
    images, everything, abnormal = sum(counts), len(samples), sum(sample.label for sample in samples)
    both_exist = 0 < abnormal < everything
    pure = both_exist and min(counts) == 0
    law = hypergeom(everything, abnormal, images)
    chance = float(law.pmf(0) + law.pmf(images)) if pure else 1.0
    flagged = pure and images >= FEWEST
    return Category(
        feature=feature, value=value, normal=counts[0], abnormal=counts[1], chance=float(f"{chance:.3g}"), flagged=flagged
    )


def _category_finding(category: Category, samples: Sequence[Sample], traits: Mapping[str, Traits]) -> Finding:
    label = "normal" if category.normal else "abnormal"
    images = sorted(s.id for s in samples if getattr(traits[s.id], category.feature) == category.value)
    return Finding(
        kind="one-label-category",
        severity="warning" if category.chance < UNLIKELY else "note",
        title=f"{category.feature} {category.value} only among {label} images",
        detail=f"All {len(images)} images of {category.feature} {category.value} are {label}; by chance that has probability "
        f"{category.chance:.2g}. Read every file alike, or the {category.feature} tells the label.",
        images=tuple(images),
        numbers={"normal": category.normal, "abnormal": category.abnormal, "chance": category.chance},
    )


def _shortcut_finding(shortcut: Shortcut) -> Finding:
    words = WORDS.get(shortcut.feature, shortcut.feature)
    return Finding(
        kind="shortcut",
        severity="warning",
        title=f"{shortcut.feature} alone has AUC {shortcut.auc:.3f}",
        detail=f"A trivial feature ({words}) is higher in {shortcut.higher} images: AUC {shortcut.auc:.3f}, 95 % interval "
        f"{shortcut.low:.3f} to {shortcut.high:.3f}, {shortcut.normal} normal and {shortcut.abnormal} abnormal images.",
        images=(),
        numbers=shortcut.model_dump(include={"feature", "auc", "low", "high", "higher", "normal", "abnormal"}),
    )
