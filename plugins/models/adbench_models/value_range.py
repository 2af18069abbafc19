"""The value range in which a GAN works, and the way back: its generator ends in tanh, so [0, 1] is stretched to [-1, 1]."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

ValueRange = Literal["symmetric", "unit"]
"""symmetric: [-1, 1], as the public codes' loaders give it. unit: [0, 1], as the study's text says."""


def enter(images: Tensor, value_range: ValueRange) -> Tensor:
    """Images in [0, 1] to the network's range; same shape."""
    return images * 2 - 1 if value_range == "symmetric" else images


def residual(images: Tensor, rebuilt: Tensor) -> Tensor:
    """Absolute difference of images and what was made of them, mean over channels: (B, C, H, W) twice to (B, H, W)."""
    return (images - rebuilt).abs().mean(dim=1)


def leave(images: Tensor, value_range: ValueRange) -> Tensor:
    """What a network made, back to [0, 1]; same shape. In the unit range tanh's negative half is cut off."""
    return (images + 1) / 2 if value_range == "symmetric" else images.clamp(0, 1)
