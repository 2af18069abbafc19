"""The network of `ddpm`, by itself: a small U-Net that is told how noisy its input is. No plugin.

Ronneberger, Fischer, Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation. MICCAI 2015; residual blocks, embedded
noise level and attention as Ho, Jain, Abbeel: Denoising Diffusion Probabilistic Models. NeurIPS 2020. It works on squares of 2 x 2
pixels, which costs a quarter of the time. All is normalised within one image: batch mates have a part in nothing.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every reader of PyTorch code expects

PATCH: Final = 2
STRIDE: Final = 8
"""Squares of 2 x 2 pixels, halved twice."""
GROUPS: Final = 8
LONGEST: Final = 10_000.0
"""Period of the slowest wave of a noise level's embedding, over 2 pi."""


class UNet(nn.Module):
    """Images (B, C, S, S) and noise levels (B,) to values of the images' shape; S divisible by 8.

    Three resolutions, S / 2, S / 4 and S / 8, of ``width`` channels and two and four times as many.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.width = width
        wide = 4 * width
        self.level = nn.Sequential(nn.Linear(width, wide), nn.SiLU(), nn.Linear(wide, wide), nn.SiLU())
        self.enter = nn.Conv2d(channels * PATCH**2, width, 3, padding=1)
        self.down = nn.ModuleList([Block(width, width, wide), Block(width, 2 * width, wide), Block(2 * width, wide, wide)])
        self.shrink = nn.ModuleList([nn.Conv2d(n, n, 3, stride=2, padding=1) for n in (width, 2 * width)])
        self.middle = nn.ModuleList([Attention(wide), Block(wide, wide, wide)])
        self.enlarge = nn.ModuleList([nn.Conv2d(wide, 2 * width, 3, padding=1), nn.Conv2d(2 * width, width, 3, padding=1)])
        self.up = nn.ModuleList([Block(4 * width, 2 * width, wide), Block(2 * width, width, wide)])
        self.leave = nn.Sequential(
            nn.GroupNorm(GROUPS, width), nn.SiLU(), _silent(nn.Conv2d(width, channels * PATCH**2, 3, padding=1))
        )

    def forward(self, images: Tensor, levels: Tensor) -> Tensor:
        """What it takes for v, from which `DDPM.noise_in` has the noise; of the images' shape, unbounded."""
        level = self.level(embedded(levels, self.width).to(images))
        x = self.down[0](self.enter(F.pixel_unshuffle(images, PATCH)), level)
        kept = [x]
        for shrink, block in zip(self.shrink, self.down[1:], strict=True):
            x = block(shrink(x), level)
            kept.append(x)
        kept.pop()
        attention, block = self.middle
        x = block(attention(x), level)
        for enlarge, block in zip(self.enlarge, self.up, strict=True):
            x = enlarge(F.interpolate(x, scale_factor=2, mode="nearest"))
            x = block(torch.cat([x, kept.pop()], dim=1), level)
        noise: Tensor = F.pixel_shuffle(self.leave(x), PATCH)
        return noise


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut; the embedded noise level scales and shifts what is between them."""

    def __init__(self, before: int, after: int, level: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(GROUPS, before), nn.SiLU(), nn.Conv2d(before, after, 3, padding=1))
        self.level = nn.Linear(level, 2 * after)
        self.norm = nn.GroupNorm(GROUPS, after)
        self.second = nn.Sequential(nn.SiLU(), _silent(nn.Conv2d(after, after, 3, padding=1)))
        self.shortcut = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """(B, before, h, w) and (B, level) to (B, after, h, w)."""
        scale, shift = self.level(level)[:, :, None, None].chunk(2, dim=1)
        inner = self.second(self.norm(self.first(x)) * (1 + scale) + shift)
        out: Tensor = self.shortcut(x) + inner
        return out


class Attention(nn.Module):
    """Each place asks all places of its image; one head, beside a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.ask = nn.Conv2d(channels, 3 * channels, 1)
        self.answer = _silent(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        query, key, value = self.ask(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, dim=2)
        heard = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = x + self.answer(heard.transpose(1, 2).reshape(x.shape))
        return out


def embedded(levels: Tensor, width: int) -> Tensor:
    """Sines and cosines of noise levels (B,), shape (B, width): periods from 2 pi to 2 pi x 10,000, in geometric steps."""
    half = width // 2
    speeds = torch.exp(-math.log(LONGEST) / half * torch.arange(half, device=levels.device))
    angles = levels[:, None] * speeds
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _silent(layer: nn.Conv2d) -> nn.Conv2d:
    """At first it gives 0, so that each block begins as its shortcut."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
