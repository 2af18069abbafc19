from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from adbench_harness.api import FitContext, FittedDetector, Images, TrainingError
from adbench_harness.scoring import score_images

CPU = torch.device("cpu")


class Ramp:
    """Seven images; each is filled with its number."""

    def __len__(self) -> int:
        return 7

    def batch(self, indices: Tensor) -> Tensor:
        return indices.float().reshape(-1, 1, 1, 1).expand(-1, 3, 4, 4)


class Scorer(FittedDetector):
    def __init__(self, rule: Callable[[Tensor], object]) -> None:
        self.rule = rule

    def fit(self, images: Images, context: FitContext) -> None: ...

    def score(self, images: Tensor) -> Tensor:
        return self.rule(images)  # type: ignore[return-value]  # wrong on purpose in some tests

    def state(self) -> dict[str, Tensor]:
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None: ...


def test_scores_come_in_the_images_order_as_float64() -> None:
    seen: list[tuple[int, int]] = []
    scores = score_images(Scorer(lambda x: x.mean(dim=(1, 2, 3))), Ramp(), 3, CPU, lambda done, total: seen.append((done, total)))
    np.testing.assert_array_equal(scores, np.arange(7.0))
    assert scores.dtype == np.float64
    assert seen == [(3, 7), (6, 7), (7, 7)]


def test_no_gradient_is_kept() -> None:
    def rule(x: Tensor) -> Tensor:
        assert torch.is_inference_mode_enabled()
        return x.mean(dim=(1, 2, 3))

    score_images(Scorer(rule), Ramp(), 3, CPU)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda x: x.mean(dim=(1, 2, 3)) / 0 * 0, "7 of 7 scores are not finite"),
        (lambda x: 1 / x.mean(dim=(1, 2, 3)), "1 of 7 scores are not finite"),
        (lambda x: torch.ones(len(x)), "all 7 images have the same score 1; the detector has learnt nothing"),
        (lambda x: x.mean(), r"must be a tensor of shape \(3,\), and is \(\)"),
        (lambda x: torch.ones(len(x) + 1), r"and is \(4,\)"),
        (lambda x: [1.0, 2.0, 3.0], "and is list"),
    ],
)
def test_what_is_no_score_is_refused(rule: Callable[[Tensor], object], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        score_images(Scorer(rule), Ramp(), 3, CPU)
