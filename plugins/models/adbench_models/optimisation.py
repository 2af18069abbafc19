"""Gradient descent that computes what it needs and no more."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer


def gan_adam(network: nn.Module, learning_rate: float) -> Adam:
    """Adam with the betas of both GANs' public codes (and of DCGAN before them): 0.5 and 0.999."""
    return Adam(network.parameters(), lr=learning_rate, betas=(0.5, 0.999))


def descend(loss: Tensor, optimiser: Optimizer) -> None:
    """Step on the optimiser's parameters by the gradient of ``loss`` (0-d).

    No gradient of any other parameter is computed: of two networks in a row, the one that stands still costs only what leads
    through it.
    """
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(loss, inputs=[parameter for group in optimiser.param_groups for parameter in group["params"]])
    optimiser.step()
