from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adbench_harness import seeding
from adbench_harness.api import BuildContext, OptionError, Phase, Step
from adbench_harness.training import Training
from adbench_models import ddpm
from adbench_models.ddpm import DDPM, DDPMOptions, Mean, coloured, octaves, shares

MakeContext = Callable[..., BuildContext]
MakeStep = Callable[..., Step]
Phases = Callable[..., Iterator[Phase]]
Discs = Callable[..., Tensor]
TrainOn = Callable[..., Training]


def detector(context: BuildContext, **options: Any) -> DDPM:
    with seeding.isolated(torch.device("cpu")):
        torch.manual_seed(3)  # layers initialise themselves
        return DDPM(DDPMOptions(**{"width": 8, **options}), context)


def pictures(count: int = 4, size: int = 32, channels: int = 3) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(2))


class Knowing(nn.Module):
    """A network that knows an image, takes all else for noise, and says so as v: noise less image, in their shares."""

    def __init__(self, made: DDPM, image: Tensor) -> None:
        super().__init__()
        self.made, self.image = made, image

    def forward(self, x: Tensor, levels: Tensor) -> Tensor:
        clean, noisy = (share[levels][:, None, None, None] for share in (self.made.clean, self.made.noisy))
        image = self.image * 2 - 1
        return clean * (x - clean * image) / noisy - noisy * image


def test_the_schedule_is_that_of_both_papers() -> None:
    """Against a plain product over the levels: beta from 1e-4 to 0.02."""
    clean, noisy = shares()
    left = 1.0
    for t in range(1, 1001):
        left *= 1 - (1e-4 + (0.02 - 1e-4) * (t - 1) / 999)
        assert float(clean[t]) ** 2 == pytest.approx(left, rel=1e-9)
    assert (float(clean[0]), float(noisy[0])) == (1, 0)
    torch.testing.assert_close(clean.square() + noisy.square(), torch.ones(1001, dtype=torch.float64))


