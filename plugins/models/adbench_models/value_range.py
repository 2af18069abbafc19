"""The value range in which a GAN works: its generator ends in tanh, so images in [0, 1] are stretched to [-1, 1]."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

ValueRange = Literal["symmetric", "unit"]
"""symmetric: [-1, 1], as the public codes' loaders give it. unit: [0, 1], as the study's text says."""


def enter(images: Tensor, value_range: ValueRange) -> Tensor:
    """Images in [0, 1] to the network's range; same shape."""
    return images * 2 - 1 if value_range == "symmetric" else images


def leave(images: Tensor, value_range: ValueRange) -> Tensor:
    """What a network made, back to [0, 1]; same shape. In the unit range tanh's negative half is cut off."""
    return (images + 1) / 2 if value_range == "symmetric" else images.clamp(0, 1)
