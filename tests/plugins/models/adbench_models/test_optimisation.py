from __future__ import annotations

import torch
from torch import nn

from adbench_models.optimisation import descend


def test_only_the_optimiser_s_parameters_get_a_gradient_and_move() -> None:
    first, second = nn.Linear(3, 3), nn.Linear(3, 1)
    still = second.weight.detach().clone()
    moved = first.weight.detach().clone()
    descend(second(first(torch.ones(2, 3))).square().mean(), torch.optim.SGD(first.parameters(), lr=0.1))
    assert first.weight.grad is not None
    assert second.weight.grad is None
    assert second.bias.grad is None
    assert torch.equal(second.weight, still)
    assert not torch.equal(first.weight, moved)


def test_gradients_do_not_add_up_from_step_to_step() -> None:
    layer = nn.Linear(2, 1, bias=False)
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.0)
    for _ in range(2):
        descend(layer(torch.ones(1, 2)).sum(), optimiser)
    assert layer.weight.grad is not None
    assert layer.weight.grad.tolist() == [[1.0, 1.0]]
