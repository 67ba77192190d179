"""Decoder settings, as frozen values that are checked on construction.

``format_spec/uni-1.md`` lists limits under the same names.
"""

import hashlib
from dataclasses import dataclass

from unicorn_codec.format.fields import check
from unicorn_codec.format.limits import MAX_PICTURES

MAX_HIDDEN_SIZE = 4096
MAX_DEPTH = 64
MAX_LATENT_CHANNELS = 256
MAX_CODED_CHANNELS = 126
"""Limit for codes, whose first byte is the number of channels, plus 128 at half size, or 255 for AVIF."""

MAX_STEPS = 50
MAX_WEIGHTS = 1 << 28
MAX_LEVEL = 16
"""Number of levels of the context model."""

MAX_RANK = 16
"""Limit for an update of the decoder's kernels."""

FINGERPRINT_BYTES = 16
OWN_CLASS = "CodingAutoencoder"
"""The class of the package's own autoencoders."""

CONDITIONS = ("cag", "icc", "ca", "alnz")
INDEX_EMBEDDINGS = ("grf", "edf", "let", "mlp")
PREDICTIONS = ("x0", "noise")
"""In the order of their ids in the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFormat:
    """A (1 + e + m)-bit float: sign, exponent, mantissa, in IEEE-754 order (paper, section 3.3).

    ``bias`` is the exponent's: a field E > 0 stands for 2^(E - bias). Every exponent field is finite, except that
    2^128 and above do not exist in a float32: codes over ``largest_code`` are invalid. So 1 + 8 + 23 bits with bias
    127 are float32 itself.
    """

    exponent_bits: int = 4
    mantissa_bits: int = 9
    bias: int = 7

    def __post_init__(self) -> None:
        check(2 <= self.exponent_bits <= 8, f"exponent bits are 2 to 8, not {self.exponent_bits}")
        check(1 <= self.mantissa_bits <= 23, f"mantissa bits are 1 to 23, not {self.mantissa_bits}")
        check(8 <= self.bits <= 32, f"bits per weight are 8 to 32, not {self.bits}")
        lowest, highest = self.bias_range(self.exponent_bits, self.mantissa_bits)
        check(lowest <= self.bias <= highest, f"exponent bias is {lowest} to {highest} here, not {self.bias}")

    @staticmethod
    def bias_range(exponent_bits: int, mantissa_bits: int) -> tuple[int, int]:
        """Lowest and highest bias: largest exponent at most 128, smallest value at least 2^-149."""
        return (1 << exponent_bits) - 1 - 128, 150 - mantissa_bits

    @property
    def bits(self) -> int:
        return 1 + self.exponent_bits + self.mantissa_bits

    @property
    def largest_code(self) -> int:
        """Code, without its sign, of the largest value below 2^128."""
        top_field = min((1 << self.exponent_bits) - 1, 127 + self.bias)
        return ((top_field + 1) << self.mantissa_bits) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReference:
    """Reference to the model of an archive's codes or latents. Decoding with another one is refused.

    Args:
        name: of a model of the package, a hub name, or a folder's name.
        class_name: ``OWN_CLASS``, or the class of diffusers.
        fingerprint: first 16 bytes of a SHA-256 over those of weights, configuration and context model.
        weight_bytes: bytes of its weights as stored; not part of the rate, reported separately.
        latent_channels: channels that the archive keeps.
        downsampling: pixels per latent position, along each side.
    """

    name: str
    class_name: str
    fingerprint: bytes
    weight_bytes: int
    latent_channels: int
    downsampling: int

    def __post_init__(self) -> None:
        check(1 <= self.latent_channels <= MAX_LATENT_CHANNELS, f"latent channels: {self.latent_channels}")
        check(self.downsampling in (1, 2, 4, 8, 16, 32, 64), f"downsampling: {self.downsampling}")
        check(len(self.fingerprint) == FINGERPRINT_BYTES, f"a fingerprint has {FINGERPRINT_BYTES} bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoencoderReference:
    """Reference to the autoencoder of the latents. Decoding with another one is refused.

    Args:
        name: of a model of the package, a hub name, or the folder's name.
        class_name: ``CodingAutoencoder`` or the class of diffusers.
        weights_sha256: over all tensors, in the order of their names; see "D" in the specification.
        config_sha256: over the canonical configuration.
        weight_bytes: bytes of its weights as stored; not part of the rate, but reported with it.
        latent_channels: channels that the archive keeps.
        downsampling: pixels per latent position, along each side.
    """

    name: str
    class_name: str
    weights_sha256: bytes
    config_sha256: bytes
    weight_bytes: int
    latent_channels: int
    downsampling: int

    def __post_init__(self) -> None:
        check(1 <= self.latent_channels <= MAX_LATENT_CHANNELS, f"latent channels: {self.latent_channels}")
        check(self.downsampling in (1, 2, 4, 8, 16, 32, 64), f"downsampling: {self.downsampling}")
        check(len(self.weights_sha256) == 32 and len(self.config_sha256) == 32, "a SHA-256 has 32 bytes")
        check(len(self.name.encode()) <= 255 and len(self.class_name.encode()) <= 255, "name of over 255 bytes")
        check(0 <= self.weight_bytes < 1 << 63, f"weight bytes: {self.weight_bytes}")

    def model(self, context_model_sha256: bytes = b"") -> ModelReference:
        """Return the reference that an archive stores, including the context model if it holds codes."""
        digest = hashlib.sha256(self.weights_sha256 + self.config_sha256 + context_model_sha256).digest()
        return ModelReference(
            name=self.name,
            class_name=self.class_name,
            fingerprint=digest[:FINGERPRINT_BYTES],
            weight_bytes=self.weight_bytes,
            latent_channels=self.latent_channels,
            downsampling=self.downsampling,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """The denoiser: a transformer over latent patches that attends to the index (paper, section 4.2).

    Args:
        hidden_size: width; even, a multiple of ``heads``.
        depth: number of blocks.
        heads: attention heads.
        patch_size: latent positions per token, along each side.
        condition: conditioning on the index, one of ``CONDITIONS``.
        index_embedding: mapping of the index to tokens, one of ``INDEX_EMBEDDINGS``.
        index_tokens: tokens that carry the index.
        bandwidth: standard deviation of the frequencies of embedding ``grf``, in cycles per index.
    """

    hidden_size: int
    depth: int = 12
    heads: int = 4
    patch_size: int = 2
    condition: str = "cag"
    index_embedding: str = "grf"
    index_tokens: int = 8
    bandwidth: float = 0.5

    def __post_init__(self) -> None:
        check(4 <= self.hidden_size <= MAX_HIDDEN_SIZE, f"hidden size is 4 to {MAX_HIDDEN_SIZE}: {self.hidden_size}")
        check(1 <= self.depth <= MAX_DEPTH, f"depth is 1 to {MAX_DEPTH}, not {self.depth}")
        check(1 <= self.heads <= 64, f"heads are 1 to 64, not {self.heads}")
        check(self.hidden_size % (4 * self.heads) == 0, f"hidden size must be a multiple of {4 * self.heads}")
        check(self.patch_size in (1, 2, 4), f"patch size is 1, 2 or 4, not {self.patch_size}")
        check(self.condition in CONDITIONS, f"condition is one of {CONDITIONS}, not {self.condition}")
        check(
            self.index_embedding in INDEX_EMBEDDINGS,
            f"index embedding is one of {INDEX_EMBEDDINGS}, not {self.index_embedding}",
        )
        check(1 <= self.index_tokens <= 64, f"index tokens are 1 to 64, not {self.index_tokens}")
        check(0 < self.bandwidth < 1e6, f"bandwidth: {self.bandwidth}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Denoising:
    """Settings of an archive with a network.

    Args:
        steps: sampling steps with the best measured quality.
        latent_std: deviation of the normalised latents (paper: 1/3).
        means, stds: of the autoencoder's latents, per channel, before normalisation.
        prediction: output of the network, clean latents or noise: one of ``PREDICTIONS``.
    """

    steps: int
    latent_std: float
    means: tuple[float, ...]
    stds: tuple[float, ...]
    network: NetworkConfig
    prediction: str = "x0"

    def __post_init__(self) -> None:
        check(self.prediction in PREDICTIONS, f"prediction is one of {PREDICTIONS}, not {self.prediction}")
        check(1 <= self.steps <= MAX_STEPS, f"sampling steps are 1 to {MAX_STEPS}, not {self.steps}")
        check(0 < self.latent_std <= 1e3, f"latent deviation: {self.latent_std}")
        check(all(abs(m) <= 1e9 for m in self.means), "latent mean out of range")
        check(all(0 < s <= 1e9 for s in self.stds), "latent deviation out of range")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """All that a decoder needs in addition to weights, codes and picture sizes.

    Args:
        pictures: M, the number of pictures.
        seed: of the index map, the index frequencies and the noise.
        latent_step: quantisation step of coded latents, an input of the packaged autoencoder's decoder; otherwise 1.
        denoising: None in an archive without a network.
    """

    pictures: int
    seed: int
    latent_step: float
    autoencoder: AutoencoderReference | ModelReference
    denoising: Denoising | None

    def __post_init__(self) -> None:
        least = 0 if self.denoising is None else 1  # an archive may hold exact pictures alone
        check(
            least <= self.pictures <= MAX_PICTURES,
            f"an archive holds {least} to {MAX_PICTURES} pictures, not {self.pictures}",
        )
        check(0 <= self.seed < 1 << 64, f"the seed is 0 to 2^64 - 1, not {self.seed}")
        check(0 < self.latent_step <= 1e3, f"latent step: {self.latent_step}")
        if self.denoising is not None:
            lengths = {len(self.denoising.means), len(self.denoising.stds)}
            check(lengths == {self.autoencoder.latent_channels}, "one mean and deviation a channel")

    @property
    def index_bits(self) -> int:
        """Bits of a picture's index: ceil(log2 M)."""
        return (self.pictures - 1).bit_length()
