"""Bootstrap intervals of everything that is not an area under the ROC curve, with thresholds chosen again in each replicate.

An oracle rule picks its threshold on the test images, so its figures vary with the images *and* with the choice. A replicate
that keeps the threshold would leave out the second part. Whole patients are drawn where patients are known.

Where all replicates agree (every image on the right side, say) the bootstrap knows nothing, and there is no interval of it: a
point is not what twenty images can tell.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import DegenerateDataWarning, bootstrap

from .groups import Groups
from .intervals import LEVEL, Interval
from .operating_point import FIGURES, Matrices
from .ranking import PARTIAL_FPR, Labels, Values
from .thresholds import Counts, Rule, at_or_above, candidates, counts, last_best, specificity_at_sensitivity

REPLICATES: Final = 1000
BATCH: Final = 100
"""Replicates at a time: bounds the memory, whatever the test set's size."""
SEED: Final = 20230213
"""Fixed, so that the same scores have the same interval; the day on which the study came out."""

Drawn = Mapping[str, Values]
"""Figures by name, (replicates,) each."""
Chosen = Sequence[tuple[Rule, float]]
"""Rules, each with the threshold that it chose on the images as they are."""


class Resampling:
    """A test set to draw from: images or whole groups, in strata that keep the number of units of each kind.

    Args:
        labels: (N,) 0 or 1, both there.
        scores: (N,) finite.
        groups: (N,) which images are not independent of each other; None if all are.
    """

    def __init__(self, labels: Labels, scores: Values, groups: Groups | None = None) -> None:
        self._place = candidates(labels, scores).place
        self._distinct = np.unique(scores)
        self._method = "bootstrap" if groups is None else "bootstrap of groups"
        self._units = np.unique(groups, return_inverse=True)[1] if groups is not None else np.arange(len(labels))
        self._abnormal, self._normal = self._at(labels == 1), self._at(labels == 0)
        # Normal units, abnormal ones, and groups with images of both.
        kind = (self._normal.sum(1) > 0) + 2 * (self._abnormal.sum(1) > 0)
        strata = [np.flatnonzero(kind == one) for one in (1, 2, 3)]
        self._strata = [stratum for stratum in strata if len(stratum) > 1]
        # A unit that is alone in its stratum stays as it is: there is nothing to draw it from.
        self._alone = np.concatenate([np.empty(0, dtype=np.intp), *(stratum for stratum in strata if len(stratum) == 1)])

    def curves(self) -> dict[str, Interval]:
        """Intervals of ``pr_auc``, ``pr_auc_trapezoid``, ``partial_auc``, ``fpr_at_95_tpr`` and ``ks``."""
        return self._intervals(lambda times: _curve_figures(self._counts(times)))

    def operating(self, chosen: Chosen) -> list[dict[str, Interval]]:
        """For each rule, intervals of what is read off its confusion matrix. An oracle chooses again in each replicate."""

        def figures(times: Values) -> Drawn:
            at = self._counts(times)
            drawn: dict[str, Values] = {}
            for number, (rule, threshold) in enumerate(chosen):
                place = self._chosen(rule, threshold, at)
                tp, fp = _take(at.tp, place), _take(at.fp, place)
                matrices = Matrices(tp, at.abnormal[:, 0] - tp, fp, at.normal[:, 0] - fp)
                drawn |= {f"{number} {name}": figure(matrices) for name, figure in FIGURES.items()}
            return drawn

        found = self._intervals(figures)
        return [{name: found[key] for name in FIGURES if (key := f"{n} {name}") in found} for n in range(len(chosen))]

    def shares(self, rule: Rule, threshold: float, parts: Sequence[NDArray[np.bool_]]) -> list[Interval | None]:
        """Intervals of the share that is called abnormal of the images (N,) of each part; None where there is nothing to draw."""
        above = [self._at(part) for part in parts]

        def figures(times: Values) -> Drawn:
            place = self._chosen(rule, threshold, self._counts(times))
            drawn: dict[str, Values] = {}
            for number, matrix in enumerate(above):
                at = (matrix.T @ times.T).T
                called = _take(at_or_above(at), place)
                drawn[str(number)] = np.divide(called, at.sum(1), out=np.full(len(at), np.nan), where=at.sum(1) > 0)
            return drawn

        found = self._intervals(figures)
        return [found.get(str(number)) for number in range(len(parts))]

    def drawn(self, replicates: int) -> Counts:
        """Counts at each candidate in so many replicates, (replicates, K + 1); test sets of the same images draw the same ones."""
        random = np.random.default_rng(SEED)
        return self._counts(
            self._times([random.choice(stratum, (replicates, len(stratum))) for stratum in self._strata], replicates)
        )

    def _at(self, images: NDArray[np.bool_]) -> csr_array:
        """How many of the images a unit has at each distinct score."""
        shape = (int(self._units.max()) + 1, len(self._distinct))
        return csr_array((np.ones(int(images.sum())), (self._units[images], self._place[images])), shape=shape)

    def _counts(self, times: Values) -> Counts:
        """Counts at each candidate, given how many times each unit was drawn, (replicates, units)."""
        return counts((self._abnormal.T @ times.T).T, (self._normal.T @ times.T).T)

    def _chosen(self, rule: Rule, threshold: float, at: Counts) -> NDArray[np.intp]:
        """The place of the threshold in each replicate."""
        if rule.objective is not None:
            return last_best(rule.objective(at))
        return np.full(len(at.tp), np.count_nonzero(self._distinct <= threshold))

    def _intervals(self, figures: Callable[[Values], Drawn]) -> dict[str, Interval]:
        if not self._strata:
            return {}
        names: list[str] = []

        def statistic(*drawn: NDArray[np.intp], axis: int) -> Values:
            found = figures(self._times(drawn, len(drawn[0])))
            names[:] = found
            return np.stack(list(found.values()))

        with warnings.catch_warnings():
            # A replicate may hold no image of a part: then the part has no share there, which scipy warns of.
            warnings.simplefilter("ignore", DegenerateDataWarning)
            drawn = bootstrap(
                self._strata,
                statistic,
                n_resamples=REPLICATES,
                batch=BATCH,
                vectorized=True,
                axis=-1,
                confidence_level=LEVEL,
                method="percentile",
                rng=np.random.default_rng(SEED),
            ).bootstrap_distribution
        found = {name: values[np.isfinite(values)] for name, values in zip(names, drawn, strict=True)}
        middles = {name: self._middle(values) for name, values in found.items() if len(values)}
        return {name: middle for name, middle in middles.items() if middle.low < middle.high}

    def _middle(self, values: Values) -> Interval:
        low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Interval(float(low), float(high), self._method)

    def _times(self, drawn: Sequence[NDArray[np.intp]], replicates: int) -> Values:
        """How many times each unit was drawn, (replicates, units)."""
        units = int(self._units.max()) + 1
        rows = np.arange(replicates)[:, None] * units
        places = np.concatenate([np.empty(0, dtype=np.intp), *((rows + stratum).ravel() for stratum in drawn)])
        times: Values = np.bincount(places, minlength=replicates * units).reshape(replicates, units).astype(float)
        times[:, self._alone] = 1
        return times


