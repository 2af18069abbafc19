from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from adbench_harness.api import BuildContext, InterruptedRunError, OptionError
from adbench_models.histogram import HistogramDetector, HistogramOptions

MakeContext = Callable[..., BuildContext]


class Pictures:
    """8-bit images of random brightness."""

    def __init__(self, count: int = 20, channels: int = 3, size: int = 32, seed: int = 5) -> None:
        draw = torch.Generator().manual_seed(seed)
        light = torch.rand(count, 1, 1, 1, generator=draw)
        self.pixels = (torch.rand(count, channels, size, size, generator=draw) * light * 255).round() / 255

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, indices: Tensor) -> Tensor:
        return self.pixels[indices]


class Context:
    batch_size = 8
    generator = torch.Generator()

    def log(self, name: str, value: float, step: int = 0) -> None: ...

    def progress(self, done: int, total: int, what: str = "fit") -> None: ...


def fitted(context: BuildContext, images: Pictures, **options: Any) -> HistogramDetector:
    made = HistogramDetector(HistogramOptions(**options), context)
    made.fit(images, Context())
    return made


def shares(image: Tensor, bins: int) -> NDArray[np.float64]:
    """NumPy's histogram of one image's rounded gray levels."""
    gray = np.rint(image.double().numpy().mean(axis=0) * 255)
    counts, _ = np.histogram(gray * bins // 256, bins=np.arange(bins + 1) - 0.5)
    return np.asarray(counts / gray.size)


@pytest.mark.parametrize(("channels", "size", "bins"), [(1, 32, 32), (3, 32, 32), (3, 17, 7), (1, 256, 256), (3, 64, 2)])
def test_it_is_hellingers_distance_from_the_nearest_training_image(
    make_context: MakeContext, channels: int, size: int, bins: int
) -> None:
    """Against 1 - the sum of square roots of products, which is the distance squared."""
    known, new = Pictures(9, channels, size), Pictures(4, channels, size, seed=6)
    made = fitted(make_context(channels=channels, image_size=size), known, bins=bins)
    train = [shares(image, bins) for image in known.pixels]
    for image, score in zip(new.pixels, made.score(new.pixels), strict=True):
        found = shares(image, bins)
        overlap = max(np.sqrt(found * other).sum() for other in train)
        assert float(score) == pytest.approx(np.sqrt(max(1 - overlap, 0)), abs=1e-6)


def test_a_histogram_knows_no_place(make_context: MakeContext) -> None:
    images = Pictures()
    made = fitted(make_context(), images)
    assert torch.equal(made.score(images.pixels), torch.zeros(20))
    assert torch.equal(made.score(images.pixels.flip(2).transpose(2, 3)), torch.zeros(20))


def test_scores_lie_between_the_same_and_nothing_in_common(make_context: MakeContext) -> None:
    black, white = Pictures(1), Pictures(1)
    black.pixels, white.pixels = torch.zeros(1, 3, 32, 32), torch.ones(3, 3, 32, 32)
    made = fitted(make_context(), black)
    white.pixels[1, :, :16] = 0
    white.pixels[2] = 0
    assert made.score(white.pixels).tolist() == pytest.approx([1, np.sqrt(1 - np.sqrt(0.5)), 0])


def test_a_bright_square_on_an_image_is_seen(make_context: MakeContext) -> None:
    images = Pictures()
    images.pixels *= 0.5
    made = fitted(make_context(), images)
    new = Pictures(8, seed=9).pixels * 0.5
    odd = new.clone()
    odd[:, :, 4:14, 4:14] = 1.0
    assert (made.score(odd) > made.score(new)).all()


def test_a_score_does_not_depend_on_the_batch_and_survives_saving(make_context: MakeContext) -> None:
    made = fitted(make_context(), Pictures())
    images = Pictures(11, seed=7).pixels
    together = made.score(images)
    assert together.dtype == torch.float32
    assert torch.equal(torch.cat([made.score(image[None]) for image in images.flip(0)]).flip(0), together)
    other = HistogramDetector(HistogramOptions(), make_context())
    other.load({name: tensor.clone() for name, tensor in made.state().items()})
    assert torch.equal(other.score(images), together)


def test_equal_histograms_are_kept_once_and_one_image_is_enough(make_context: MakeContext) -> None:
    images = Pictures(1)
    images.pixels = images.pixels.expand(300, -1, -1, -1)
    made = fitted(make_context(), images)
    assert made.state()["roots"].shape == (1, 32)
    assert made.parameters() == 32
    assert made.score(Pictures(2, seed=8).pixels).isfinite().all()


def test_what_is_not_in_range_falls_into_the_outer_bins(make_context: MakeContext) -> None:
    made = fitted(make_context(), Pictures(), bins=4)
    odd = torch.tensor([-0.5, 1.5]).reshape(2, 1, 1, 1).expand(-1, 3, 32, 32)
    assert made.histograms(odd).tolist() == [[1, 0, 0, 0], [0, 0, 0, 1]]


def test_it_can_be_stopped_and_draws_nothing(make_context: MakeContext) -> None:
    class Stopping(Context):
        def progress(self, done: int, total: int, what: str = "fit") -> None:
            raise InterruptedRunError("stopped")

    with pytest.raises(InterruptedRunError):
        HistogramDetector(HistogramOptions(), make_context()).fit(Pictures(), Stopping())


@pytest.mark.parametrize("bins", ["1", "257", "many"])
def test_bins_that_make_no_sense_are_refused(bins: str) -> None:
    with pytest.raises(OptionError, match="bins of the histogram"):
        HistogramOptions.parse({"bins": bins})
