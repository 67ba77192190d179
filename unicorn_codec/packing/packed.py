"""Result of packing, before it is written: all pictures of a folder by position, as codes or in a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.format.code_kinds import HALF_LEVELS
from unicorn_codec.format.fields import check
from unicorn_codec.format.header import MAX_CODED_CHANNELS, MAX_LEVEL, Header
from unicorn_codec.format.picture_tiles import split_codes
from unicorn_codec.format.read_settings import ReadSettings
from unicorn_codec.spool import Spool


@dataclass(frozen=True, slots=True)
class Coding:
    """How codes of latents are decoded, besides the model.

    Args:
        latent_step: quantisation step.
        level: coarseness of that step, see ``model_level``, below ``MAX_LEVEL + HALF_LEVELS``.
        update: payload of the update of the models; None without one.
        short: whether they are short codes, which this software always writes.
    """

    latent_step: float
    level: int
    update: bytes | None = None
    short: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """Entropy-coded latents of all pictures, or the AVIF codes of some.

    Args:
        level: coarseness of the quantisation step, see ``model_level``, below ``MAX_LEVEL + HALF_LEVELS``.
        model_sha256: of the context model that they require.
        streams: the code of the picture at each position, never empty; codes of sequences refer to
            positions. Those of a large folder lie in a file. The codes of a picture's tiles are joined.
        short: whether they are short codes, which this software always writes.
        other: the coding of those pictures that are not decoded like the rest, by position.
    """

    level: int
    model_sha256: bytes
    streams: Sequence[bytes]
    short: bool = True
    other: Mapping[int, Coding] = field(default_factory=dict)

    def __post_init__(self) -> None:
        levels = MAX_LEVEL + HALF_LEVELS
        check(0 <= self.level < levels, f"the level is 0 to {levels - 1}, not {self.level}")
        check(len(self.model_sha256) == 32, "a SHA-256 has 32 bytes")

    def code(self, index: int) -> bytes:
        """Return the code of the picture at a position."""
        return self.streams[index]

    def tiles(self, index: int) -> Sequence[bytes]:
        """Return the codes of the tiles of the picture at a position."""
        return split_codes(self.streams[index])

    def alpha(self, index: int) -> None:
        """Return None: these codes are decoded to colours alone."""
        del index


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PackedPictures:
    """A folder's pictures, as a network or as codes.

    Args:
        header: settings of the decoder besides sizes, weights and codes.
        sizes: (M, 2) int32, width and height of the picture at each position.
        names: of the pictures by position, strictly ascending.
        weights: of the network, see ``weight_section``; None without one.
        codes: of the pictures by position; None if a network holds them.
        alphas: opacity of transparent pictures by position, see ``alpha_plane``.
        update: of the networks, see ``folder_update``; None without one.
        functions: payload of the weights of overfitted functions, which the codes are; None for other codes.
        read: options for reading files.
    """

    header: Header
    sizes: NDArray[np.int32]
    names: Sequence[str]
    weights: bytes | None = None
    codes: Codes | None = None
    alphas: Spool = field(default_factory=Spool)
    update: bytes | None = None
    functions: bytes | None = None
    read: ReadSettings = field(default_factory=ReadSettings)

    def __post_init__(self) -> None:
        check((self.weights is None) == (self.header.denoising is None), "a network and its weights come together")
        check((self.weights is None) != (self.codes is None), "an archive holds either a network or codes")
        check(self.update is None or self.codes is not None, "an update comes with codes alone")
        check(self.sizes.shape == (len(self.names), 2), "one size a name")
        channels = self.header.autoencoder.latent_channels
        check(self.functions is None or self.update is None, "functions have no update")
        is_of_latents = self.codes is not None and self.functions is None
        check(not is_of_latents or channels <= MAX_CODED_CHANNELS, f"codes of {channels} latent channels")
