"""Multi-KD, with either cloner, against numbers of the public implementation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from adbench_harness.api import BuildContext
from adbench_models.multikd import MultiKD, MultiKDOptions, direction, value

pytestmark = pytest.mark.parity

MakeContext = Callable[..., BuildContext]

POOLS = ("pool2", "pool3", "pool4", "pool5")
VARIANTS: dict[str, dict[str, Any]] = {
    "lambda_0.01": {},
    "lambda_0.5": {"value_weight": 0.5},
    "direction_only": {"direction_only": True},
}


@pytest.fixture(params=["small", "equal"])
def cloner(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def filled(vectors: Any, make_context: MakeContext, cloner: str, precision: str, **options: Any) -> MultiKD:
    context = make_context(dtype=getattr(torch, precision), image_size=vectors.size)
    made = MultiKD(MultiKDOptions.model_validate({"teacher": "random", "cloner": cloner, **options}), context)
    vectors.fill([made.teacher, made.cloner], vectors[cloner]["fill"]["tensors"])
    return made


def images(vectors: Any, precision: str) -> Tensor:
    x: Tensor = vectors.unit().to(getattr(torch, precision))
    return x


def test_counts(vectors: Any, make_context: MakeContext, cloner: str) -> None:
    rows = vectors[cloner]["fill"]["tensors"]
    made = MultiKD(MultiKDOptions.model_validate({"teacher": "random", "cloner": cloner}), make_context(image_size=vectors.size))
    for name, network in (("teacher", made.teacher), ("cloner", made.cloner)):
        expected = sum(int(np.prod(row["shape"])) for row in rows if row["subnet"] == name)
        assert expected > 0
        assert sum(parameter.numel() for parameter in network.parameters()) == expected


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_forward(vectors: Any, make_context: MakeContext, check: Any, cloner: str, precision: str, mode: str) -> None:
    expected = vectors[cloner][precision]
    made, x = filled(vectors, make_context, cloner, precision), images(vectors, precision)
    made.cloner.train(mode == "train")
    with torch.no_grad():
        taught, learnt = made.teacher(x), made.cloner(x)
    for pool, t, c in zip(POOLS, taught, learnt, strict=True):
        check.summary(t, expected["teacher_forward"][pool])
        check.summary(c, expected[f"cloner_forward_{mode}"][pool])
        terms = expected[f"per_critical_layer_{mode}"][pool]
        check.values(direction(t, c), terms["direction_per_image"])
        check.values(value(t, c), terms["mse_per_image"])
    if mode == "train":
        check.norms(made.cloner, expected["cloner_bn_after_one_train_forward"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_first_loss_and_scores(
    vectors: Any, make_context: MakeContext, check: Any, cloner: str, precision: str, variant: str
) -> None:
    expected = vectors[cloner][precision]
    made, x = filled(vectors, make_context, cloner, precision, **VARIANTS[variant]), images(vectors, precision)
    with torch.no_grad():
        check.values(made.score(x), expected["scores_eval_filled_weights"][variant]["score"])
        made.cloner.train()
        loss = made.losses(made.teacher(x), made.cloner(x))["loss"]
    total = f"total_{variant}" if variant.startswith("lambda") else variant
    check.values(loss, expected["train_losses_step0"][total])


def test_training(vectors: Any, make_context: MakeContext, check: Any, cloner: str, phases: Any, make_step: Any) -> None:
    expected = vectors[cloner]["float64"]
    made, x = filled(vectors, make_context, cloner, "float64"), images(vectors, "float64")
    phase = next(phases(made, x))
    losses = []
    for iteration in range(4):
        made.cloner.train()
        losses.append(phase.step(make_step(x))["loss"])
        made.cloner.eval()
        if iteration == 2:
            for variant, options in VARIANTS.items():
                check.values(scores(made, x, options), expected["scores_eval_after_3_iterations"][variant]["score"])
    check.values(losses, expected["training_total_loss_4_iterations_lambda_0.01"])
    check.length(made.cloner, expected["cloner_param_l2_after_4"])
    check.norms(made.cloner, expected["cloner_bn_after_4"])


def scores(made: MultiKD, x: Tensor, options: dict[str, Any]) -> Tensor:
    """Scores of the trained networks under another weight of the value term."""
    chosen = MultiKDOptions.model_validate(options)
    weight, made.weight = made.weight, 0.0 if chosen.direction_only else chosen.value_weight
    with torch.no_grad():
        found = made.score(x)
    made.weight = weight
    return found
