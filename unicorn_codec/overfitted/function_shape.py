"""Shape of an overfitted function: its planes of integers, its layers, and the order of their parameters.

Parameters are multiples of 2^-12 that a float32 holds exactly. A code stores how they differ from those of a base: the
archive's common function, or the plain one.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.format.function_table import CONTEXT_WIDTH, KERNEL_SIZE, NEIGHBOURS, FunctionSettings

Integers = NDArray[np.int64]

FRACTION_BITS = 12
"""Parameters are integers times 2^-FRACTION_BITS."""

UNIT = 1 << FRACTION_BITS

KERNELS, SCALES, WEIGHTS, CONTEXT = range(4)
GROUPS = ("kernels", "scales", "weights", "context")
"""Groups of parameters, each with a step and a scale class of its own."""

BICUBIC = (-9, -27, 67, 225, 225, 67, -27, -9)
"""Transposed kernel of cubic convolution (Keys, 1981) with a = -3/4 that doubles a side, in 1/256."""

PLAIN_SCALE_CLASS = 12
"""Scale class of the plain function's context model: a scale of half a step."""

LEVELS = 7
"""Number of grid sizes, each half of the one before."""

WIDTHS = {True: 40, False: 24}
"""Hidden width of the synthesis with at most ``DENSE_CHANNELS`` latent channels, and with more."""

DENSE_CHANNELS = 8
"""Latent channels up to which the last two layers mix channels."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A tensor of parameters: its name, its shape, and the number of its group."""

    name: str
    shape: tuple[int, ...]
    group: int

    @property
    def count(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class FunctionShape:
    """Shape of the functions of an archive.

    Args:
        channels: of the latents, C.
        settings: planes of each level, hidden width, and channels that a value of the last two layers depends on.
    """

    channels: int
    settings: FunctionSettings

    @property
    def planes(self) -> int:
        """Number of planes of all levels together, P."""
        return sum(self.settings.planes)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters in the order of the format."""
        channels, planes, width, near = self.channels, self.planes, self.settings.width, self.settings.group
        return (
            Parameter("kernels", (len(self.settings.planes) - 1, KERNEL_SIZE), KERNELS),
            Parameter("gains", (planes,), SCALES),
            Parameter("hidden_weight", (width, planes), WEIGHTS),
            Parameter("hidden_bias", (width,), SCALES),
            Parameter("latent_weight", (channels, width), WEIGHTS),
            Parameter("latent_bias", (channels,), SCALES),
            Parameter("first_weight", (channels, near, 3, 3), WEIGHTS),
            Parameter("first_bias", (channels,), SCALES),
            Parameter("second_weight", (channels, near, 3, 3), WEIGHTS),
            Parameter("second_bias", (channels,), SCALES),
            Parameter("context_first_weight", (CONTEXT_WIDTH, len(NEIGHBOURS)), CONTEXT),
            Parameter("context_first_bias", (CONTEXT_WIDTH,), CONTEXT),
            Parameter("context_second_weight", (CONTEXT_WIDTH, CONTEXT_WIDTH), CONTEXT),
            Parameter("context_second_bias", (CONTEXT_WIDTH,), CONTEXT),
            Parameter("context_out_weight", (2, CONTEXT_WIDTH), CONTEXT),
            Parameter("context_out_bias", (planes, 2), CONTEXT),
        )

    @cached_property
    def parameter_count(self) -> int:
        """Number of all parameters, K."""
        return sum(parameter.count for parameter in self.parameters)

    @cached_property
    def groups(self) -> Integers:
        """(K,): the group of each parameter."""
        return np.concatenate([np.full(parameter.count, parameter.group) for parameter in self.parameters])

    @cached_property
    def plain(self) -> Integers:
        """(K,): parameters of the plain function, in units of 2^-12.

        It upsamples by cubic convolution, and gives the planes as the first channels; its context model predicts zero.
        """
        values = {parameter.name: np.zeros(parameter.shape, np.int64) for parameter in self.parameters}
        values["kernels"][:] = np.array(BICUBIC) * (UNIT // 256)
        values["gains"][:] = UNIT
        values["context_out_bias"][:, 1] = PLAIN_SCALE_CLASS * UNIT
        return np.concatenate([values[parameter.name].ravel() for parameter in self.parameters])

    def slices(self) -> Iterator[tuple[Parameter, slice]]:
        """Yield each parameter with its place among the K values."""
        start = 0
        for parameter in self.parameters:
            yield parameter, slice(start, start + parameter.count)
            start += parameter.count

    def named(self, values: Integers) -> dict[str, Integers]:
        """Return the tensors of (K,) values by name."""
        return {parameter.name: values[place].reshape(parameter.shape) for parameter, place in self.slices()}

    def context_multiplications(self) -> int:
        """Return the multiplications of the context model for one value of a plane."""
        return CONTEXT_WIDTH * (len(NEIGHBOURS) + CONTEXT_WIDTH + 2)


def shape_for(channels: int) -> FunctionShape:
    """Return the shape of the functions for latents of some channels.

    Level k has a plane for each 4^(k + 1) channels: four channels have one plane a level, as in CLRIC.
    """
    planes = tuple(max(1, -(-channels // 4 ** (level + 1))) for level in range(LEVELS))
    is_dense = channels <= DENSE_CHANNELS
    settings = FunctionSettings(planes=planes, width=WIDTHS[is_dense], group=channels if is_dense else 1)
    return FunctionShape(channels, settings)