def _curve_figures(at: Counts) -> Drawn:
    tpr, fpr = at.tp / at.abnormal, at.fp / at.normal
    called = at.tp + at.fp
    precision = np.divide(at.tp, called, out=np.ones_like(called), where=called > 0)
    step = tpr[:, :-1] - tpr[:, 1:]
    return {
        "pr_auc": (step * precision[:, :-1]).sum(1),
        "pr_auc_trapezoid": (step * (precision[:, :-1] + precision[:, 1:]) / 2).sum(1),
        "partial_auc": _standardised(area_up_to(fpr, tpr, PARTIAL_FPR)),
        "fpr_at_95_tpr": -specificity_at_sensitivity(at).max(1) / at.normal[:, 0],
        "ks": (tpr - fpr).max(1),
    }


def area_up_to(fpr: Values, tpr: Values, end: float) -> Values:
    """Area below the curve's straight pieces, from 0 to ``end``; both (replicates, K + 1), descending."""
    left, right = fpr[:, 1:], fpr[:, :-1]
    low, high = tpr[:, 1:], tpr[:, :-1]
    width = np.clip(np.minimum(right, end) - left, 0, None)
    part = np.divide(width, right - left, out=np.zeros_like(width), where=right > left)
    area: Values = (width * (low + part * (high - low) / 2)).sum(1)
    return area


def _standardised(area: Values) -> Values:
    """McClish 1989: chance is 0.5, the best is 1."""
    least, most = PARTIAL_FPR**2 / 2, PARTIAL_FPR
    return 0.5 * (1 + (area - least) / (most - least))


def _take(values: Values, place: NDArray[np.intp]) -> Values:
    return np.take_along_axis(values, place[:, None], 1)[:, 0]
