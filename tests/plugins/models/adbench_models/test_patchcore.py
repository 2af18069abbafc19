from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from adbench_harness.api import BuildContext, OptionError
from adbench_models import vgg16
from adbench_models.patchcore import PatchCore, PatchCoreOptions, _projected, greedy_centres

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
    def __init__(self, seed: int = 1) -> None:
        self.batch_size = 4
        self.generator = torch.Generator().manual_seed(seed)
        self.curve: list[float] = []

    def log(self, name: str, value: float, step: int = 0) -> None:
        self.curve.append(value)

    def progress(self, done: int, total: int, what: str = "fit") -> None: ...


def fitted(context: BuildContext, images: Tensor | Pictures, **options: Any) -> PatchCore:
    made = PatchCore(PatchCoreOptions(**{"backbone": "random", **options}), context)
    made.fit(images if isinstance(images, Pictures) else Pictures(images), Lent())
    return made


def test_the_coreset_is_that_of_a_plain_greedy_choice() -> None:
    points = torch.rand(60, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    lent = Lent()
    found = greedy_centres(points, 20, 7, lent).tolist()
    chosen, every = [7], points.numpy()
    while len(chosen) < 20:
        distances = np.linalg.norm(every[:, None] - every[chosen], axis=2).min(axis=1)
        chosen.append(int(distances.argmax()))
    assert found == chosen
    assert lent.curve == sorted(lent.curve, reverse=True)


def test_of_equal_points_none_is_chosen_twice() -> None:
    points = torch.zeros(10, 3)
    assert sorted(greedy_centres(points, 10, 4, Lent()).tolist()) == list(range(10))


def test_a_projection_nearly_keeps_distances_and_follows_its_generator() -> None:
    points = torch.randn(30, 500, generator=torch.Generator().manual_seed(3))
    seen = _projected(points, 200, torch.Generator().manual_seed(1))
    ratio = torch.pdist(seen) / torch.pdist(points)
    assert 0.8 < float(ratio.min()) < float(ratio.max()) < 1.2
    assert torch.equal(seen, _projected(points, 200, torch.Generator().manual_seed(1)))
    assert not torch.equal(seen, _projected(points, 200, torch.Generator().manual_seed(2)))
    assert _projected(points, 500, torch.Generator()) is points


def test_nearest_neighbours_are_scikit_learn_s(make_context: MakeContext, discs: Discs) -> None:
    made = fitted(make_context(dtype=torch.float64), discs(8).double(), coreset=0.5)
    patches = torch.rand(50, 28, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    distances, rows = made.nearest(patches)
    search = NearestNeighbors(algorithm="brute").fit(made.bank.numpy())
    expected, where = search.kneighbors(patches.numpy(), 1)
    np.testing.assert_allclose(distances.numpy(), expected[:, 0], rtol=1e-9)
    assert rows.tolist() == where[:, 0].tolist()
    _, beside = search.kneighbors(made.bank.numpy(), 9)
    assert made.beside.shape == (len(made.bank), 9)
    assert made.beside[:, 0].tolist() == list(range(len(made.bank)))
    same = [set(ours) == set(theirs) for ours, theirs in zip(made.beside.tolist(), beside.tolist(), strict=True)]
    assert np.mean(same) > 0.95  # patches at one distance may be taken in another order


def test_distances_near_zero_do_not_drown_in_rounding(make_context: MakeContext, discs: Discs) -> None:
    made = fitted(make_context(), discs(8))
    distances, rows = made.nearest(made.bank + 1e-4)  # squared, it is below the rounding of squared lengths near 2
    assert rows.tolist() == list(range(len(made.bank)))
    assert distances.tolist() == pytest.approx([1e-4 * 28**0.5] * len(rows), rel=0.01)


def test_the_score_is_equation_7_of_the_farthest_patch(make_context: MakeContext, discs: Discs) -> None:
    context, images = make_context(dtype=torch.float64, image_size=64), discs(4, squares=True, size=64).double()
    made = fitted(context, discs(6, size=64).double(), neighbours=5)
    bank = made.bank.numpy()
    with torch.no_grad():
        patches = (made._embed(made.backbone.network.outputs(images, made.backbone.depths)) / made.scale).numpy()
    expected = []
    for picture in patches:
        distances = np.linalg.norm(picture[:, None] - bank, axis=2)
        patch = distances.min(axis=1).argmax()
        nearest = distances[patch].argmin()
        around = np.linalg.norm(bank - bank[nearest], axis=1).argsort(kind="stable")[:5]
        exponents = np.exp(np.linalg.norm(picture[patch] - bank[around], axis=1))
        weight = 1 - np.exp(distances[patch, nearest]) / exponents.sum()
        expected.append((weight * distances[patch, nearest], distances[patch, nearest]))
    np.testing.assert_allclose(made.score(images).numpy(), [weighted for weighted, _ in expected], rtol=1e-9)
    made.options = made.options.model_copy(update={"reweighting": False})
    np.testing.assert_allclose(made.score(images).numpy(), [distance for _, distance in expected], rtol=1e-9)


def test_a_map_shows_the_place(make_context: MakeContext, discs: Discs) -> None:
    made = fitted(make_context(image_size=64), discs(12, size=64), depths="pool2,pool3")
    shown = made.anomaly_map(discs(4, squares=True, size=64))
    inside = shown[1::2, 21:32, 21:32].mean(dim=(1, 2))
    assert (inside > 2 * shown[1::2].mean(dim=(1, 2))).all()


def test_features_are_averaged_over_neighbours_that_are_there(make_context: MakeContext) -> None:
    made = PatchCore(PatchCoreOptions(backbone="random", depths="pool3"), make_context())
    depth = torch.arange(16.0).reshape(1, 1, 4, 4)
    found = made._embed([depth])[0, :, 0]
    assert found[0] == pytest.approx((0 + 1 + 4 + 5) / 4)
    assert found[5] == pytest.approx(5.0)


def test_depths_weigh_alike(make_context: MakeContext, discs: Discs) -> None:
    made = fitted(make_context(dtype=torch.float64), discs(5).double(), coreset=1.0)
    lengths = made.bank.square()
    assert float(lengths[:, :12].sum(dim=1).mean()) == pytest.approx(1)
    assert float(lengths[:, 12:].sum(dim=1).mean()) == pytest.approx(1)


@pytest.mark.parametrize(("patches", "images", "each"), [(160, 12, 13), (16, 16, 1), (50_000, 30, 16)])
def test_patches_are_bounded_and_every_image_drawn_has_as_many(
    make_context: MakeContext, discs: Discs, patches: int, images: int, each: int
) -> None:
    pictures = Pictures(discs(30)[: max(images, 12)] if images < 16 else discs(30))
    made = PatchCore(PatchCoreOptions(backbone="random", patches=patches), make_context())
    found = made._collected(pictures, Lent())
    assert len(pictures.asked) == len(set(pictures.asked)) == images
    assert len(found) == images * each <= patches
    assert torch.isfinite(found).all()


def test_the_bank_is_a_tenth_and_never_too_small_for_neighbours(make_context: MakeContext, discs: Discs) -> None:
    assert len(fitted(make_context(), discs(30)).bank) == 48
    assert len(fitted(make_context(), discs(1)).bank) == 10
    assert len(fitted(make_context(), discs(1), neighbours=50).bank) == 16
    made = fitted(make_context(image_size=16), discs(1, size=16), depths="pool4")  # one patch in all
    assert made.bank.shape == (1, 16)
    assert made.score(discs(4, size=16, squares=True)).max() > 0


def test_options_as_typed() -> None:
    with pytest.raises(OptionError, match="option neighbourhood=4: an even neighbourhood has no middle"):
        PatchCoreOptions.parse({"neighbourhood": "4"})
    assert PatchCoreOptions.parse({"coreset": "0.01"}).labels() == {"coreset": "0.01"}
