from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everywhere

from adbench_harness.api import BuildContext, OptionError, Phase, Step
from adbench_models.f_anogan import LATENT, FAnoGAN, FAnoGANOptions, UpsampledConv2d
from adbench_models.optimisation import gan_adam

MakeContext = Callable[..., BuildContext]
MakeStep = Callable[..., Step]
Phases = Callable[..., Iterator[Phase]]


def detector(context: BuildContext, **options: Any) -> FAnoGAN:
    torch.manual_seed(3)  # layers initialise themselves
    return FAnoGAN(FAnoGANOptions(**options), context)


def pictures(count: int = 4, size: int = 32, channels: int = 3) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(2))


def size_of(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def values(network: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten().clone() for parameter in network.parameters()])


@pytest.mark.parametrize(
    ("size", "channels", "generator", "critic", "encoder"),
    [
        (128, 3, 13_462_019, 106_081, 917_188),
        (128, 1, 13_460_865, 105_793, 916_900),
        (64, 3, 3_533_315, 99_937, 302_788),
    ],
)
def test_it_has_as_many_values_as_the_public_code(
    make_context: MakeContext, size: int, channels: int, generator: int, critic: int, encoder: int
) -> None:
    made = detector(make_context(image_size=size, channels=channels))
    assert (size_of(made.generator), size_of(made.critic), size_of(made.encoder)) == (generator, critic, encoder)
    assert made.parameters() == generator + critic + encoder


@pytest.mark.parametrize("size", [16, 40, 130])
def test_sizes_that_the_trunk_cannot_halve_are_refused(make_context: MakeContext, size: int) -> None:
    with pytest.raises(OptionError, match=f"32 or more that is divisible by 16, not {size}"):
        detector(make_context(image_size=size))


@pytest.mark.parametrize("size", [32, 48, 256])
def test_other_sizes_give_images_of_that_size(make_context: MakeContext, size: int) -> None:
    made = detector(make_context(image_size=size))
    with torch.no_grad():
        assert made.reconstruct(pictures(1, size)).shape == (1, 3, size, size)


