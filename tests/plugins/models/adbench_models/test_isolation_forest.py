from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import IsolationForest as Reference
from torch import Tensor

from adbench_harness.api import BuildContext, OptionError
from adbench_models import vgg16
from adbench_models.frozen_features import pooled
from adbench_models.isolation_forest import IsolationForest, IsolationForestOptions, average_path

MakeContext = Callable[..., BuildContext]
Discs = Callable[..., Tensor]


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG-16's plan with few channels."""
    monkeypatch.setattr(vgg16, "BLOCKS", ((4, 4), (8, 8), (12, 12, 12), (16, 16, 16), (16, 16, 16)))


class Pictures:
    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, indices: Tensor) -> Tensor:
        return self.pixels[indices]


class Lent:
    batch_size = 4

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(1)

    def log(self, name: str, value: float, step: int = 0) -> None: ...

    def progress(self, done: int, total: int, what: str = "fit") -> None: ...


def fitted(context: BuildContext, images: Tensor, **options: Any) -> IsolationForest:
    made = IsolationForest(IsolationForestOptions(**{"backbone": "random", "trees": 20, **options}), context)
    made.fit(Pictures(images), Lent())
    return made


@pytest.mark.parametrize("subsample", [256, 8])
def test_scores_are_scikit_learn_s(make_context: MakeContext, discs: Discs, subsample: int) -> None:
    images, seen = discs(30), discs(12, squares=True)
    made = fitted(make_context(dtype=torch.float64), images.double(), subsample=subsample)
    known, asked = (made.scaler.apply(made.backbone.apply(pixels.double(), pooled)).numpy() for pixels in (images, seen))
    seed = int(torch.randint(2**31 - 1, (1,), generator=torch.Generator().manual_seed(1)))
    reference = Reference(n_estimators=20, max_samples=min(subsample, 30), random_state=seed).fit(known)
    np.testing.assert_allclose(made.score(seen.double()).numpy(), -reference.score_samples(asked), rtol=1e-12)
    nodes = sum(tree.tree_.node_count for tree in reference.estimators_)
    leaves = sum(tree.tree_.n_leaves for tree in reference.estimators_)
    assert made.parameters() == 2 * (nodes - leaves) + leaves


def test_the_average_path_is_that_of_a_search_tree() -> None:
    assert [average_path(count) for count in (0, 1, 2)] == [0.0, 0.0, 1.0]
    assert average_path(256) == pytest.approx(10.2448, abs=1e-4)
    # Equation 1 takes ln(n - 1) + 0.5772 for the harmonic number, and is that far off.
    harmonic = sum(1 / k for k in range(1, 256))
    assert average_path(256) == pytest.approx(2 * harmonic - 2 * 255 / 256, rel=1e-3)


def test_options_as_typed() -> None:
    with pytest.raises(OptionError, match="option subsample=2"):
        IsolationForestOptions.parse({"subsample": "2"})
