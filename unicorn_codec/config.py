"""Settings as frozen values: what a decoder needs (``Header``) and what only the packer needs.

Field limits that belong to the file format stand in ``format_spec/uni-1.md`` under the same names.
"""

import math
from dataclasses import dataclass, field

from unicorn_codec.errors import InvalidSetting

MAX_IMAGES = 1 << 24
MAX_IMAGES_PER_BYTE = 8
"""A file has a bit for each image at least: a tiny one cannot make its reader number millions."""

MAX_SIDE = 1 << 16
MAX_HIDDEN_SIZE = 4096
MAX_DEPTH = 64
MAX_LATENT_CHANNELS = 256
MAX_CODED_CHANNELS = 126
"""Of an archive with codes: a code's first byte counts channels, 128 more mark half size, and 255 a classic code."""

MAX_STEPS = 50
MAX_NAME_BYTES = 4096
MAX_WEIGHTS = 1 << 28
MAX_LEVEL = 16
"""Levels of the code model are below this."""

MAX_RANK = 16
"""Of a change of the decoder's kernels."""

USUAL_EXPONENT_BITS = 4

CONDITIONS = ("cag", "icc", "ca", "alnz")
INDEX_EMBEDDINGS = ("grf", "edf", "let", "mlp")
PREDICTIONS = ("x0", "noise")
"""In the order of their ids in the file."""

OPTIMIZERS = ("muon", "adam")

WEIGHT_FORMATS = ("float", "integer")
USUAL_WEIGHT_BITS = {"float": 14, "integer": 5}

MOST_EFFORT = 100
USUAL_EFFORT = 6
USUAL_ROUND_PIXELS = 400_000_000
"""Pixels times rounds of refinement that packing takes on unasked, some ten minutes of two processor cores."""


