"""f-AnoGAN against numbers of the public implementation."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn

from adbench_harness.api import BuildContext
from adbench_models.f_anogan import LATENT, FAnoGAN, FAnoGANOptions

pytestmark = pytest.mark.parity

MakeContext = Callable[..., BuildContext]


def filled(vectors: Any, make_context: MakeContext, precision: str, channels: int = 3, dropout: float = 0.0) -> FAnoGAN:
    """A detector with the vectors' weights; its dropout is off, as in most of the records."""
    context = make_context(dtype=getattr(torch, precision), image_size=vectors.size, channels=channels)
    made = FAnoGAN(FAnoGANOptions(), context)
    vectors.fill([made.generator, made.critic, made.encoder], vectors.tensors(channels))
    for module in made.networks.modules():
        if isinstance(module, nn.Dropout2d):
            module.p = dropout
    return made


def noise(vectors: Any, iteration: int) -> Tensor:
    return torch.from_numpy(vectors.random(2000 + iteration).standard_normal((4, LATENT)))


def mix(vectors: Any, iteration: int, channels: int = 3) -> Tensor:
    return torch.from_numpy(vectors.random(3000 + iteration).random((4, channels, 1, 1)))


def test_counts(vectors: Any, make_context: MakeContext) -> None:
    rows = vectors["fill"]["tensors"]
    made = FAnoGAN(FAnoGANOptions(), make_context(image_size=vectors.size))
    for name, network in (("generator", made.generator), ("discriminator", made.critic), ("encoder", made.encoder)):
        expected = sum(int(torch.tensor(row["shape"]).prod()) for row in rows if row["subnet"] == name)
        assert sum(parameter.numel() for parameter in network.parameters()) == expected


@pytest.mark.parametrize("channels", [3, 1])
def test_forward_in_eval_mode(
    vectors: Any, make_context: MakeContext, check: Any, record: Any, precision: str, channels: int
) -> None:
    expected = record(precision, channels)["eval_forward"]
    made = filled(vectors, make_context, precision, channels)
    x = vectors.symmetric(channels).to(getattr(torch, precision))
    with torch.no_grad():
        code = made.encoder(x)
        rebuilt = made.generator(code)
        found = {
            "generator(z0)": made.generator(noise(vectors, 0).to(x)),
            "discriminator.features(x)": made.critic.features(x),
            "discriminator.validity(x)": made.critic(x),
            "encoder(x)": code,
            "recon=generator(encoder(x))": rebuilt,
            "encoder(recon)": made.encoder(rebuilt),
            "discriminator.features(recon)": made.critic.features(rebuilt),
        }
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        check.summary(tensor, expected[name])


@pytest.mark.parametrize("channels", [3, 1])
def test_forward_in_train_mode(
    vectors: Any, make_context: MakeContext, check: Any, record: Any, precision: str, channels: int
) -> None:
    expected = record(precision, channels)["train_forward_dropout_off"]
    made = filled(vectors, make_context, precision, channels)
    made.networks.train()
    x = vectors.symmetric(channels).to(getattr(torch, precision))
    with torch.no_grad():
        check.summary(made.generator(noise(vectors, 0).to(x)), expected["generator(z0)"])
        check.summary(made.critic.features(x), expected["discriminator.features(x)"])
        check.summary(made.encoder(x), expected["encoder(x)"])
    for name, network in (("generator", made.generator), ("discriminator", made.critic), ("encoder", made.encoder)):
        check.norms(network, expected["bn_after_one_train_forward"][name])


