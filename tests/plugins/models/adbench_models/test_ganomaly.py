from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adbench_harness.api import BuildContext, OptionError, Phase, Step
from adbench_harness.home import Home, Results
from adbench_harness.plan import RunRequest, plan
from adbench_harness.runner import Conditions, run_one
from adbench_models import ganomaly
from adbench_models.ganomaly import COLLAPSED, GANomaly, GANomalyOptions
from adbench_models.optimisation import gan_adam

MakeContext = Callable[..., BuildContext]
MakeStep = Callable[..., Step]
Phases = Callable[..., Iterator[Phase]]


def detector(context: BuildContext, **options: Any) -> GANomaly:
    return GANomaly(GANomalyOptions(**options), context)


def pictures(count: int = 4, size: int = 32, channels: int = 3) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(2))


def adam(network: nn.Module) -> torch.optim.Adam:
    return gan_adam(network, 2e-4)


@pytest.mark.parametrize(
    ("channels", "encoder", "decoder", "discriminator"),
    [(3, 12_786_432, 12_786_560, 11_164_416), (1, 12_784_384, 12_784_512, 11_162_368)],
)
def test_it_has_as_many_values_as_the_public_code(
    make_context: MakeContext, channels: int, encoder: int, decoder: int, discriminator: int
) -> None:
    made = detector(make_context(image_size=128, channels=channels))
    networks = [made.generator.encoder1, made.generator.encoder2, made.generator.decoder, made.discriminator]
    counts = [sum(parameter.numel() for parameter in network.parameters()) for network in networks]
    assert counts == [encoder, encoder, decoder, discriminator]
    assert made.parameters() == 2 * encoder + decoder + discriminator


@pytest.mark.parametrize("size", [8, 48, 80, 100])
def test_sizes_that_cannot_be_halved_down_to_four_are_refused(make_context: MakeContext, size: int) -> None:
    with pytest.raises(OptionError, match=f"16, 32, 64, 128, 256 or a higher power of two, not {size}"):
        detector(make_context(image_size=size))


@pytest.mark.parametrize("size", [16, 64])
def test_other_sizes_give_images_and_codes(make_context: MakeContext, size: int) -> None:
    with torch.no_grad():
        rebuilt = detector(make_context(image_size=size)).generator(pictures(2, size))
    assert rebuilt.images.shape == (2, 3, size, size)
    assert rebuilt.code.shape == rebuilt.code_again.shape == (2, 100, 1, 1)