@pytest.mark.parametrize("size", [32, 64])
def test_octaves_have_variance_one_and_each_the_persistence_of_the_one_below(size: int) -> None:
    """Measured on fields, by NumPy's own transform over the whole plane."""
    white = torch.randn(400, size, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    fields = coloured(white, octaves(size, 0.8)).numpy()
    assert fields.std() == pytest.approx(1, rel=0.02)
    assert np.abs(fields.mean(axis=(1, 2))).max() < 1e-12, "the mean of an image is left alone"
    power = (np.abs(np.fft.fft2(fields)) ** 2).mean(axis=0)
    across = np.fft.fftfreq(size, 1 / size)
    waves = np.hypot(across[:, None], across[None, :])
    for low in (1, 2):  # density goes with f to the power of 2 (log2(0.8) - 1), so that an octave's sum goes with 0.8 squared
        near = [power[(waves > f * 0.9) & (waves < f * 1.1)].mean() for f in (4 * low, 8 * low)]
        assert near[1] * 4 / near[0] == pytest.approx(0.8**2, rel=0.1)
    even = [power[(waves > f - 0.5) & (waves < f + 0.5)].mean() for f in (1, 3)]
    assert even[0] == pytest.approx(even[1], rel=0.15)


def test_gaussian_noise_is_that_of_independent_pixels(make_context: MakeContext) -> None:
    made, white = detector(make_context(), noise="gaussian"), torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(coloured(white, made.colour), white, rtol=0, atol=1e-5)


def test_octaves_are_smoother_than_white_noise(make_context: MakeContext) -> None:
    rough = {noise: detector(make_context(), noise=noise).fields.diff(dim=-1).std().item() for noise in ("octaves", "gaussian")}
    assert rough["gaussian"] == pytest.approx(2**0.5, rel=0.05)
    assert rough["octaves"] < 1


@pytest.mark.parametrize(("level", "steps"), [(250, 1), (250, 7), (9, 9), (1000, 4)])
def test_a_network_that_knows_the_noise_gives_the_image_back(make_context: MakeContext, level: int, steps: int) -> None:
    made, images = detector(make_context(), level=level, steps=steps), pictures()
    made.mean.network = Knowing(made, images)
    with torch.no_grad():
        torch.testing.assert_close(made.reconstruct(images), images, rtol=0, atol=1e-4)
        assert made.score(images).max() < 1e-7


def test_what_the_network_takes_for_the_image_is_what_is_left(make_context: MakeContext) -> None:
    """A network that knows one normal image cleans everything else away, whatever the noise, and the score is the residual."""
    made, normal = detector(make_context(), steps=3), pictures(1)
    made.mean.network = Knowing(made, normal)
    odd = normal.clone()
    odd[:, :, 4:9, 4:9] = 1 - odd[:, :, 4:9, 4:9]
    with torch.no_grad():
        torch.testing.assert_close(made.reconstruct(odd), normal, rtol=0, atol=1e-4)
        torch.testing.assert_close(made.anomaly_map(odd), (odd - normal).square().mean(dim=1), rtol=0, atol=1e-3)
        torch.testing.assert_close(made.score(odd), (odd - normal).square().mean(dim=(1, 2, 3)), rtol=1e-3, atol=0)


def test_the_steps_are_those_of_song_et_al(make_context: MakeContext) -> None:
    """Against equation 12 written out, with a network that always gives the same v."""
    made, images = detector(make_context(dtype=torch.float64), level=250, steps=4, fields=1), pictures(1).double()
    guess = torch.randn(1, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(8)) * 0.1

    class Fixed(nn.Module):
        def forward(self, x: Tensor, levels: Tensor) -> Tensor:
            return guess

    made.mean.network = Fixed()
    alpha = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    a, field, v = (images * 2 - 1).numpy(), made.fields.numpy(), guess.numpy()
    x = np.sqrt(alpha[249]) * a + np.sqrt(1 - alpha[249]) * field
    for t, s in ((250, 188), (188, 125), (125, 62), (62, 0)):
        now, then = alpha[t - 1], alpha[s - 1] if s else 1.0
        image = np.clip(np.sqrt(now) * x - np.sqrt(1 - now) * v, -1, 1)
        x = np.sqrt(then) * image + np.sqrt(1 - then) * (x - np.sqrt(now) * image) / np.sqrt(1 - now)
    np.testing.assert_allclose(made.cleaned(images, made.fields[0]).numpy(), x, atol=1e-9)


def test_the_loss_is_the_mean_squared_error_of_the_noise_at_levels_up_to_lambda(
    make_context: MakeContext, phases: Phases, make_step: MakeStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, images = detector(make_context(), level=40), pictures(64)
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    make_noisy = made.made_noisy

    def watched(images: Tensor, noise: Tensor, levels: Tensor) -> Tensor:
        seen.append((make_noisy(images, noise, levels), noise, levels))
        return seen[-1][0]

    monkeypatch.setattr(made, "made_noisy", watched)
    loss = next(phases(made, images)).step(make_step(images))["loss"]
    ((x, noise, levels),) = seen
    share = made.noisy[levels][:, None, None, None]
    torch.testing.assert_close(loss, (noise - share * x).square().mean(), msg="at first the network gives 0")
    assert (int(levels.min()), int(levels.max())) == (1, 40)
    for k in (0, 63):
        clean, noisy = made.clean[levels[k]], made.noisy[levels[k]]
        torch.testing.assert_close(x[k], clean * (2 * images[k] - 1) + noisy * noise[k])
    assert not torch.allclose(noise[0], noise[1])


def test_the_stream_of_a_step_decides_levels_and_noise(make_context: MakeContext) -> None:
    made, images = detector(make_context()), pictures()
    losses = [made.loss(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


def test_the_running_mean_follows_fast_at_first_and_slowly_later() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    mean = Mean(network)
    nn.init.ones_(network.weight)
    expected = 0.0
    for n in range(1, 6):
        mean.follow(network)
        expected += (1 - (1 + n) / (10 + n)) * (1 - expected)
        assert float(mean.network.weight) == pytest.approx(expected, abs=1e-6)  # type: ignore[arg-type]
    mean.seen += 1e6
    mean.follow(network)
    assert float(mean.network.weight) == pytest.approx(expected + 0.001 * (1 - expected), abs=1e-6)  # type: ignore[arg-type]


def test_a_bright_square_scores_higher_after_a_short_budget(make_context: MakeContext, discs: Discs, train_on: TrainOn) -> None:
    made, images = detector(make_context(), learning_rate=4e-3), discs(16, squares=True)
    done = train_on(made, discs(32), images_presented=240)
    assert (done.presented, done.steps, list(done.epochs)) == (240, 30, ["denoise"])
    with torch.no_grad():
        scores, where = made.score(images), made.anomaly_map(images)[1::2]
    assert scores[1::2].min() > scores[::2].max()
    assert where[:, 10:16, 10:16].mean() > 2 * where.mean()


def test_a_score_does_not_depend_on_the_batch(make_context: MakeContext, discs: Discs, train_on: TrainOn) -> None:
    made, images = detector(make_context()), pictures(7)
    train_on(made, discs(8), epochs=2)
    with torch.no_grad():
        together = made.score(images)
        alone = torch.cat([made.score(image[None]) for image in images.flip(0)]).flip(0)
        assert torch.equal(made.score(images), together), "the same fields each time"
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=0)


def test_the_noise_fields_are_the_runs_own_and_kept(make_context: MakeContext) -> None:
    seeds = [detector(make_context(generator=torch.Generator().manual_seed(seed))) for seed in (1, 1, 2)]
    assert torch.equal(seeds[0].fields, seeds[1].fields)
    assert not torch.equal(seeds[0].fields, seeds[2].fields)
    assert seeds[0].fields.shape == (4, 3, 32, 32)
    single = detector(make_context(dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(single.fields.float(), seeds[0].fields)


def test_a_trained_detector_scores_alike_in_another_process(
    make_context: MakeContext, phases: Phases, make_step: MakeStep
) -> None:
    made = detector(make_context())
    next(phases(made, pictures())).step(make_step(pictures()))
    other = DDPM(DDPMOptions(width=8), make_context(generator=torch.Generator().manual_seed(9)))
    other.load({name: tensor.clone() for name, tensor in made.state().items()})
    with torch.no_grad():
        assert torch.equal(other.score(pictures()), made.score(pictures()))
    assert made.parameters() == sum(value.numel() for value in made.unet.parameters())


def test_it_scores_with_the_running_mean(make_context: MakeContext, phases: Phases, make_step: MakeStep) -> None:
    made = detector(make_context())
    for seed in range(2):
        next(phases(made, pictures())).step(make_step(pictures(), seed=seed))
    with torch.no_grad():
        before = made.score(pictures())
        for value in made.unet.parameters():
            value.zero_()
        assert torch.equal(made.score(pictures()), before)


@pytest.mark.parametrize(("size", "channels"), [(32, 1), (40, 3), (256, 1)])
def test_pictures_have_the_images_size_and_channels_and_stay_in_range(
    make_context: MakeContext, size: int, channels: int
) -> None:
    made = detector(make_context(image_size=size, channels=channels), steps=1, fields=1)
    images = pictures(2, size, channels)
    with torch.no_grad():
        rebuilt, where = made.reconstruct(images), made.anomaly_map(images)
        torch.testing.assert_close(where, (images - rebuilt).square().mean(dim=1))
        torch.testing.assert_close(made.score(images), where.mean(dim=(1, 2)))
    assert rebuilt.shape == images.shape
    assert 0 <= float(rebuilt.min()) <= float(rebuilt.max()) <= 1


@pytest.mark.parametrize("size", [16, 36, 264])
def test_sizes_that_it_cannot_halve_are_refused(make_context: MakeContext, size: int) -> None:
    with pytest.raises(OptionError, match=f"from 32 to 256 that is divisible by 8, not {size}"):
        detector(make_context(image_size=size))


def test_more_steps_than_levels_are_refused(make_context: MakeContext) -> None:
    with pytest.raises(OptionError, match="can't take 2 steps down from level 1"):
        detector(make_context(), level=1)
    assert ddpm.DDPMOptions.lengths == {"denoise_epochs"}
