from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from adbench_harness import seeding
from adbench_harness.api import BuildContext, OptionError, Phase, Step
from adbench_harness.training import Training
from adbench_models.autoencoder import Autoencoder, AutoencoderOptions

CPU = torch.device("cpu")
MakeContext = Callable[..., BuildContext]
MakeStep = Callable[..., Step]
Phases = Callable[..., Iterator[Phase]]
Discs = Callable[..., Tensor]
TrainOn = Callable[..., Training]


def detector(context: BuildContext, **options: Any) -> Autoencoder:
    with seeding.isolated(CPU):
        torch.manual_seed(3)  # layers initialise themselves
        return Autoencoder(AutoencoderOptions(**options), context)


def pictures(count: int = 4, size: int = 32, channels: int = 3) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(2))


def test_a_bright_square_scores_higher_after_a_short_budget(make_context: MakeContext, discs: Discs, train_on: TrainOn) -> None:
    made, images = detector(make_context(), width=8), discs(16, squares=True)
    with torch.no_grad():
        before = made.score(images)
    done = train_on(made, discs(32), images_presented=320)
    assert (done.presented, done.steps, list(done.epochs)) == (320, 40, ["rebuild"])
    with torch.no_grad():
        scores, where = made.score(images), made.anomaly_map(images)[1::2]
    assert scores[1::2].min() > scores[::2].max()
    assert (scores[::2] < 0.4 * before[::2]).all(), "normal images come back"
    assert where[:, 10:16, 10:16].mean() > 5 * where.mean()


@pytest.mark.parametrize(("loss", "power"), [("l2", 2), ("l1", 1)])
def test_the_loss_and_the_score_are_the_mean_residual(
    make_context: MakeContext, phases: Phases, make_step: MakeStep, loss: str, power: int
) -> None:
    made, images = detector(make_context(), loss=loss), pictures()
    with torch.no_grad():
        raw = made.network(images)
        expected = ((raw - images).abs() ** power).mean()
        rebuilt = made.reconstruct(images)
        torch.testing.assert_close(rebuilt, raw.clamp(0, 1))
        residual = ((images - rebuilt).abs() ** power).mean(dim=1)
        torch.testing.assert_close(made.anomaly_map(images), residual)
        torch.testing.assert_close(made.score(images), residual.mean(dim=(1, 2)))
    torch.testing.assert_close(next(phases(made, images)).step(make_step(images))["loss"], expected)


def test_a_score_does_not_depend_on_the_batch(make_context: MakeContext) -> None:
    made, images = detector(make_context()), pictures(7)
    with torch.no_grad():
        together = made.score(images)
        alone = torch.cat([made.score(image[None]) for image in images.flip(0)]).flip(0)
    torch.testing.assert_close(together, alone, rtol=1e-6, atol=0)


@pytest.mark.parametrize("size", [16, 31, 40, 272])
def test_sizes_that_it_cannot_halve_are_refused(make_context: MakeContext, size: int) -> None:
    with pytest.raises(OptionError, match=f"from 32 to 256 that is divisible by 16, not {size}"):
        detector(make_context(image_size=size))


@pytest.mark.parametrize(("size", "channels"), [(32, 1), (48, 3), (128, 1), (256, 3)])
def test_pictures_have_the_images_size_and_channels(make_context: MakeContext, size: int, channels: int) -> None:
    made = detector(make_context(image_size=size, channels=channels))
    images = pictures(2, size, channels)
    with torch.no_grad():
        assert made.reconstruct(images).shape == images.shape
        assert made.anomaly_map(images).shape == (2, size, size)
        assert made.score(images).isfinite().all()


def test_the_code_is_as_narrow_as_asked_for(make_context: MakeContext) -> None:
    made = detector(make_context(image_size=64), code=5)
    assert made.network.encoder(pictures(2, 64)).shape == (2, 5)
    assert detector(make_context(image_size=128)).parameters() == 1_124_563
    assert AutoencoderOptions.lengths == {"rebuild_epochs"}
    with pytest.raises(OptionError, match="multiple of 8"):
        AutoencoderOptions.parse({"width": "12"})


def test_a_trained_network_scores_alike_in_another_process(
    make_context: MakeContext, phases: Phases, make_step: MakeStep
) -> None:
    made = detector(make_context())
    next(phases(made, pictures())).step(make_step(pictures()))
    other = Autoencoder(AutoencoderOptions(), make_context())
    other.load(made.state())
    with torch.no_grad():
        assert torch.equal(other.score(pictures()), made.score(pictures()))