@contextmanager
def masks(network: nn.Module, vectors: Any, offset: int) -> Iterator[None]:
    """Each dropout layer multiplies by the mask that the vectors state, instead of one it draws."""
    layers = [module for module in network.modules() if isinstance(module, nn.Dropout2d)]

    def masked(place: int) -> Callable[[nn.Module, tuple[Tensor], Tensor], Tensor]:
        def hook(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
            keep = torch.from_numpy(vectors.random(offset + place).random(output.shape[:2]) >= 0.25)
            return output * (keep.to(output) / 0.75)[:, :, None, None]

        return hook

    handles = [layer.register_forward_hook(masked(place)) for place, layer in enumerate(layers)]
    yield
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize("channels", [3, 1])
def test_place_of_dropout(
    vectors: Any, make_context: MakeContext, check: Any, record: Any, precision: str, channels: int
) -> None:
    expected = record(precision, channels).get("train_forward_with_given_dropout_masks")
    if expected is None:
        pytest.skip("no record with dropout masks")
    made = filled(vectors, make_context, precision, channels)
    made.networks.train()
    x = vectors.symmetric(channels).to(getattr(torch, precision))
    with torch.no_grad(), masks(made.critic, vectors, 4000), masks(made.encoder, vectors, 4100):
        check.summary(made.critic.features(x), expected["discriminator.features(x)"])
        check.summary(made.encoder(x), expected["encoder(x)"])


def test_first_losses(vectors: Any, make_context: MakeContext, check: Any, precision: str) -> None:
    expected = vectors[precision]["wgan_step0_pieces"]
    made = filled(vectors, make_context, precision)
    made.networks.train()
    x = vectors.symmetric().to(getattr(torch, precision))
    z, still = noise(vectors, 0).to(x), torch.optim.SGD(made.networks.parameters(), lr=0.0)
    with torch.no_grad():
        check.values(made.critic(x).mean(), expected["mean_real_validity"])
        check.values(made.critic(made.generator(z)).mean(), expected["mean_fake_validity"])
    losses = made.step_critic(x, z, mix(vectors, 0).to(x), still)
    check.values(losses["gradient_penalty"], expected["gradient_penalty_unweighted"])
    check.values(losses["d_loss"], expected["d_loss"])
    check.values(made.step_generator(z, still)["g_loss"], expected["g_loss_before_any_update"])


@contextmanager
def draws(vectors: Any, iteration: int, channels: int) -> Iterator[None]:
    """What a step draws is what the vectors state: no image mirrored, this noise, these shares of the real image."""

    def rand(*shape: int, **words: Any) -> Tensor:
        return mix(vectors, iteration, channels) if "dtype" in words else torch.ones(shape)

    with patch.object(torch, "randn", lambda *_, **__: noise(vectors, iteration)), patch.object(torch, "rand", rand):
        yield


@pytest.mark.parametrize("channels", [3, 1])
def test_gan_training(
    vectors: Any, make_context: MakeContext, check: Any, record: Any, phases: Any, make_step: Any, channels: int
) -> None:
    expected = record("float64", channels)["wgan_training_6_iterations"]
    made, x = filled(vectors, make_context, "float64", channels), vectors.unit(channels)
    phase = next(phases(made, x))
    made.networks.train()
    losses: dict[str, list[Tensor]] = {"d_loss": [], "gradient_penalty": [], "g_loss": []}
    for iteration in range(6):
        with draws(vectors, iteration, channels):
            found = phase.step(make_step(x, iteration))
        for name, value in found.items():
            losses[name].append(value)
    check.values(losses["d_loss"], expected["d_loss"])
    check.values(losses["gradient_penalty"], expected["gradient_penalty"])
    check.values(losses["g_loss"], expected["g_loss_at_iterations_0_and_5"])
    for name, network in (("generator", made.generator), ("discriminator", made.critic)):
        check.length(network, expected["final_param_l2"][name])
        check.norms(network, expected["final_bn"][name])
    afterwards = "scores_with_gan_after_6_iterations_and_filled_encoder_eval"
    if afterwards in record("float64", channels):
        scores(made, vectors.symmetric(channels), check, record("float64", channels)[afterwards])


@pytest.mark.parametrize("channels", [3, 1])
def test_encoder_training(
    vectors: Any, make_context: MakeContext, check: Any, record: Any, phases: Any, make_step: Any, channels: int
) -> None:
    expected = record("float64", channels)["encoder_training_4_iterations"]
    made, x = filled(vectors, make_context, "float64", channels), vectors.unit(channels)
    stages = phases(made, x)
    next(stages)
    phase = next(stages)
    made.encoder.train()
    with torch.no_grad():
        rebuilt = copy.deepcopy(made.generator)(copy.deepcopy(made.encoder)(vectors.symmetric(channels)))
    steps = []
    for iteration in range(4):
        with draws(vectors, iteration, channels):
            steps.append(phase.step(make_step(x, iteration)))
        if iteration == 0 and expected["final_bn"][0]["updates"] == 5:
            # After its first step the public code draws a picture of progress: the encoder sees the step's reconstructions
            # in train mode, and its running statistics feel it. FAnoGAN draws none.
            with torch.no_grad():
                made.encoder(rebuilt)
    check.values(steps[0]["image"], expected["step0_image_loss"])
    check.values(steps[0]["feature"], expected["step0_feature_loss"])
    check.values([step["e_loss"] for step in steps], expected["e_loss"])
    check.length(made.encoder, expected["final_param_l2"])
    check.norms(made.encoder, expected["final_bn"])
    scores(made, vectors.symmetric(channels), check, record("float64", channels)["scores_after_encoder_training_eval"])


@pytest.mark.parametrize("channels", [3, 1])
def test_scores(vectors: Any, make_context: MakeContext, check: Any, record: Any, precision: str, channels: int) -> None:
    made = filled(vectors, make_context, precision, channels)
    x = vectors.symmetric(channels).to(getattr(torch, precision))
    scores(made, x, check, record(precision, channels)["scores_filled_weights_eval"])


def scores(made: FAnoGAN, x: Tensor, check: Any, expected: dict[str, Any]) -> None:
    made.networks.eval()
    with torch.no_grad():
        image, feature = made.distances(x)
        code = made.encoder(x)
        check.values(image, expected["img_distance"])
        check.values(feature, expected["feature_distance"])
        check.values(made.score((x + 1) / 2), expected["anomaly_score_kappa1"])
        check.values((made.encoder(made.generator(code)) - code).square().mean(dim=1), expected["z_distance"])
