from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from adbench_harness.api import BuildContext, TrainingError
from adbench_models.pca import PCADetector, PCAOptions

MakeContext = Callable[..., BuildContext]


class Plane:
    """Images that lie in a plane of pixel space, and nothing else."""

    def __init__(self, count: int = 30) -> None:
        draw = torch.Generator().manual_seed(4)
        self.axes = torch.rand(2, 3, 16, 16, generator=draw) * 0.3
        self.weights = torch.rand(count, 2, generator=draw)

    def __len__(self) -> int:
        return len(self.weights)

    def batch(self, indices: Tensor) -> Tensor:
        return 0.2 + torch.einsum("bk,kchw->bchw", self.weights[indices], self.axes)


class Context:
    batch_size = 8

    def __init__(self) -> None:
        self.curve: list[tuple[str, float, int]] = []
        self.generator = torch.Generator().manual_seed(0)

    def log(self, name: str, value: float, step: int = 0) -> None:
        self.curve.append((name, value, step))

    def progress(self, done: int, total: int, what: str = "fit") -> None: ...


def fitted(context: BuildContext, components: int = 2, images: Plane | None = None) -> tuple[PCADetector, Context]:
    made, lent = PCADetector(PCAOptions(components=components, grid=16), context), Context()
    made.fit(images or Plane(), lent)
    return made, lent


def test_what_lies_in_the_plane_scores_zero_and_what_does_not_scores_its_distance(make_context: MakeContext) -> None:
    made, lent = fitted(make_context(image_size=16))
    images = Plane().batch(torch.arange(4))
    assert made.score(images).max() < 1e-8
    odd = images.clone()
    odd[:, :, 3, 4] += 0.5
    assert (made.score(odd) > 1e-4).all()
    assert made.score(odd) == pytest.approx(torch.full((4,), 0.25 / 256).tolist(), rel=0.2)
    assert lent.curve[-1][1] == pytest.approx(1.0, abs=1e-5)


def test_no_more_components_are_kept_than_images_allow(make_context: MakeContext) -> None:
    made, _ = fitted(make_context(image_size=16), components=64, images=Plane(5))
    assert made.components.shape == (4, 256)
    with pytest.raises(TrainingError, match="at least two training images"):
        fitted(make_context(image_size=16), images=Plane(1))


def test_a_score_does_not_depend_on_the_batch_and_survives_saving(make_context: MakeContext) -> None:
    context = make_context(image_size=16)
    made, _ = fitted(context)
    images = torch.rand(6, 3, 16, 16)
    together = made.score(images)
    torch.testing.assert_close(together, torch.cat([made.score(image[None]) for image in images]), rtol=1e-5, atol=1e-7)
    other = PCADetector(PCAOptions(components=2, grid=16), context)
    other.load(made.state())
    assert torch.equal(other.score(images), together)


def test_pictures_are_gray_and_show_what_the_components_leave_over(make_context: MakeContext) -> None:
    made, _ = fitted(make_context(image_size=16))
    images = Plane().batch(torch.arange(4))
    gray = images.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    torch.testing.assert_close(made.reconstruct(images), gray, rtol=0, atol=1e-4)
    assert made.anomaly_map(images).max() < 1e-6
    odd = images.clone()
    odd[:, :, 3, 4] += 0.5
    where = made.anomaly_map(odd)
    assert where.shape == (4, 16, 16)
    assert (where.flatten(1).argmax(dim=1) == 3 * 16 + 4).all()
    assert (where >= 0).all()
    torch.testing.assert_close(where.mean(dim=(1, 2)), made.score(odd))
    torch.testing.assert_close(made.reconstruct(odd)[:, 0], gray[:, 0], rtol=0, atol=0.05)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_have_the_images_size_and_channels_and_stay_in_range(make_context: MakeContext, channels: int) -> None:
    made, _ = fitted(make_context(image_size=40))
    images = 2 * torch.rand(2, channels, 40, 40)
    assert made.reconstruct(images).shape == images.shape
    assert made.anomaly_map(images).shape == (2, 40, 40)
    assert (made.reconstruct(images) >= 0).all()
    assert (made.reconstruct(images) <= 1).all()
    bright = torch.full((1, channels, 40, 40), 9.0)
    assert made.reconstruct(bright).max() == 1


def test_gray_images_score_as_their_three_equal_channels(make_context: MakeContext) -> None:
    made, _ = fitted(make_context(image_size=16))
    gray = torch.rand(2, 1, 16, 16)
    torch.testing.assert_close(made.score(gray), made.score(gray.repeat(1, 3, 1, 1)))
