"""Overfitted functions to latents, then to pixels by the autoencoder."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from unicorn_codec.decoders.code_decoder import CodeSource, read_tiles, to_gray
from unicorn_codec.format.alpha_plane import Plane, parse_alpha
from unicorn_codec.format.code_kinds import colour_code, is_gray, step_of_noise, unmark_overfitted
from unicorn_codec.format.picture_tiles import is_tiled
from unicorn_codec.overfitted.function_code import DecodedFunction, decode_function
from unicorn_codec.overfitted.function_shape import FunctionShape, Integers
from unicorn_codec.overfitted.synthesis import latents_of
from unicorn_codec.pictures.transparency import with_alpha
from unicorn_codec.transform.autoencoder import Autoencoder


@dataclass(frozen=True, slots=True)
class _Picture:
    """A decoded function, the step for the autoencoder's decoder, whether the picture is gray, and its opacity."""

    function: DecodedFunction
    step: float
    gray: bool
    plane: Plane | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OverfittedDecoder:
    """Decodes codes that are overfitted functions.

    Args:
        codes: read one by one.
        scale: factor of the latents that the functions give.
        shape: of the functions.
        base: parameters that theirs differ from.
    """

    codes: CodeSource
    scale: float
    shape: FunctionShape
    base: Integers
    autoencoder: Autoencoder

    def read(
        self, indices: Sequence[int], width: int, height: int, *, steps: int | None = None
    ) -> Callable[[], Iterator[np.ndarray]]:
        """Decode the functions of pictures of one size; return a function that makes the pixels. See
        ``PictureDecoder``.

        Raises:
            FormatError: a code is damaged.
        """
        if is_tiled(width, height):
            whole = [
                read_tiles(self.codes, index, width, height, lambda tiles: replace(self, codes=tiles))
                for index in indices
            ]
            return lambda: iter(whole)
        cell = self.autoencoder.reference.downsampling
        rows, columns = -(-height // cell), -(-width // cell)
        found = [self._picture(index, width, height, (rows, columns)) for index in indices]

        def pictures() -> Iterator[np.ndarray]:
            for picture in found:
                function = picture.function
                latents = latents_of(
                    self.shape, function.parameters, function.values, (rows, columns), self.autoencoder.device
                )
                (pixels,) = self.autoencoder.decode_pictures(latents * self.scale, height, width, picture.step)
                yield with_alpha(to_gray(pixels) if picture.gray else pixels, picture.plane)

        return pictures

    def _picture(self, index: int, width: int, height: int, size: tuple[int, int]) -> _Picture:
        code, alpha = self.codes.code(index), self.codes.alpha(index)
        function, noise = unmark_overfitted(colour_code(code))
        return _Picture(
            decode_function(self.shape, self.base, size, function),
            step_of_noise(noise),
            is_gray(code),
            None if alpha is None else parse_alpha(alpha, width, height),
        )
