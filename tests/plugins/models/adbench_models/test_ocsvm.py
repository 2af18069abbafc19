from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM as Reference
from torch import Tensor

from adbench_harness.api import BuildContext
from adbench_models import vgg16
from adbench_models.ocsvm import OneClassSVM, OneClassSVMOptions

MakeContext = Callable[..., BuildContext]
Discs = Callable[..., Tensor]


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG-16's plan with few channels."""
    monkeypatch.setattr(vgg16, "BLOCKS", ((4, 4), (8, 8), (12, 12, 12), (16, 16, 16), (16, 16, 16)))


class Pictures:
    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, indices: Tensor) -> Tensor:
        self.asked += indices.tolist()
        return self.pixels[indices]


class Lent:
    batch_size = 4

    def __init__(self, seed: int = 1) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def log(self, name: str, value: float, step: int = 0) -> None: ...

    def progress(self, done: int, total: int, what: str = "fit") -> None: ...


def fitted(context: BuildContext, images: Tensor, **options: Any) -> OneClassSVM:
    made = OneClassSVM(OneClassSVMOptions(**{"backbone": "random", **options}), context)
    made.fit(Pictures(images), Lent())
    return made


def means(made: OneClassSVM, images: Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    with torch.no_grad():
        depths = made.backbone.network.outputs(images, made.backbone.depths)
    return np.concatenate([depth.numpy().mean(axis=(2, 3)) for depth in depths], axis=1)


@pytest.mark.parametrize("nu", [0.1, 0.5])
def test_scores_are_scikit_learn_s_on_standardised_mean_features(make_context: MakeContext, discs: Discs, nu: float) -> None:
    images, seen = discs(30).double(), discs(12, squares=True).double()
    made = fitted(make_context(dtype=torch.float64), images, nu=nu)
    scale = StandardScaler().fit(means(made, images))
    scale.scale_ = made.scaler.spread.numpy()  # the same, but where a feature hardly varies
    reference = Reference(nu=nu, gamma=1 / 36).fit(scale.transform(means(made, images)))
    sums = reference.decision_function(scale.transform(means(made, seen))) + reference.offset_[0]
    near = sums > 1e-9 * reference.offset_[0]  # the others are too far for a sum
    assert 6 <= near.sum() < 12
    expected = np.log(reference.offset_[0]) - np.log(sums[near])
    np.testing.assert_allclose(made.score(seen).numpy()[near], expected, rtol=1e-6, atol=1e-6)
    assert made.score(seen).numpy()[~near].min() > expected.max()
    assert float(made.weights.sum()) == pytest.approx(1)
    # The property that nu is named for (proposition 3): a bound on outliers, and one on support vectors.
    assert float((made.score(images) > 1e-3).double().mean()) <= nu <= len(made.weights) / 30
    kept = made.scaler.spread > 0.02 * made.scaler.spread.max()
    np.testing.assert_allclose(made.scaler.spread[kept], means(made, images).std(axis=0)[kept.numpy()], rtol=1e-9)


def test_far_from_everything_scores_still_differ(make_context: MakeContext, discs: Discs) -> None:
    made = fitted(make_context(), discs(20), gamma=50.0)
    scores = made.score(discs(10, squares=True))[1::2]
    assert torch.isfinite(scores).all()
    assert len(set(scores.tolist())) == 5


def test_no_more_images_are_learnt_from_than_said(make_context: MakeContext, discs: Discs) -> None:
    pictures = Pictures(discs(20))
    asked = []
    for seed in (1, 1, 2):
        made = OneClassSVM(OneClassSVMOptions(backbone="random", fit_images=8), make_context())
        pictures.asked.clear()
        made.fit(pictures, Lent(seed))
        asked.append(list(pictures.asked))
    assert all(len(set(rows)) == 8 for rows in asked)
    assert asked[0] == asked[1] != asked[2]
