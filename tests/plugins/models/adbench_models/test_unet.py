from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from adbench_models.unet import Attention, Block, UNet, embedded


def filled(network: nn.Module) -> nn.Module:
    """With every value drawn anew, so that no layer is silent."""
    draw = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(torch.randn(value.shape, generator=draw) / math.sqrt(max(value[0].numel(), 1)))
    return network


def pictures(count: int, channels: int = 3, size: int = 32) -> Tensor:
    return torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(("channels", "size"), [(1, 32), (3, 40), (3, 256)])
def test_it_gives_noise_of_the_images_shape_and_at_first_none(channels: int, size: int) -> None:
    network = UNet(channels, 8)
    with torch.no_grad():
        noise = network(pictures(2, channels, size), torch.tensor([1, 250]))
        assert torch.equal(noise, torch.zeros(2, channels, size, size))
        assert filled(network)(pictures(1, channels, size), torch.tensor([7])).abs().max() > 0.1


def test_every_value_has_a_part_in_the_noise() -> None:
    network = filled(UNet(3, 8))
    network(pictures(2), torch.tensor([1, 250])).square().sum().backward()
    for name, value in network.named_parameters():
        assert value.grad is not None, name
        assert value.grad.abs().max() > 0, name


def test_a_batch_mate_has_no_part_in_an_images_noise() -> None:
    network, images, levels = filled(UNet(3, 8)), pictures(4), torch.tensor([3, 70, 250, 9])
    with torch.no_grad():
        together = network(images, levels)
        alone = network(images[2:3], levels[2:3])
    torch.testing.assert_close(together[2:3], alone, rtol=1e-5, atol=1e-5)


def test_the_noise_depends_on_the_level() -> None:
    network, image = filled(UNet(1, 8)), pictures(1, 1)
    with torch.no_grad():
        assert not torch.allclose(network(image, torch.tensor([1])), network(image, torch.tensor([250])), atol=1e-3)


def test_levels_are_told_apart_by_waves_of_many_lengths() -> None:
    told = embedded(torch.arange(1001), 32)
    assert told.shape == (1001, 32)
    torch.testing.assert_close(told[5, 0], torch.tensor(math.sin(5)))
    torch.testing.assert_close(told[5, 15], torch.tensor(math.sin(5 * 10_000 ** (-15 / 16))))
    torch.testing.assert_close(told[5, 16], torch.tensor(math.cos(5)))
    assert torch.cdist(told, told).fill_diagonal_(1).min() > 0.05


def test_blocks_and_attention_begin_as_their_shortcuts() -> None:
    x = pictures(2, 16, 8)
    assert torch.equal(Block(16, 16, 4)(x, torch.ones(2, 4)), x)
    assert torch.equal(Attention(16)(x), x)


def test_attention_is_softmax_of_scaled_products() -> None:
    layer = filled(Attention(16))
    assert isinstance(layer, Attention)
    x = pictures(2, 16, 4)
    parts = layer.ask(layer.norm(x)).flatten(2)
    query, key, value = parts[:, :16], parts[:, 16:32], parts[:, 32:]
    weights = (torch.einsum("bcq,bck->bqk", query, key) / 4).softmax(dim=2)
    heard = torch.einsum("bqk,bck->bcq", weights, value).reshape(2, 16, 4, 4)
    torch.testing.assert_close(layer(x), x + layer.answer(heard), rtol=1e-5, atol=1e-5)
