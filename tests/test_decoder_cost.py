"""The light decoder stays light: the arithmetic of a decoded pixel."""

import torch
from torch import Tensor, nn

from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.coding_autoencoder import BottleneckBlock, ResidualBlock

MULTIPLY_ADDS = 10_000


def multiply_adds_a_pixel(decoder: nn.Module, latents: Tensor) -> float:
    """Multiply-adds of all convolutions for each pixel that a decoder gives."""
    counted = []

    def count(layer: nn.Conv2d, _: tuple[Tensor], output: Tensor) -> None:
        counted.append(output[:, 0].numel() * layer.weight.numel())

    hooks = [layer.register_forward_hook(count) for layer in decoder.modules() if isinstance(layer, nn.Conv2d)]
    with torch.inference_mode():
        pictures = decoder(latents)
    for hook in hooks:
        hook.remove()
    return sum(counted) / pictures[:, 0].numel()


def test_the_light_decoder_takes_at_most_ten_thousand_multiply_adds_a_pixel() -> None:
    network = PackagedAutoencoder(torch.device("cpu"), name="light-1").network
    found = multiply_adds_a_pixel(network.decoder, torch.zeros(1, network.latent_channels + 1, 5, 3))
    assert 2_000 < found <= MULTIPLY_ADDS


def test_multiply_adds_are_counted_on_the_grid_of_their_layer() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.PixelShuffle(2), nn.Conv2d(2, 5, 1))
    assert multiply_adds_a_pixel(layers, torch.zeros(1, 3, 4, 4)) == 8 * 27 / 4 + 10


def test_a_bottleneck_block_starts_as_the_identity_and_takes_under_a_third_of_a_residual_block() -> None:
    features = torch.randn(1, 8, 4, 4)
    assert torch.equal(BottleneckBlock(8)(features), features)
    light, heavy = (multiply_adds_a_pixel(block, features) for block in (BottleneckBlock(8), ResidualBlock(8)))
    assert light < heavy / 3
