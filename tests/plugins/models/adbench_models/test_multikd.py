from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from adbench_harness.api import BuildContext, OptionError
from adbench_models import vgg16
from adbench_models.multikd import EPOCHS, MultiKD, MultiKDOptions

MakeContext = Callable[..., BuildContext]


def detector(context: BuildContext, **options: Any) -> MultiKD:
    return MultiKD(MultiKDOptions(**{"teacher": "random", **options}), context)


def pictures(count: int = 4, size: int = 32, channels: int = 3) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(("cloner", "learnt"), [("small", 343_984), ("equal", 14_715_968)])
def test_it_has_as_many_values_as_the_public_code(make_context: MakeContext, cloner: str, learnt: int) -> None:
    made = detector(make_context(), cloner=cloner)
    assert made.parameters() == learnt
    assert sum(parameter.numel() for parameter in made.teacher.parameters()) == 14_714_688


def fill(made: MultiKD, tensors: list[dict[str, Any]], seed: int) -> None:
    """The weights and running statistics that the vectors were made with."""
    parameters = [*made.teacher.parameters(), *made.cloner.parameters()]
    assert [list(parameter.shape) for parameter in parameters] == [row["shape"] for row in tensors]
    with torch.no_grad():
        for parameter, row in zip(parameters, tensors, strict=True):
            noise = np.random.default_rng(seed + row["k"]).standard_normal(row["shape"])
            parameter.copy_(torch.from_numpy(row["offset"] + row["std"] * noise))
    for module in made.cloner.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            channel = torch.arange(1, module.num_features + 1, dtype=torch.float64)
            module.running_mean = 0.1 * torch.cos(channel)
            module.running_var = 1 + 0.5 * torch.sin(channel)
    made.cloner.to(next(made.teacher.parameters()).dtype)


def batch(seed: int) -> Tensor:
    u = np.random.default_rng(seed + 1000).random((4, 3, 128, 128))
    phi = np.random.default_rng(seed + 1001).random(4)[:, None, None, None] * 2 * np.pi
    b, c, i, j = np.ogrid[:4, :3, :128, :128]
    wave = np.sin(2 * np.pi * (b + 1) * (i + 0.5) / 128 + c * np.pi / 3 + phi) * np.cos(2 * np.pi * (b + 2) * (j + 0.5) / 128)
    return torch.from_numpy(np.clip(0.5 + 0.3 * wave + 0.2 * (u - 0.5), 0, 1))


@pytest.mark.parametrize("cloner", ["small", "equal"])
@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-6), ("float32", 1e-4)])
def test_it_computes_what_the_public_code_computes(
    make_context: MakeContext, parity_folder: Path, cloner: str, precision: str, tolerance: float
) -> None:
    vectors = json.loads((parity_folder / "multikd.json").read_text())
    expected, dtype = vectors[cloner][precision], getattr(torch, precision)
    images = batch(vectors["seed"]).to(dtype)
    variants: dict[str, dict[str, Any]] = {
        "lambda_0.01": {},
        "lambda_0.5": {"value_weight": 0.5},
        "direction_only": {"direction_only": True},
    }
    for name, options in variants.items():
        made = detector(make_context(dtype=dtype, image_size=128), cloner=cloner, **options)
        fill(made, vectors[cloner]["fill"]["tensors"], vectors["seed"])
        with torch.no_grad():
            np.testing.assert_allclose(made.score(images), expected["scores_eval_filled_weights"][name]["score"], rtol=tolerance)
        made.cloner.train()
        first = made.losses(made.teacher(images), made.cloner(images))["loss"]
        total = f"total_{name}" if name.startswith("lambda") else name
        assert float(first.detach()) == pytest.approx(expected["train_losses_step0"][total], rel=tolerance)


@pytest.mark.parametrize("cloner", ["small", "equal"])
def test_it_trains_as_the_public_code_trains(make_context: MakeContext, parity_folder: Path, cloner: str) -> None:
    vectors = json.loads((parity_folder / "multikd.json").read_text())
    expected = vectors[cloner]["float64"]
    images = batch(vectors["seed"])
    made = detector(make_context(dtype=torch.float64, image_size=128), cloner=cloner)
    fill(made, vectors[cloner]["fill"]["tensors"], vectors["seed"])
    phase = next(made.phases(Fixed(images), Context()))
    made.cloner.train()
    losses, scores = [], []
    for _ in range(4):
        losses.append(float(phase.step(whole_batch(images))["loss"]))
        made.cloner.eval()
        with torch.no_grad():
            scores.append(made.score(images).numpy())
        made.cloner.train()
    np.testing.assert_allclose(losses, expected["training_total_loss_4_iterations_lambda_0.01"], rtol=1e-6)
    np.testing.assert_allclose(scores[2], expected["scores_eval_after_3_iterations"]["lambda_0.01"]["score"], rtol=1e-6)


class Fixed:
    """Images that are all there."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: Tensor) -> Tensor:
        return self.images[indices]


class Context:
    """What the loop lends."""

    batch_size = 2
    generator = torch.Generator()

    def log(self, name: str, value: float, step: int = 0) -> None: ...

    def progress(self, done: int, total: int, what: str = "fit") -> None: ...


def whole_batch(images: Tensor) -> Any:
    from adbench_harness.api import Step

    return Step(images, torch.arange(len(images)), 0, 0, torch.Generator())


def test_looked_up_features_are_those_of_the_teacher_and_memory_is_bounded(make_context: MakeContext) -> None:
    images = pictures(5)
    losses = []
    for limit in (2048, 0):
        made = detector(make_context(dtype=torch.float64), feature_cache_mib=limit)
        phase = next(made.phases(Fixed(images.double()), Context()))
        made.cloner.train()
        losses.append([float(phase.step(whole_batch(images.double()))["loss"]) for _ in range(3)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-9)


def test_the_teacher_gets_no_gradient_and_does_not_change(make_context: MakeContext) -> None:
    made = detector(make_context(), feature_cache_mib=0)
    before = vgg16.values_sha256(made.teacher.state_dict())
    phase = next(made.phases(Fixed(pictures()), Context()))
    phase.step(whole_batch(pictures()))
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


def test_a_trained_cloner_scores_alike_in_another_process(make_context: MakeContext) -> None:
    made = detector(make_context())
    phase = next(made.phases(Fixed(pictures()), Context()))
    made.cloner.train()
    phase.step(whole_batch(pictures()))
    made.cloner.eval()
    other = detector(make_context())
    other.load(made.state())
    with torch.no_grad():
        assert torch.equal(other.score(pictures()), made.score(pictures()))


def test_the_fourth_layer_is_an_option(make_context: MakeContext) -> None:
    three, four = (detector(make_context(), score_layers=layers) for layers in (3, 4))
    with torch.no_grad():
        assert (four.score(pictures()) > three.score(pictures())).all()


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