def test_enlarging_and_convolving_in_one_gives_the_same_numbers_and_gradients() -> None:
    layer = UpsampledConv2d(5, 7).double()
    x = torch.randn(2, 5, 6, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(4)).requires_grad_()
    plain = F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), layer.weight, layer.bias, padding=1)
    fused = layer(x)
    torch.testing.assert_close(fused, plain)
    inputs = (x, *layer.parameters())
    for one, other in zip(
        torch.autograd.grad(fused.sin().sum(), inputs), torch.autograd.grad(plain.sin().sum(), inputs), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_the_generator_steps_once_in_five_counted_within_the_epoch(
    make_context: MakeContext, phases: Phases, make_step: MakeStep
) -> None:
    made = detector(make_context())
    gan = next(phases(made, pictures()))
    assert (gan.name, gan.epochs, gan.drop_last) == ("gan", 300, False)
    moved = []
    for index in range(7):
        generator, critic = values(made.generator), values(made.critic)
        losses = gan.step(make_step(pictures(), index, seed=index))
        assert not torch.equal(values(made.critic), critic)
        moved.append(not torch.equal(values(made.generator), generator))
        assert ("g_loss" in losses) == moved[-1]
        assert {"d_loss", "gradient_penalty"} <= losses.keys()
    assert moved == [True, False, False, False, False, True, False]


def test_optimisers_and_dropout_are_as_published(make_context: MakeContext, phases: Phases) -> None:
    made = detector(make_context())
    optimisers = [optimiser for phase in phases(made, pictures()) for optimiser in phase.optimisers.values()]
    assert len(optimisers) == 3
    for optimiser in optimisers:
        assert type(optimiser) is torch.optim.Adam
        (group,) = optimiser.param_groups
        assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (2e-4, (0.5, 0.999), 1e-8, 0)
    dropouts = [module.p for module in made.networks.modules() if isinstance(module, nn.Dropout2d)]
    assert dropouts == [0.25] * 8


def test_a_budget_is_shared_out_as_the_published_epochs_are(make_context: MakeContext, phases: Phases) -> None:
    options: dict[str, Any]
    for options in ({}, {"gan_epochs": 10, "encoder_epochs": 1000}):
        made = detector(make_context(), **options)
        assert [(phase.name, phase.share) for phase in phases(made, pictures())] == [("gan", 0.6), ("encoder", 0.4)]


def test_both_stages_see_mirrored_images_and_noise_is_normal(
    make_context: MakeContext, phases: Phases, make_step: MakeStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, seen, noises, mixes = detector(make_context()), [], [], []
    mirror, critic = made._training_images, made.step_critic

    def mirrored(batch: Step) -> Tensor:
        seen.append(len(batch.images))
        return mirror(batch)

    def stepped(real: Tensor, noise: Tensor, mix: Tensor, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
        noises.append(noise)
        mixes.append(mix)
        return critic(real, noise, mix, optimiser)

    monkeypatch.setattr(made, "_training_images", mirrored)
    monkeypatch.setattr(made, "step_critic", stepped)
    for phase in phases(made, pictures(64)):
        for module in phase.modules.values():
            module.train()
        phase.step(make_step(pictures(64)))
    assert seen == [64, 64]
    assert float(noises[0].mean()) == pytest.approx(0, abs=0.1)
    assert float(noises[0].std()) == pytest.approx(1, abs=0.1)
    assert mixes[0].shape == (64, 3, 1, 1)
    assert 0 <= float(mixes[0].min()) < float(mixes[0].max()) < 1
    assert len(torch.unique(mixes[0])) == 64 * 3, "a share for each image and channel"


def test_a_batch_of_one_image_trains(make_context: MakeContext, phases: Phases, make_step: MakeStep) -> None:
    made = detector(make_context())
    made.networks.train()
    losses = next(phases(made, pictures(1))).step(make_step(pictures(1)))
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_the_encoder_learns_while_the_others_stand_still(make_context: MakeContext, phases: Phases, make_step: MakeStep) -> None:
    made = detector(make_context())
    stages = phases(made, pictures())
    made.networks.train()
    next(stages).step(make_step(pictures()))
    encoder_stage = next(stages)
    assert (encoder_stage.name, encoder_stage.epochs, list(encoder_stage.modules)) == ("encoder", 200, ["encoder"])
    made.encoder.train()
    before = copy.deepcopy(made)
    encoder_stage.step(make_step(pictures()))
    assert not torch.equal(values(made.encoder), values(before.encoder))
    for name, tensor in made.generator.state_dict().items():
        assert torch.equal(tensor, before.generator.state_dict()[name]), name
    for name, tensor in made.critic.state_dict().items():
        assert torch.equal(tensor, before.critic.state_dict()[name]), name
    assert next(stages, None) is None
    assert not made.encoder.training


def test_what_is_not_computed_changes_no_loss_and_no_step(make_context: MakeContext) -> None:
    """Against the plain form: a graph through everything, gradients for everything, most of them thrown away."""
    made = detector(make_context(dtype=torch.float64))
    made.networks.train()
    for module in made.networks.modules():
        if isinstance(module, nn.Dropout2d):
            module.p = 0.0
    plain = copy.deepcopy(made)
    optimisers = {name: gan_adam(network, 2e-4) for name, network in made.networks.items()}
    plain_optimisers = {name: gan_adam(network, 2e-4) for name, network in plain.networks.items()}
    draw = torch.Generator().manual_seed(5)
    for _ in range(2):
        real = pictures().double() * 2 - 1
        noise = torch.randn(4, LATENT, dtype=torch.float64, generator=draw)
        mix = torch.rand(4, 3, 1, 1, dtype=torch.float64, generator=draw)
        found = made.step_critic(real, noise, mix, optimisers["critic"])
        found |= made.step_generator(noise, optimisers["generator"])
        expected = plain_gan_step(plain, real, noise, mix, plain_optimisers)
        for name, loss in expected.items():
            torch.testing.assert_close(found[name], loss, rtol=1e-12, atol=0)
    for one in (made, plain):
        one.generator.eval()
        one.critic.eval()
    for _ in range(2):
        found = made.step_encoder(real, optimisers["encoder"])
        plain.networks.zero_grad()
        rebuilt = plain.generator(plain.encoder(real))
        loss = F.mse_loss(rebuilt, real) + F.mse_loss(plain.critic.features(rebuilt), plain.critic.features(real))
        loss.backward()  # type: ignore[no-untyped-call]
        plain_optimisers["encoder"].step()
        torch.testing.assert_close(found["e_loss"], loss.detach(), rtol=1e-12, atol=0)
    for name, tensor in plain.networks.state_dict().items():
        torch.testing.assert_close(made.networks.state_dict()[name], tensor, rtol=1e-9, atol=1e-12)


def plain_gan_step(plain: FAnoGAN, real: Tensor, noise: Tensor, mix: Tensor, optimisers: dict[str, Any]) -> dict[str, Tensor]:
    plain.networks.zero_grad()
    fake = plain.generator(noise)
    between = (mix * real + (1 - mix) * fake).detach().requires_grad_(True)
    validity = plain.critic(real), plain.critic(fake.detach())
    gradient = torch.autograd.grad(plain.critic(between).sum(), between, create_graph=True)[0]
    penalty = ((gradient.flatten(1).square().sum(dim=1).sqrt() - 1) ** 2).mean()
    critic_loss = -validity[0].mean() + validity[1].mean() + 10 * penalty
    critic_loss.backward()
    optimisers["critic"].step()
    plain.networks.zero_grad()
    generator_loss = -plain.critic(plain.generator(noise)).mean()
    generator_loss.backward()
    optimisers["generator"].step()
    return {"d_loss": critic_loss.detach(), "gradient_penalty": penalty.detach(), "g_loss": generator_loss.detach()}


def test_no_network_but_the_one_that_steps_gets_a_gradient(make_context: MakeContext) -> None:
    made = detector(make_context())
    made.networks.train()
    noise, mix = torch.randn(4, LATENT), torch.rand(4, 3, 1, 1)
    made.step_generator(noise, gan_adam(made.generator, 2e-4))
    assert all(parameter.grad is None for parameter in made.critic.parameters())
    made.networks.zero_grad()
    made.step_critic(pictures(), noise, mix, gan_adam(made.critic, 2e-4))
    assert all(parameter.grad is None for parameter in made.generator.parameters())


def test_half_of_the_training_images_are_mirrored_and_the_stream_decides_which(
    make_context: MakeContext, make_step: MakeStep
) -> None:
    made, images = detector(make_context()), pictures(64)
    shown = made._training_images(make_step(images, seed=1))
    straight = (shown == images * 2 - 1).flatten(1).all(dim=1)
    mirrored = (shown == images.flip(-1) * 2 - 1).flatten(1).all(dim=1)
    assert (straight ^ mirrored).all()
    assert 20 < int(mirrored.sum()) < 44
    assert torch.equal(made._training_images(make_step(images, seed=1)), shown)
    assert not torch.equal(made._training_images(make_step(images, seed=2)), shown)


@pytest.mark.parametrize("options", [{}, {"flip_at_test": True}, {"value_range": "unit"}])
def test_a_score_does_not_depend_on_the_batch(make_context: MakeContext, options: dict[str, Any]) -> None:
    made, images = detector(make_context(), **options), pictures(6)
    with torch.no_grad():
        together = made.score(images)
        alone = torch.cat([made.score(images[k : k + 1]) for k in (5, 4, 3, 2, 1, 0)]).flip(0)
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-7)


def test_mirroring_at_test_takes_about_half_of_the_images(make_context: MakeContext) -> None:
    images = (pictures(64) * 255).round() / 255
    plain, mirrored = detector(make_context()), detector(make_context(), flip_at_test=True)
    with torch.no_grad():
        changed = ~torch.isclose(plain.score(images), mirrored.score(images), rtol=1e-6, atol=0)
    assert 20 < int(changed.sum()) < 44


def test_the_feature_weight_counts_in_loss_and_score(make_context: MakeContext) -> None:
    images = pictures()
    one, none = detector(make_context(), feature_weight=1.0), detector(make_context(), feature_weight=0.0)
    with torch.no_grad():
        image, feature = one.distances(images * 2 - 1)
        torch.testing.assert_close(one.score(images), image + feature)
        torch.testing.assert_close(none.score(images), image)


@pytest.mark.parametrize("value_range", ["symmetric", "unit"])
def test_pictures_are_in_the_range_of_images(make_context: MakeContext, value_range: str) -> None:
    made = detector(make_context(), value_range=value_range)
    with torch.no_grad():
        rebuilt, map_ = made.reconstruct(pictures()), made.anomaly_map(pictures())
    assert rebuilt.shape == pictures().shape
    assert 0 <= float(rebuilt.min()) <= float(rebuilt.max()) <= 1
    torch.testing.assert_close(map_, (pictures() - rebuilt).abs().mean(dim=1))


def test_trained_networks_score_alike_in_another_process(make_context: MakeContext, phases: Phases, make_step: MakeStep) -> None:
    made = detector(make_context())
    made.networks.train()
    next(phases(made, pictures())).step(make_step(pictures()))
    made.networks.eval()
    torch.manual_seed(9)
    other = FAnoGAN(FAnoGANOptions(), make_context())
    other.load(made.state())
    with torch.no_grad():
        assert torch.equal(other.score(pictures()), made.score(pictures()))
