from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adbench_harness.api import BuildContext, OptionError, Phase, Step
from adbench_models import vgg16
from adbench_models.multikd import EPOCHS, MultiKD, MultiKDOptions

MakeContext = Callable[..., BuildContext]
MakeStep = Callable[..., Step]
Phases = Callable[..., Iterator[Phase]]


def detector(context: BuildContext, **options: Any) -> MultiKD:
    return MultiKD(MultiKDOptions(**{"teacher": "random", **options}), context)


def pictures(count: int = 4, size: int = 32, channels: int = 3) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(("cloner", "learnt"), [("small", 343_984), ("equal", 14_715_968)])
def test_it_has_as_many_values_as_the_public_code(make_context: MakeContext, cloner: str, learnt: int) -> None:
    made = detector(make_context(), cloner=cloner)
    assert made.parameters() == learnt
    assert sum(parameter.numel() for parameter in made.teacher.parameters()) == 14_714_688


def test_looked_up_features_are_those_of_the_teacher_and_memory_is_bounded(
    make_context: MakeContext, phases: Phases, make_step: MakeStep
) -> None:
    images = pictures(5)
    losses = []
    for limit in (2048, 0):
        made = detector(make_context(dtype=torch.float64), feature_cache_mib=limit)
        phase = next(phases(made, images.double()))
        made.cloner.train()
        losses.append([float(phase.step(make_step(images.double()))["loss"]) for _ in range(3)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-9)


def test_the_teacher_gets_no_gradient_and_does_not_change(make_context: MakeContext, phases: Phases, make_step: MakeStep) -> None:
    made = detector(make_context(), feature_cache_mib=0)
    before = vgg16.values_sha256(made.teacher.state_dict())
    phase = next(phases(made, pictures()))
    phase.step(make_step(pictures()))
    assert vgg16.values_sha256(made.teacher.state_dict()) == before
    assert all(parameter.grad is None for parameter in made.teacher.parameters())
    assert list(phase.modules) == ["cloner"]
    assert phase.epochs == EPOCHS == 202


def test_a_score_does_not_depend_on_the_batch(make_context: MakeContext) -> None:
    made, images = detector(make_context()), pictures(6)
    with torch.no_grad():
        together = made.score(images)
        alone = torch.cat([made.score(images[k : k + 1]) for k in range(6)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_one_channel_counts_as_three_equal_ones(make_context: MakeContext) -> None:
    made, gray = detector(make_context()), pictures(2, channels=1)
    with torch.no_grad():
        torch.testing.assert_close(made.score(gray), made.score(gray.repeat(1, 3, 1, 1)))


def test_a_trained_cloner_scores_alike_in_another_process(make_context: MakeContext, phases: Phases, make_step: MakeStep) -> None:
    made = detector(make_context())
    phase = next(phases(made, pictures()))
    made.cloner.train()
    phase.step(make_step(pictures()))
    made.cloner.eval()
    other = detector(make_context())
    other.load(made.state())
    with torch.no_grad():
        assert torch.equal(other.score(pictures()), made.score(pictures()))


def test_the_fourth_layer_is_an_option(make_context: MakeContext) -> None:
    three, four = (detector(make_context(), score_layers=layers) for layers in (3, 4))
    with torch.no_grad():
        assert (four.score(pictures()) > three.score(pictures())).all()


def test_the_input_of_a_teacher_from_a_file_is_an_option_and_kept(make_context: MakeContext, tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(vgg16.VGG16().state_dict(), tmp_path / "mine.pth")
    file = {"teacher": tmp_path / "mine.pth", "teacher_kind": "imagenet"}
    plain, trained = detector(make_context(), **file), detector(make_context(), **file, teacher_input="trained")
    with torch.no_grad():
        assert not torch.allclose(plain.score(pictures()), trained.score(pictures()), rtol=1e-3)
    assert plain.provenance() != trained.provenance()
    assert MultiKDOptions(teacher_input="trained").labels() == {"teacher_input": "trained"}


@pytest.mark.parametrize(("cloner", "learnt"), [("small", 345_536), ("equal", 14_720_192)])
def test_bias_of_the_cloner_is_an_option(make_context: MakeContext, cloner: str, learnt: int) -> None:
    assert detector(make_context(), cloner=cloner, cloner_bias=True).parameters() == learnt


def test_a_map_shows_which_pixels_move_the_score(make_context: MakeContext) -> None:
    made, images = detector(make_context()), pictures(3)
    with torch.no_grad():
        maps = made.anomaly_map(images)
        alone = made.anomaly_map(images[1:2])
    assert maps.shape == (3, 32, 32)
    assert maps.dtype == images.dtype
    assert float(maps.min()) >= 0
    torch.testing.assert_close(maps[1:2], alone, rtol=1e-4, atol=1e-6)
    assert not maps.requires_grad
    # A Gaussian of one pixel (4 of 128) spreads the gradient and loses none of it.
    shifted = images.clone().requires_grad_(True)
    gradient = torch.autograd.grad(made.score(shifted).sum(), shifted)[0].abs().sum(dim=1)
    torch.testing.assert_close(maps.sum(dim=(1, 2)), gradient.sum(dim=(1, 2)), rtol=1e-3, atol=0)
    assert (maps.amax(dim=(1, 2)) < gradient.amax(dim=(1, 2))).all()


def test_options_as_typed() -> None:
    assert MultiKDOptions.parse({"score_layers": "4"}).score_layers == 4
    with pytest.raises(OptionError, match="option score_layers=2"):
        MultiKDOptions.parse({"score_layers": "2"})
    with pytest.raises(OptionError, match="teacher_input=trained has no meaning for a random teacher"):
        MultiKDOptions.parse({"teacher": "random", "teacher_input": "trained"})


@pytest.mark.parametrize("cloner", ["small", "equal"])
def test_what_is_not_computed_changes_no_loss_and_no_step(
    make_context: MakeContext, phases: Phases, make_step: MakeStep, cloner: str
) -> None:
    """Against the plain form: the teacher in the graph, its gradients computed and thrown away."""
    made = detector(make_context(dtype=torch.float64), cloner=cloner)
    plain = copy.deepcopy(made)
    plain.teacher.requires_grad_(True)
    optimiser = torch.optim.Adam(plain.cloner.parameters(), lr=1e-3, betas=(0.9, 0.999))
    images = pictures().double()
    phase = next(phases(made, images))
    for one in (made, plain):
        one.cloner.train()
    for _ in range(3):
        found = phase.step(make_step(images))
        optimiser.zero_grad()
        pairs = list(zip(plain.teacher(images), plain.cloner(images), strict=True))
        cosine = sum(((1 - nn.CosineSimilarity()(t.flatten(1), c.flatten(1))).mean() for t, c in pairs), torch.zeros(()))
        loss = cosine + 0.01 * sum((nn.functional.mse_loss(c, t) for t, c in pairs), torch.zeros(()))
        loss.backward()
        optimiser.step()
        torch.testing.assert_close(found["loss"], loss.detach(), rtol=1e-10, atol=0)
    assert all(parameter.grad is not None for parameter in plain.teacher.parameters())
    for name, tensor in plain.cloner.state_dict().items():
        torch.testing.assert_close(made.cloner.state_dict()[name], tensor, rtol=1e-8, atol=1e-10)


def test_a_value_term_without_weight_takes_no_part(make_context: MakeContext) -> None:
    made = detector(make_context(), direction_only=True)
    huge = [torch.full((2, 3), 1e30)], [torch.full((2, 3), 2e30).requires_grad_()]
    losses = made.losses(*huge)
    assert torch.isinf(losses["value"])
    assert torch.isfinite(losses["loss"])
    assert not losses["value"].requires_grad


def test_image_sizes_that_the_pools_cannot_halve_are_refused(make_context: MakeContext) -> None:
    with pytest.raises(OptionError, match="divisible by 32, not 48"):
        detector(make_context(image_size=48))


def test_a_missing_teacher_file_is_an_option_error(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"option teacher=.*gone\.pth: no such file"):
        MultiKDOptions.parse({"teacher": str(tmp_path / "gone.pth")})


def test_the_variant_s_name_tells_the_teacher(tmp_path: Path) -> None:
    assert MultiKDOptions().labels() == {}
    assert MultiKDOptions.parse({"teacher": "imagenet-features"}).labels() == {"teacher": "imagenet-features"}
    assert MultiKDOptions.parse({"teacher": "random", "cloner": "equal"}).labels() == {"teacher": "random", "cloner": "equal"}
    torch.save(vgg16.VGG16().state_dict(), tmp_path / "mine.pth")
    options = MultiKDOptions.parse({"teacher": str(tmp_path / "mine.pth"), "teacher_kind": "imagenet"})
    assert list(options.labels()) == ["teacher"]
    assert options.labels()["teacher"].startswith("imagenet@")


def test_memory_for_features_is_no_part_of_the_identity() -> None:
    assert MultiKDOptions(feature_cache_mib=1).identity() == MultiKDOptions().identity()
    assert MultiKDOptions(feature_cache_mib=1).labels() == {}
    assert MultiKDOptions(value_weight=0.5).identity() != MultiKDOptions().identity()


def test_a_run_keeps_which_teacher_it_was(make_context: MakeContext) -> None:
    one, two = detector(make_context()), detector(make_context(generator=torch.Generator().manual_seed(2)))
    facts = one.provenance()["teacher"]
    assert isinstance(facts, dict)
    assert facts["kind"] == "random"
    assert facts != two.provenance()["teacher"]
