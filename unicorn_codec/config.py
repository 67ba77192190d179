"""What a packer chooses, as frozen values that are checked when they are made. Nothing of it reaches the file."""

import math
from dataclasses import dataclass, field

from unicorn_codec.format.header import (
    CONDITIONS,
    INDEX_EMBEDDINGS,
    MAX_DEPTH,
    MAX_SIDE,
    MAX_STEPS,
    PREDICTIONS,
    check,
)
from unicorn_codec.model_registry import AUTOENCODER, default_name, names

USUAL_EXPONENT_BITS = 4

OPTIMIZERS = ("muon", "adam")

WEIGHT_FORMATS = ("float", "integer")
USUAL_WEIGHT_BITS = {"float": 14, "integer": 5}

MOST_EFFORT = 1000
SHORT_EFFORT = 12
RANDOM_EFFORT = 40
"""Rounds from which on ``refinement`` searches at random. Those between short ones and these hardly gain."""

LONG_EFFORT = 100
"""Rounds that packing takes within a time, or unasked on a GPU, at most: further ones gain little."""

USUAL_EFFORT = {"cpu": SHORT_EFFORT, "cuda": LONG_EFFORT}
"""Rounds of refinement that packing takes on unasked, by the kind of device."""

USUAL_ROUND_PIXELS = {"cpu": 400_000_000, "cuda": 20_000_000_000}
"""And pixels times rounds: some 25 minutes of two processor cores without bfloat16, some one of an H200."""


def rounds_that_pay(rounds: int) -> int:
    """At most so many rounds of refinement, of which none are in vain."""
    return min(rounds, LONG_EFFORT) if rounds >= RANDOM_EFFORT else min(rounds, SHORT_EFFORT)


def usual_effort(pixels: int, device: str) -> int:
    """In how many rounds codes of so many pixels in all are refined by a kind of device, if nobody says."""
    return rounds_that_pay(min(USUAL_EFFORT[device], USUAL_ROUND_PIXELS[device] // pixels))


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
        index_only: put everything into a network's weights, as the paper does; else into a code a picture.
        bits_per_pixel: wanted rate of the file; decides the quantisation step, or the hidden size.
        file_bytes: wanted size of the file, instead of a rate.
        latent_step: quantisation step of the codes, instead of a rate or size.
        quality: 0 to 100, instead of these; see ``quality``. None of them given: ``USUAL_QUALITY``.
        slope: squared error, of 255, that a bit per pixel is worth (lambda), instead of these.
        effort: rounds in which codes are refined, see ``refinement``. None: ``usual_effort``.
        seconds: that packing into codes may take, about, instead of an effort; training's stand in ``train``.
        each_alone: no picture is stored as what it changes of another one, however alike they are.
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
    each_alone: bool = False
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
    autoencoder: str = field(default_factory=default_name)
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
        check(not (self.index_only and self.has_quality_floor), "a least quality is for codes, not for --index-only")
        check(self.min_psnr_db is None or 0 < self.min_psnr_db < 200, f"the least PSNR, dB: {self.min_psnr_db}")
        check(self.min_ms_ssim is None or 0 < self.min_ms_ssim <= 1, f"the least MS-SSIM: {self.min_ms_ssim}")
        check(
            self.effort is None or 0 <= self.effort <= MOST_EFFORT, f"the effort is 0 to {MOST_EFFORT}: {self.effort}"
        )
        check(not (self.index_only and self.effort is not None), "an effort is for codes, not for a network")
        check(self.seconds is None or self.seconds > 0, f"the time must be positive, not {self.seconds} seconds")
        check(not (self.index_only and self.seconds is not None), "a network's time is that of its training")
        check(self.seconds is None or self.effort is None, "give an effort or a time, not both")
        check(
            self.index_only or self.autoencoder in names(AUTOENCODER),
            "another autoencoder is for --index-only alone",
        )
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

    @property
    def bits_per_weight(self) -> int:
        """Bits of each stored weight, or on average."""
        return USUAL_WEIGHT_BITS[self.weight_format] if self.weight_bits is None else self.weight_bits

    @property
    def rounded_bits(self) -> int | None:
        """Mean bits of a weight that training is to aim at; None where weights are floats."""
        return self.bits_per_weight if self.weight_format == "integer" else None

    @property
    def has_quality_floor(self) -> bool:
        """Whether there is a quality that no picture may be below."""
        return self.min_psnr_db is not None or self.min_ms_ssim is not None

    @property
    def float_bits(self) -> tuple[int, int]:
        """Bits of exponent and mantissa of a stored weight that is a float."""
        exponent_bits = self.exponent_bits or max(USUAL_EXPONENT_BITS, self.bits_per_weight - 24)
        return exponent_bits, self.bits_per_weight - 1 - exponent_bits