def test_weights_begin_as_published(make_context: MakeContext) -> None:
    made, again = detector(make_context(image_size=64)), detector(make_context(image_size=64))
    other = detector(make_context(image_size=64, generator=torch.Generator().manual_seed(7)))
    for network in ("generator", "discriminator"):
        for module, twin in zip(getattr(made, network).modules(), getattr(again, network).modules(), strict=True):
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                assert module.bias is None
                assert abs(float(module.weight.detach().mean())) < 0.002
                assert float(module.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
                assert torch.equal(module.weight, twin.weight)
            elif isinstance(module, nn.BatchNorm2d):
                assert float(module.weight.detach().mean()) == pytest.approx(1, abs=0.01)
                assert float(module.weight.detach().std()) == pytest.approx(0.02, rel=0.3)
                assert not module.bias.any()
    first = made.state()["encoder1.0.weight"]
    assert not torch.equal(first, other.state()["encoder1.0.weight"])
    assert not torch.equal(first, made.state()["encoder2.0.weight"])


def test_one_phase_of_fifteen_epochs_that_drops_the_last_batch(make_context: MakeContext, phases: Phases) -> None:
    made = detector(make_context())
    stages = phases(made, pictures())
    phase = next(stages)
    assert (phase.name, phase.epochs, phase.drop_last) == ("adversarial", 15, True)
    for optimiser in phase.optimisers.values():
        assert type(optimiser) is torch.optim.Adam
        (group,) = optimiser.param_groups
        assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (2e-4, (0.5, 0.999), 1e-8, 0)
    made.generator.train()
    assert next(stages, None) is None
    assert not made.generator.training


def test_a_step_looks_whether_the_discriminator_has_collapsed(
    make_context: MakeContext, phases: Phases, make_step: MakeStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = detector(make_context())
    phase = next(phases(made, pictures()))
    made.generator.train()
    made.discriminator.train()
    assert phase.step(make_step(pictures()))["restarts"] == 0
    monkeypatch.setattr(ganomaly, "COLLAPSED", 1e9)
    assert phase.step(make_step(pictures(), seed=1))["restarts"] == 1
    drawn = first_weights(made)
    phase.step(make_step(pictures(), seed=1))
    assert torch.equal(first_weights(made), drawn), "drawn from the step's own stream"


def test_what_is_not_computed_changes_no_loss_and_no_step(make_context: MakeContext) -> None:
    """Against the plain form: gradients for everything, the discriminator's from the generator's loss thrown away."""
    made = detector(make_context(dtype=torch.float64))
    plain = copy.deepcopy(made)
    optimisers = adam(made.generator), adam(made.discriminator)
    plain_optimisers = adam(plain.generator), adam(plain.discriminator)
    real = pictures().double() * 2 - 1
    for one in (made, plain):
        one.generator.train()
        one.discriminator.train()
    for _ in range(3):
        found, expected = made.step(real, *optimisers), plain_step(plain, real, *plain_optimisers)
        for name, loss in expected.items():
            torch.testing.assert_close(found[name], loss, rtol=1e-10, atol=0)
    for network in ("generator", "discriminator"):
        for name, tensor in getattr(plain, network).state_dict().items():
            torch.testing.assert_close(getattr(made, network).state_dict()[name], tensor, rtol=1e-8, atol=1e-10)
    assert made.discriminator.features[3].num_batches_tracked == 4 * 3


def plain_step(plain: GANomaly, real: Tensor, generator_optimiser: Any, discriminator_optimiser: Any) -> dict[str, Tensor]:
    bce = nn.BCELoss()
    rebuilt = plain.generator(real)
    on_real, on_fake = plain.discriminator(real), plain.discriminator(rebuilt.images.detach())
    plain.generator.zero_grad()
    features = plain.discriminator.features(real), plain.discriminator.features(rebuilt.images)
    adv = ((features[0] - features[1]) ** 2).mean()
    con = (rebuilt.images - real).abs().mean()
    enc = ((rebuilt.code_again - rebuilt.code) ** 2).mean()
    err_g = adv + 50 * con + enc
    err_g.backward(retain_graph=True)
    generator_optimiser.step()
    plain.discriminator.zero_grad()
    err_d_real, err_d_fake = bce(on_real, torch.ones_like(on_real)), bce(on_fake, torch.zeros_like(on_fake))
    err_d = 0.5 * (err_d_real + err_d_fake)
    err_d.backward()
    discriminator_optimiser.step()
    losses = {"err_d": err_d, "err_d_real": err_d_real, "err_d_fake": err_d_fake, "err_g": err_g}
    losses |= {"err_g_adv": adv, "err_g_con": con, "err_g_enc": enc}
    return {name: loss.detach() for name, loss in losses.items()}


def first_weights(made: GANomaly) -> Tensor:
    weights: Tensor = made.discriminator.state_dict()["features.0.weight"]
    return weights.clone()


@pytest.mark.parametrize(("loss", "anew"), [(COLLAPSED / 2, True), (COLLAPSED, False), (1.0, False)])
def test_a_collapsed_discriminator_begins_anew(
    make_context: MakeContext, phases: Phases, make_step: MakeStep, loss: float, anew: bool
) -> None:
    made = detector(make_context())
    optimiser = adam(made.discriminator)
    made.discriminator.train()
    for parameter in made.discriminator.parameters():
        parameter.data.mul_(3)
    made.step(pictures() * 2 - 1, adam(made.generator), optimiser)
    weights = [parameter.detach().clone() for parameter in made.discriminator.parameters()]
    buffers = [buffer.clone() for buffer in made.discriminator.buffers()]
    moments = [state["exp_avg"].clone() for state in optimiser.state.values()]
    made.restart_if_collapsed(torch.tensor(loss), torch.Generator().manual_seed(1))
    changed = [
        not torch.equal(parameter, weight) for parameter, weight in zip(made.discriminator.parameters(), weights, strict=True)
    ]
    assert all(changed) if anew else not any(changed)
    if anew:
        assert float(first_weights(made).std()) == pytest.approx(0.02, rel=0.05)
    assert all(torch.equal(one, other) for one, other in zip(made.discriminator.buffers(), buffers, strict=True))
    assert all(torch.equal(s["exp_avg"], m) for s, m in zip(optimiser.state.values(), moments, strict=True))


def test_each_restart_draws_other_weights(make_context: MakeContext) -> None:
    made, stream = detector(make_context()), torch.Generator().manual_seed(1)
    drawn = []
    for _ in range(2):
        made.restart_if_collapsed(torch.tensor(0.0), stream)
        drawn.append(first_weights(made))
    assert not torch.equal(drawn[0], drawn[1])


def test_by_running_statistics_a_score_does_not_depend_on_the_batch(make_context: MakeContext) -> None:
    made, images = detector(make_context()), pictures(6)
    assert made.transductive is None
    with torch.no_grad():
        together = made.score(images)
        alone = torch.cat([made.score(images[k : k + 1]) for k in range(6)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-7)


def test_by_batch_statistics_it_does_and_says_so_and_the_trained_statistics_stay(make_context: MakeContext) -> None:
    made, images = detector(make_context(), bn_at_test="batch"), pictures(6)
    assert made.transductive is not None
    assert made.transductive.batch_size == 32
    before = {name: tensor.clone() for name, tensor in made.state().items()}
    with torch.no_grad():
        assert not torch.allclose(made.score(images)[:3], made.score(images[:3]), rtol=1e-3)
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.state().items())
    assert not any(module.training for module in made.generator.modules()), "and pictures are made as ever"


@pytest.mark.parametrize("value_range", ["symmetric", "unit"])
def test_pictures_are_in_the_range_of_images(make_context: MakeContext, value_range: str) -> None:
    made = detector(make_context(), value_range=value_range)
    with torch.no_grad():
        rebuilt, map_ = made.reconstruct(pictures()), made.anomaly_map(pictures())
    assert rebuilt.shape == pictures().shape
    assert 0 <= float(rebuilt.min()) <= float(rebuilt.max()) <= 1
    torch.testing.assert_close(map_, (pictures() - rebuilt).abs().mean(dim=1))


def test_a_trained_generator_scores_alike_in_another_process(
    make_context: MakeContext, phases: Phases, make_step: MakeStep
) -> None:
    made = detector(make_context())
    made.generator.train()
    next(phases(made, pictures())).step(make_step(pictures()))
    made.generator.eval()
    other = detector(make_context(generator=torch.Generator().manual_seed(5)))
    other.load(made.state())
    with torch.no_grad():
        assert torch.equal(other.score(pictures()), made.score(pictures()))


def test_a_run_by_batch_statistics_is_marked_and_never_ranked(home: Home, results: Results) -> None:
    settings = {"image_size": "32", "epochs": "1", "bn_at_test": "batch"}
    request = RunRequest("ganomaly", "phantom", "esmaeili2023", settings=settings, device="cpu")
    manifest = run_one(plan(request, home), Conditions(home, results)).manifest
    assert manifest.unranked == (
        "off protocol: image_size=32, epochs=1; transductive: batch normalisation by the statistics of the test batch"
    )
    assert manifest.variant == "ganomaly (bn_at_test=batch)"
    assert not (results.runs / manifest.run_id / "examples").exists()
