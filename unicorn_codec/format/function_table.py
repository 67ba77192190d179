"""Payload of a chunk of weights of overfitted functions: their shape, and the archive's common function."""

from dataclasses import dataclass

from unicorn_codec.format.fields import Fields, check, refusing
from unicorn_codec.format.limits import MAX_FUNCTION_LEVELS, MAX_PLANES

FUNCTIONS = 2
"""Kind of these weights."""

KERNEL_SIZE = 8
"""Taps of the kernels that double a side."""

CONTEXT_WIDTH = 8
"""Hidden values of the context model."""

NEIGHBOURS = ((0, -1), (0, -2), (-1, -1), (-1, 0), (-1, 1), (-2, -1), (-2, 0), (-2, 1))
"""Rows and columns from a value to the neighbours that it is predicted from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSettings:
    """Settings of an archive's overfitted functions.

    Args:
        planes: number of planes of each level; level k has 2^-k of the latents' rows and columns, rounded up.
        width: hidden width of the synthesis.
        group: channels that a value of the last two layers depends on; they divide the latents' channels.
    """

    planes: tuple[int, ...]
    width: int
    group: int

    def __post_init__(self) -> None:
        levels, total = len(self.planes), sum(self.planes)
        check(1 <= levels <= MAX_FUNCTION_LEVELS, f"functions have 1 to {MAX_FUNCTION_LEVELS} levels, not {levels}")
        check(min(self.planes) >= 1, "a level of a function without planes")
        check(total <= MAX_PLANES, f"functions have 1 to {MAX_PLANES} planes, not {total}")
        check(1 <= self.width <= 255, f"a hidden width is 1 to 255, not {self.width}")
        check(1 <= self.group <= 255, f"a group has 1 to 255 channels, not {self.group}")


@dataclass(frozen=True, slots=True)
class StoredFunctions:
    """Settings of an archive's functions, and the parameters of its common one.

    Args:
        common: see ``overfitted.function_code``; empty without a common function.
    """

    settings: FunctionSettings
    common: bytes = b""


def serialize_functions(stored: StoredFunctions) -> bytes:
    """Write the payload of the weights of overfitted functions."""
    settings = stored.settings
    head = bytes([FUNCTIONS, len(settings.planes), *settings.planes, settings.width, settings.group])
    return head + stored.common


def parse_functions(payload: bytes, channels: int) -> StoredFunctions:
    """Read the payload of the weights of overfitted functions.

    Args:
        channels: of the latents.

    Raises:
        InvalidField: it is of another kind, or its settings are beyond their limits.
    """
    fields = Fields(payload)
    with refusing("functions"):
        kind, levels = fields.numbers("BB")
        check(kind == FUNCTIONS, f"weights of kind {kind}, those of functions are of kind {FUNCTIONS}")
        check(1 <= levels <= MAX_FUNCTION_LEVELS, f"functions have 1 to {MAX_FUNCTION_LEVELS} levels, not {levels}")
        planes = tuple(fields.take(levels))
        width, group = fields.numbers("BB")
        settings = FunctionSettings(planes=planes, width=width, group=group)
        check(channels % group == 0, f"groups of {group} do not divide {channels} channels")
        return StoredFunctions(settings, fields.rest())
