from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from adbench_harness.api import BuildContext, OptionError, TrainingError
from adbench_models import vgg16
from adbench_models.padim import PaDiM, PaDiMOptions

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
    def __init__(self, batch_size: int = 4, seed: int = 1) -> None:
        self.batch_size = batch_size
        self.generator = torch.Generator().manual_seed(seed)

    def log(self, name: str, value: float, step: int = 0) -> None: ...

    def progress(self, done: int, total: int, what: str = "fit") -> None: ...


def fitted(context: BuildContext, images: Tensor, lent: Lent | None = None, **options: Any) -> PaDiM:
    made = PaDiM(PaDiMOptions(**{"backbone": "random", "features": 10, **options}), context)
    made.fit(Pictures(images), lent or Lent())
    return made


def embedded(made: PaDiM, images: Tensor, side: int) -> Tensor:
    """Chosen features at each position, (B, side, side, d), put together position by position."""
    with torch.no_grad():
        depths = made.backbone.network.outputs(images, made.backbone.depths)
    rows = []
    for row in range(side):
        for column in range(side):
            at = [depth[:, :, row * depth.shape[2] // side, column * depth.shape[3] // side] for depth in depths]
            rows.append(torch.cat(at, dim=1)[:, made.chosen])
    return torch.stack(rows, dim=1).reshape(len(images), side, side, -1)


def test_distances_are_those_of_scipy_with_numpy_s_covariance(make_context: MakeContext, discs: Discs) -> None:
    images = discs(9).double()
    made = fitted(make_context(dtype=torch.float64), images)
    known, seen = embedded(made, images, 8).numpy(), discs(4, squares=True).double()
    found = made._distances(made._embed(made.backbone.network.outputs(seen, made.backbone.depths))).numpy()
    bounds = np.cumsum(made.backbone.channels)
    depth = np.searchsorted(bounds, made.chosen.numpy(), side="right")
    unit = np.array([np.square(known[..., depth == number]).mean() for number in range(3)])[depth]
    for row, column in [(0, 0), (3, 4), (7, 2)]:
        here = known[:, row, column]
        inverse = np.linalg.inv(np.cov(here, rowvar=False) + 0.01 * np.diag(unit))
        for number, picture in enumerate(embedded(made, seen, 8).numpy()):
            expected = mahalanobis(picture[row, column], here.mean(axis=0), inverse)
            assert found[number, row, column] == pytest.approx(expected, rel=1e-8)


def test_the_score_is_the_maximum_of_a_map_that_shows_the_place(make_context: MakeContext, discs: Discs) -> None:
    made = fitted(make_context(image_size=64), discs(12, size=64))
    images = discs(4, squares=True, size=64)
    shown = made.anomaly_map(images)
    assert torch.equal(made.score(images), shown.amax(dim=(1, 2)))
    inside = shown[1::2, 21:32, 21:32].mean(dim=(1, 2))
    assert (inside > 2 * shown[1::2].mean(dim=(1, 2))).all()


def test_the_batch_size_in_fitting_decides_nothing(make_context: MakeContext, discs: Discs) -> None:
    images = discs(11).double()
    alone, whole = (fitted(make_context(dtype=torch.float64), images, Lent(batch_size=size)) for size in (1, 11))
    torch.testing.assert_close(alone.whitening, whole.whitening, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(alone.mean, whole.mean, rtol=1e-12, atol=1e-14)


def test_float32_holds_where_the_mean_is_far_larger_than_the_spread(make_context: MakeContext, discs: Discs) -> None:
    images = 0.9 + discs(12) / 100
    exact = fitted(make_context(dtype=torch.float64), images.double()).score(images.double())
    rough = fitted(make_context(), images).score(images)
    torch.testing.assert_close(rough.double(), exact, rtol=1e-3, atol=1e-4)


def test_one_image_is_a_gaussian_of_epsilon_alone(make_context: MakeContext, discs: Discs) -> None:
    made = fitted(make_context(dtype=torch.float64), discs(1).double())
    assert float(made.score(discs(1).double())) == pytest.approx(0, abs=1e-9)
    widths = made.whitening.diagonal(dim1=1, dim2=2)
    assert torch.equal(made.whitening, torch.diag_embed(widths))


def test_a_grid_smaller_than_the_features_averages_them(make_context: MakeContext, discs: Discs) -> None:
    made = fitted(make_context(image_size=64), discs(3, size=64), grid=8)
    with torch.no_grad():
        depths = made.backbone.network.outputs(discs(2, size=64), made.backbone.depths)
    found = made._embed(depths).transpose(1, 2).reshape(2, -1, 8, 8)
    first = int((made.chosen < 8).sum())
    torch.testing.assert_close(found[:, :first], F.avg_pool2d(depths[0], 2)[:, made.chosen[:first]])


def test_features_are_drawn_by_the_seed_and_kept(make_context: MakeContext, discs: Discs) -> None:
    one, two = (fitted(make_context(), discs(3), Lent(seed=seed)) for seed in (1, 2))
    assert len(set(one.chosen.tolist())) == 10
    assert one.chosen.tolist() != two.chosen.tolist()
    assert one.parameters() == 64 * (10 + 55)
    every = fitted(make_context(), discs(3), features=1000)
    assert every.chosen.tolist() == list(range(36))


def test_memory_is_bounded_and_what_to_lower_is_said(make_context: MakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vgg16, "BLOCKS", ((4, 4), (8, 8), (12, 12, 12), (600, 600, 600), (16, 16, 16)))
    with pytest.raises(
        OptionError, match=r"features=600 at 64 x 64 positions take 5\.5 GiB, more than 2; lower features or grid"
    ):
        PaDiM(PaDiMOptions(backbone="random", features=600, depths="block2,pool4", grid=64), make_context(image_size=128))


def test_an_epsilon_too_small_to_invert_is_said(make_context: MakeContext, discs: Discs) -> None:
    with pytest.raises(TrainingError, match="can't be inverted at epsilon=1e-30; raise it with --set epsilon"):
        fitted(make_context(), discs(3), epsilon=1e-30)
