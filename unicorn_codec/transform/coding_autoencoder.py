"""The packaged autoencoder's network: a variable-rate transform codec for pictures.

Plain residual convolutions between pixel (un)shuffles. There is no normalisation layer: a codec
needs the amplitude of its features (Balle et al., 2016), and ``diffusers.AutoencoderDC``, the
nearest relative, normalises every residual branch and the output.

A light decoder does most of its work on the coarse grids, where a wide layer costs little, in bottleneck blocks, and
its last convolution gives all pixels of a cell of its finest grid at once (Yang and Mandt, 2023,
"Computationally-efficient neural image compression with shallow decoders").

The decoder is told the quantisation step of the latents that it gets, as one constant extra
plane, so that one network serves every rate.
"""

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PixelUnshuffle(nn.PixelUnshuffle):
    """The inverse of ``PixelShuffle``."""

    def forward(self, planes: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C r^2, H / r, W / r), r the factor."""
        if planes.device.type == "cpu":
            return super().forward(planes)
        return unshuffled(planes, self.downscale_factor)


class PixelShuffle(nn.PixelShuffle):
    """Of channels that come last, on a GPU too: torch's own puts them first there, and the next layer puts them back.

    That took a quarter of the encoder's and of the decoder's time. On a processor torch's own is faster.
    """

    def forward(self, planes: Tensor) -> Tensor:
        """(N, C r^2, H, W) -> (N, C, H r, W r), r the factor."""
        if planes.device.type == "cpu":
            return super().forward(planes)
        return shuffled(planes, self.upscale_factor)


def unshuffled(planes: Tensor, factor: int) -> Tensor:
    """``nn.PixelUnshuffle``, channels last."""
    cells = planes.movedim(1, 3).unflatten(2, (-1, factor)).unflatten(1, (-1, factor))
    return cells.permute(0, 1, 3, 5, 2, 4).flatten(3).movedim(3, 1)


def shuffled(planes: Tensor, factor: int) -> Tensor:
    """``nn.PixelShuffle``, channels last."""
    cells = planes.movedim(1, 3).unflatten(3, (-1, factor, factor))
    return cells.permute(0, 1, 4, 2, 5, 3).flatten(1, 2).flatten(2, 3).movedim(3, 1)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions added to their input; starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_out = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        return features + self.conv_out(F.silu(self.conv_in(features)))


class BottleneckBlock(nn.Module):
    """A 3x3 convolution to half the channels and a 1x1 convolution back, added to their input; starts as the identity.

    Three of them take less arithmetic than one ``ResidualBlock`` of the same width.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(channels, channels // 2, 3, padding=1)
        self.conv_out = nn.Conv2d(channels // 2, channels, 1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        return features + self.conv_out(F.silu(self.conv_in(features)))


RESIDUAL, BOTTLENECK = "residual", "bottleneck"
BLOCKS = {RESIDUAL: ResidualBlock, BOTTLENECK: BottleneckBlock}
"""Blocks that a decoder can be made of."""


def _encoder_layers(widths: Sequence[int], depths: Sequence[int], latent_channels: int) -> Iterator[nn.Module]:
    channels = 3
    for width, depth in zip(widths, depths, strict=True):
        yield PixelUnshuffle(2)
        # The first convolution sees raw pixels and wants a neighbourhood, later ones follow blocks that had one.
        kernel = 3 if channels == 3 else 1
        yield nn.Conv2d(channels * 4, width, kernel, padding=kernel // 2)
        yield from (ResidualBlock(width) for _ in range(depth))
        channels = width
    yield nn.Conv2d(channels, latent_channels, 3, padding=1)


def _decoder_layers(
    widths: Sequence[int], depths: Sequence[int], blocks: str, latent_channels: int, downsampling: int
) -> Iterator[nn.Module]:
    block = BLOCKS[blocks]
    # One plane more than the latents have: it tells the step.
    yield nn.Conv2d(latent_channels + 1, widths[0], 3, padding=1)
    for width, depth, next_width in zip(widths[:-1], depths[:-1], widths[1:], strict=True):
        yield from (block(width) for _ in range(depth))
        yield nn.Conv2d(width, next_width * 4, 1)
        yield PixelShuffle(2)
        downsampling //= 2
    yield from (block(widths[-1]) for _ in range(depths[-1]))
    yield nn.Conv2d(widths[-1], 3 * downsampling**2, 3, padding=1)
    yield PixelShuffle(downsampling)


class CodingAutoencoder(nn.Module):
    """Pixels <-> latents at 1/16 of the width and height.

    Latent channels are ordered by importance: training hides all but the leading ones now and then.

    Args:
        latent_channels: number of latent channels.
        encoder_widths: feature channels at 1/2, 1/4, 1/8 and 1/16 of the resolution.
        encoder_depths: residual blocks at each of these resolutions.
        decoder_widths: feature channels at 1/16 of the resolution, 1/8 and so on. Pixels follow from the last of them.
        decoder_depths: blocks at each of these resolutions.
        decoder_blocks: ``RESIDUAL`` or ``BOTTLENECK``.
        max_step: the coarsest quantisation step that the network was trained with; the finest is 1.
    """

    def __init__(
        self,
        *,
        latent_channels: int,
        encoder_widths: Sequence[int],
        encoder_depths: Sequence[int],
        decoder_widths: Sequence[int],
        decoder_depths: Sequence[int],
        decoder_blocks: str,
        max_step: float,
    ) -> None:
        super().__init__()
        self.max_step = max_step
        self.downsampling = 2 ** len(encoder_widths)
        self.latent_channels = latent_channels
        self.encoder = nn.Sequential(*_encoder_layers(encoder_widths, encoder_depths, latent_channels))
        self.decoder = nn.Sequential(
            *_decoder_layers(decoder_widths, decoder_depths, decoder_blocks, latent_channels, self.downsampling)
        )

    def encode(self, pictures: Tensor) -> Tensor:
        """Latents of pictures.

        Args:
            pictures: (N, 3, H, W) in [-1, 1]; H and W multiples of ``downsampling``.

        Returns:
            (N, latent_channels, H / 16, W / 16), in units of the finest quantisation step.
        """
        return self.encoder(pictures)

    def decode(self, latents: Tensor, steps: Tensor) -> Tensor:
        """Pictures of latents.

        Args:
            latents: (N, latent_channels, h, w); channels left out by the coder are zero.
            steps: (N,) quantisation step of each picture's latents, or (N, h, w) of each cell's, 1 to ``max_step``.

        Returns:
            (N, 3, 16 h, 16 w), about [-1, 1], not clamped.
        """
        return self.decoder(self.with_step(latents, steps))

    def with_step(self, latents: Tensor, steps: Tensor) -> Tensor:
        """What the decoder's layers get: the latents, and a plane that tells how coarse they are."""
        coarseness = torch.log(steps) / math.log(self.max_step)
        cells = coarseness[:, None, None] if coarseness.dim() == 1 else coarseness
        plane = cells.to(latents.dtype)[:, None].expand(-1, 1, *latents.shape[2:])
        return torch.cat([latents, plane], dim=1)
