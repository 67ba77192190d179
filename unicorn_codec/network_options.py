"""Options for packing a folder into the weights of one network, and for the training of it."""

from dataclasses import dataclass, field

from unicorn_codec.config import Goal, PackOptions, Target
from unicorn_codec.format.fields import check
from unicorn_codec.format.header import CONDITIONS, INDEX_EMBEDDINGS, MAX_DEPTH, MAX_STEPS, PREDICTIONS

OPTIMIZERS = ("muon", "adam")

WEIGHT_FORMATS = ("float", "integer")
DEFAULT_WEIGHT_BITS = {"float": 14, "integer": 5}
DEFAULT_EXPONENT_BITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How the denoiser is trained.

    Args:
        seconds: wall-clock budget; the schedule follows it. None: ``epochs`` decides.
        epochs: visits of every picture.
        latents_per_batch: latent values in a batch, over all its pictures.
        optimizer: ``muon``: Muon for the hidden matrices, AdamW for the rest, warm-up and linear decay to zero.
            ``adam``: Adam for all, its rate halved at each fifth of the run, as in the paper.
        matrix_rate: peak learning rate of Muon.
        other_rate: peak learning rate of AdamW, or of Adam.
        warmup: steps of linear warm-up; a tenth of the run where that is shorter.
        terminal_share: part of the samples at the noisiest timestep.
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
        check(self.seconds is None or self.seconds > 0, f"the training time must be positive, not {self.seconds}")
        check(self.epochs >= 1, f"epochs must be at least 1, not {self.epochs}")
        check(self.optimizer in OPTIMIZERS, f"optimizer is one of {OPTIMIZERS}, not {self.optimizer}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions(PackOptions):
    """Options for packing the whole folder into the weights of one network, as the paper does.

    Args:
        target: a rate or a size, which decides the hidden size; None: about ``planning.PARAMETERS_PER_LATENT`` weights
            a latent value.
        hidden_size: width of the network, instead of a target.
        depth: None: 12 as in the paper, or fewer for a small network.
        weight_format: ``float``: the paper's small floats; ``integer``: entropy-coded multiples of a step.
        weight_bits: W, bits of each float, 8 to 32, or of an integer on average, 3 to 8. None: ``DEFAULT_WEIGHT_BITS``.
        exponent_bits: of a float. None: ``DEFAULT_EXPONENT_BITS``, or more where a mantissa cannot take the rest.
        sampling_steps: stored in the file. None: the number that measures best.
        condition, index_embedding: how the index enters the network (paper, section 4.2).
        prediction: what the network predicts, clean latents or their noise.
        latent_std: deviation of the normalised latents; the paper's 1/3 puts three sigma within [-1, 1].
    """

    target: Target | None = None
    train: TrainConfig = field(default_factory=TrainConfig)
    hidden_size: int | None = None
    depth: int | None = None
    weight_format: str = "float"
    weight_bits: int | None = None
    exponent_bits: int | None = None
    sampling_steps: int | None = None
    condition: str = "cag"
    index_embedding: str = "grf"
    prediction: str = "x0"
    latent_std: float = 1 / 3

    def __post_init__(self) -> None:
        PackOptions.__post_init__(self)
        if self.target is not None:
            bounds_bytes = self.target.goal in (Goal.RATE, Goal.SIZE)
            check(
                bounds_bytes,
                f"a {self.target.goal.name.lower()} is for codes, not for --index-only: give a rate or size",
            )
            check(self.hidden_size is None, "give a rate or size, or a hidden size, not both")
        check(self.depth is None or 1 <= self.depth <= MAX_DEPTH, f"depth is 1 to {MAX_DEPTH}, not {self.depth}")
        steps = self.sampling_steps
        check(steps is None or 1 <= steps <= MAX_STEPS, f"sampling steps are 1 to {MAX_STEPS}, not {steps}")
        check(self.condition in CONDITIONS, f"condition is one of {CONDITIONS}, not {self.condition}")
        check(self.index_embedding in INDEX_EMBEDDINGS, f"index embedding is one of {INDEX_EMBEDDINGS}")
        check(self.prediction in PREDICTIONS, f"prediction is one of {PREDICTIONS}, not {self.prediction}")
        check(0 < self.latent_std <= 1e3, f"latent deviation is 0 to 1000, not {self.latent_std}")
        check(self.weight_format in WEIGHT_FORMATS, f"weight format is one of {WEIGHT_FORMATS}: {self.weight_format}")
        self._check_weight_bits()

    def _check_weight_bits(self) -> None:
        bits = self.bits_per_weight
        if self.weight_format == "integer":
            check(3 <= bits <= 8, f"bits per weight are 3 to 8 for integer weights, not {bits}")
            check(self.exponent_bits is None, "integer weights have no exponent bits")
            return
        check(8 <= bits <= 32, f"bits per weight are 8 to 32, not {bits}")
        exponent_bits, mantissa_bits = self.float_bits
        check(2 <= exponent_bits <= 8, f"exponent bits are 2 to 8, not {exponent_bits}")
        check(
            1 <= mantissa_bits <= 23, f"{exponent_bits} exponent bits of {bits} leave {mantissa_bits} for the mantissa"
        )

    @property
    def bits_per_weight(self) -> int:
        """Bits of each stored weight, or on average."""
        return DEFAULT_WEIGHT_BITS[self.weight_format] if self.weight_bits is None else self.weight_bits

    @property
    def rounded_bits(self) -> int | None:
        """Mean bits of a weight that training aims at; None where weights are floats."""
        return self.bits_per_weight if self.weight_format == "integer" else None

    @property
    def float_bits(self) -> tuple[int, int]:
        """Bits of exponent and mantissa of a stored weight that is a float."""
        exponent_bits = self.exponent_bits or max(DEFAULT_EXPONENT_BITS, self.bits_per_weight - 24)
        return exponent_bits, self.bits_per_weight - 1 - exponent_bits