def check(holds: bool, message: str) -> None:
    """Raise ``InvalidSetting(message)`` unless the condition holds."""
    if not holds:
        raise InvalidSetting(message)


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
class AutoencoderReference:
    """Which autoencoder made the latents. Decoding with another one is refused.

    Args:
        name: ``embedded``, a hub name, or the folder's name.
        class_name: ``CodingAutoencoder`` or the class of diffusers.
        weights_sha256: over all tensors, names in sorted order (``UNI`` clause in the spec).
        config_sha256: over the canonical configuration.
        weight_bytes: bytes of its weights as stored; not part of the rate, reported beside it.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """The denoiser: a transformer over latent patches that attends to the index (paper, section 4.2).

    Args:
        hidden_size: width; even, a multiple of ``heads``.
        depth: number of blocks.
        heads: attention heads.
        patch_size: latent positions per token, along each side.
        condition: how the index enters, one of ``CONDITIONS``.
        index_embedding: how the index becomes tokens, one of ``INDEX_EMBEDDINGS``.
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
    """What only a decoder of an archive with a network needs.

    Args:
        steps: sampling steps that decode best, as measured by the packer.
        latent_std: deviation of the normalised latents (paper: 1/3).
        means, stds: of the autoencoder's latents, one a channel, before normalising.
        prediction: what the network gives, clean latents or their noise: one of ``PREDICTIONS``.
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
    """Exactly what a decoder needs beside weights, codes and picture sizes.

    Args:
        images: M, the number of images.
        seed: of the index map, the index frequencies and the noise.
        latent_step: quantisation step of coded latents, which the embedded autoencoder's decoder is told; 1 elsewhere.
        denoising: None in an archive without a network.
    """

    images: int
    seed: int
    latent_step: float
    autoencoder: AutoencoderReference
    denoising: Denoising | None

    def __post_init__(self) -> None:
        check(1 <= self.images <= MAX_IMAGES, f"an archive holds 1 to {MAX_IMAGES} images, not {self.images}")
        check(0 <= self.seed < 1 << 64, f"the seed is 0 to 2^64 - 1, not {self.seed}")
        check(0 < self.latent_step <= 1e3, f"latent step: {self.latent_step}")
        if self.denoising is not None:
            lengths = {len(self.denoising.means), len(self.denoising.stds)}
            check(lengths == {self.autoencoder.latent_channels}, "one mean and deviation a channel")

    @property
    def index_bits(self) -> int:
        """Online cost of one image: ceil(log2 M) bits."""
        return (self.images - 1).bit_length()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How the packer fits the denoiser. Never reaches the file.

    Args:
        seconds: wall-clock budget; the schedule follows it. None: ``epochs`` decides.
        epochs: visits of every picture.
        latents_per_batch: latent values of one step's batch, over all its pictures.
        optimizer: ``muon``: Muon for the hidden matrices, AdamW for the rest, warm-up and linear decay to zero.
            ``adam``: Adam for all, its rate halved at each fifth of the run, as in the paper.
        matrix_rate: peak learning rate of Muon.
        other_rate: peak learning rate of AdamW, or of Adam.
        warmup: steps of linear warm-up; a tenth of the run where that is shorter.
        terminal_share: part of the samples at the noisiest step.
        lowest_timestep: the others are uniform from here to 1.
        stored_noise_share: part of the noise that is the very noise decoding uses.
    """

    seconds: float | None = None
    epochs: int = 600
    latents_per_batch: int = 1 << 18
    optimizer: str = "muon"
    matrix_rate: float = 0.02
    other_rate: float = 2e-3
    warmup: int = 100
    terminal_share: float = 0.5
    lowest_timestep: float = 0.5
    stored_noise_share: float = 0.5

    def __post_init__(self) -> None:
        check(self.seconds is None or self.seconds > 0, f"the time must be positive, not {self.seconds}")
        check(self.epochs >= 1, f"epochs must be at least 1, not {self.epochs}")
        check(self.optimizer in OPTIMIZERS, f"optimizer is one of {OPTIMIZERS}, not {self.optimizer}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How a folder becomes pixels.

    Args:
        max_side: pictures with a longer side are scaled down to it (Lanczos). 0: never.
        background: (R, G, B) under transparent pixels.
        skip_unreadable: leave unreadable files out instead of refusing the folder.
    """

    max_side: int = 0
    background: tuple[int, int, int] = (255, 255, 255)
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        check(0 <= self.max_side <= MAX_SIDE, f"max side is 0 to {MAX_SIDE}, not {self.max_side}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackOptions:
    """Everything that a user may choose when packing.

    Args:
        index_only: put everything into a network's weights, as the paper does; else into a code an image.
        bits_per_pixel: wanted rate of the file; decides the quantisation step, or the hidden size.
        file_bytes: wanted size of the file, instead of a rate.
        latent_step: quantisation step of the codes, instead of a rate or size.
        quality: 0 to 100, instead of these; see ``quality``. None of them given: ``USUAL_QUALITY``.
        slope: squared error, of 255, that a bit per pixel is worth (lambda), instead of these.
        effort: rounds in which codes are refined, see ``refinement``. None: ``USUAL_EFFORT``, or for many pixels less.
        seconds: that packing into codes may take, about, instead of an effort; training's stand in ``train``.
        tune: fit the decoder to the set, where that pays for the bytes that the change takes.
        min_psnr_db, min_ms_ssim: pictures that come back less well are stored by AVIF, at the quality that it takes.
        hidden_size: of the network, as all that follows. None: about ``PARAMETERS_PER_LATENT`` weights a latent value.
        depth: None: 12 as in the paper, or fewer for a small network.
        weight_format: ``float``: the paper's small floats; ``integer``: entropy-coded multiples of a step.
        weight_bits: W, bits of each float, 8 to 32, or of an integer on average, 3 to 8. None: ``USUAL_WEIGHT_BITS``.
        exponent_bits: of a float. None: ``USUAL_EXPONENT_BITS``, or more where a mantissa cannot take the rest.
        steps: sampling steps. None: the number that measures best.
        condition, index_embedding: of the network.
        prediction: what it gives, clean latents or their noise.
        latent_std: deviation of the normalised latents; the paper's 1/3 puts three sigma within [-1, 1].
    """

    read: ReadOptions = field(default_factory=ReadOptions)
    train: TrainConfig = field(default_factory=TrainConfig)
    index_only: bool = False
    bits_per_pixel: float | None = None
    file_bytes: int | None = None
    latent_step: float | None = None
    quality: float | None = None
    slope: float | None = None
    effort: int | None = None
    seconds: float | None = None
    tune: bool = False
    min_psnr_db: float | None = None
    min_ms_ssim: float | None = None
    weight_format: str = "float"
    weight_bits: int | None = None
    exponent_bits: int | None = None
    hidden_size: int | None = None
    depth: int | None = None
    steps: int | None = None
    condition: str = "cag"
    index_embedding: str = "grf"
    prediction: str = "x0"
    latent_std: float = 1 / 3
    seed: int = 0
    device: str = "auto"
    autoencoder: str = "embedded"
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        check(self.bits_per_pixel is None or self.bits_per_pixel > 0, "bits per pixel must be positive")
        targets = (self.bits_per_pixel, self.file_bytes, self.latent_step, self.quality, self.slope, self.hidden_size)
        one_of = "a rate, a size, a step, a quality, a lambda, a hidden size"
        check(sum(target is not None for target in targets) <= 1, f"give one of {one_of}")
        check(self.quality is None or 0 <= self.quality <= 100, f"the quality is 0 to 100, not {self.quality}")
        check(not (self.index_only and self.quality is not None), "a quality is for codes, not for a network")
        check(self.slope is None or 0 < self.slope < math.inf, f"lambda is positive and finite, not {self.slope}")
        check(not (self.index_only and self.slope is not None), "a lambda is for codes, not for a network")
        check(not (self.index_only and self.latent_step), "a quantisation step is for codes, not for a network")
        check(not (self.index_only and self.guarantees_quality), "a least quality is for codes, not for --index-only")
        check(self.min_psnr_db is None or 0 < self.min_psnr_db < 200, f"the least PSNR, dB: {self.min_psnr_db}")
        check(self.min_ms_ssim is None or 0 < self.min_ms_ssim <= 1, f"the least MS-SSIM: {self.min_ms_ssim}")
        check(
            self.effort is None or 0 <= self.effort <= MOST_EFFORT, f"the effort is 0 to {MOST_EFFORT}: {self.effort}"
        )
        check(not (self.index_only and self.effort is not None), "an effort is for codes, not for a network")
        check(self.seconds is None or self.seconds > 0, f"the time must be positive, not {self.seconds} seconds")
        check(not (self.index_only and self.seconds is not None), "a network's time is that of its training")
        check(self.seconds is None or self.effort is None, "give an effort or a time, not both")
        check(self.index_only or self.autoencoder == "embedded", "another autoencoder is for --index-only alone")
        check(self.file_bytes is None or self.file_bytes > 0, "the file size must be positive")
        check(self.latent_step is None or self.latent_step >= 1, f"the step is at least 1, not {self.latent_step}")
        check(self.weight_format in WEIGHT_FORMATS, f"weight format is one of {WEIGHT_FORMATS}: {self.weight_format}")
        self._check_weight_bits()
        check(self.depth is None or 1 <= self.depth <= MAX_DEPTH, f"depth is 1 to {MAX_DEPTH}, not {self.depth}")
        check(self.steps is None or 1 <= self.steps <= MAX_STEPS, f"steps are 1 to {MAX_STEPS}, not {self.steps}")
        check(self.condition in CONDITIONS, f"condition is one of {CONDITIONS}, not {self.condition}")
        check(self.index_embedding in INDEX_EMBEDDINGS, f"index embedding is one of {INDEX_EMBEDDINGS}")
        check(self.prediction in PREDICTIONS, f"prediction is one of {PREDICTIONS}, not {self.prediction}")
        check(0 < self.latent_std <= 1e3, f"latent deviation: {self.latent_std}")
        check(0 <= self.seed < 1 << 64, f"the seed is 0 to 2^64 - 1, not {self.seed}")
        check(self.device in ("auto", "cpu", "cuda"), f"device is auto, cpu or cuda, not {self.device}")

    def _check_weight_bits(self) -> None:
        bits = self.bits_per_weight
        if self.weight_format == "integer":
            check(3 <= bits <= 8, f"bits per weight are 3 to 8 where weights are integers, not {bits}")
            check(self.exponent_bits is None, "integer weights have no exponent bits")
            return
        check(8 <= bits <= 32, f"bits per weight are 8 to 32, not {bits}")
        exponent_bits, mantissa_bits = self.float_bits
        check(2 <= exponent_bits <= 8, f"exponent bits are 2 to 8, not {exponent_bits}")
        check(1 <= mantissa_bits <= 23, f"{exponent_bits} exponent bits of {bits} leave no usual mantissa")

    def target_bytes(self, pixels: int) -> float | None:
        """Wanted size of a file of so many pixels, if a size or a rate was given."""
        return self.bits_per_pixel * pixels / 8 if self.bits_per_pixel is not None else self.file_bytes

    def rounds(self, pixels: int) -> int:
        """In how many rounds codes of so many pixels in all are refined."""
        return min(USUAL_EFFORT, USUAL_ROUND_PIXELS // pixels) if self.effort is None else self.effort

    @property
    def bits_per_weight(self) -> int:
        """Bits of each stored weight, or on average."""
        return USUAL_WEIGHT_BITS[self.weight_format] if self.weight_bits is None else self.weight_bits

    @property
    def rounded_bits(self) -> int | None:
        """Mean bits of a weight that training is to aim at; None where weights are floats."""
        return self.bits_per_weight if self.weight_format == "integer" else None

    @property
    def guarantees_quality(self) -> bool:
        """Whether there is a quality that no picture may be below."""
        return self.min_psnr_db is not None or self.min_ms_ssim is not None

    @property
    def float_bits(self) -> tuple[int, int]:
        """Bits of exponent and mantissa of a stored weight that is a float."""
        exponent_bits = self.exponent_bits or max(USUAL_EXPONENT_BITS, self.bits_per_weight - 24)
        return exponent_bits, self.bits_per_weight - 1 - exponent_bits
