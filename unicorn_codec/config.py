"""Options of packing, as frozen values that are checked when they are made. None of them is stored in the file, except
where a docstring says so.

Options are wishes. What packing makes of them (a step, a number of rounds, groups of near-duplicates) has types of its
own in ``packing``.
"""

import math
import unicodedata
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path

from unicorn_codec.effort import MAX_EFFORT
from unicorn_codec.format.fields import check
from unicorn_codec.format.limits import MAX_SEQUENCE, MAX_SIDE
from unicorn_codec.model_registry import AUTOENCODER, default_name, names
from unicorn_codec.quality import DEFAULT_QUALITY
from unicorn_codec.regions import Region

MAX_PIXELS = 1 << 27
"""Of a picture that is decoded, unless the caller allows more: a small file can claim a size that fills the memory."""

MEASURED_PICTURES = ("none", "sample", "all")
METRICS = ("psnr", "ms-ssim", "perceptual")
GOALS = ("mean", "worst", "psnr")
AUTO = "auto"
"""Instead of an autoencoder's name: packing chooses, see ``packing.model_choice``."""

DEVICES = ("auto", "cpu", "cuda")


class Goal(Enum):
    """What a ``Target`` prescribes; the values are its units."""

    RATE = "bits per pixel"
    SIZE = "bytes"
    QUALITY = "SSIMULACRA2"
    STEP = "quantisation step"
    RD_LAMBDA = "squared error per bit per pixel"


_ALLOWED = {
    Goal.RATE: (math.ulp(0.0), math.inf, "positive"),
    Goal.SIZE: (1, math.inf, "at least 1"),
    Goal.QUALITY: (0, 100, "0 to 100"),
    Goal.STEP: (1, 1000, "1 to 1000"),
    Goal.RD_LAMBDA: (math.ulp(0.0), math.inf, "positive"),
}


@dataclass(frozen=True, slots=True)
class Target:
    """What the archive should reach: one goal and its value.

    >>> Target(Goal.RATE, 0.1)
    Target(goal=<Goal.RATE: 'bits per pixel'>, value=0.1)

    Args:
        goal: ``RATE`` and ``SIZE`` bound the whole file; ``QUALITY`` is the mean SSIMULACRA2 that photographs reach,
            see ``quality``; ``STEP`` is the quantisation step of the codes; ``RD_LAMBDA`` is the squared error, on the
            scale of 255, that a bit per pixel is worth.
    """

    goal: Goal
    value: float

    def __post_init__(self) -> None:
        least, most, words = _ALLOWED[self.goal]
        what = self.goal.name.lower().replace("_", "-")
        check(least <= self.value <= most and self.value < math.inf, f"the {what} must be {words}, not {self.value}")

    def file_bytes(self, pixels: int) -> float | None:
        """Return the wanted size of a file of ``pixels`` pixels in all; None unless the goal is a rate or a size."""
        if self.goal is Goal.RATE:
            return self.value * pixels / 8
        return self.value if self.goal is Goal.SIZE else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How files become pixels. The archive stores ``max_side`` and ``background``, so that ``verify`` reads alike.

    Args:
        max_side: pictures with a longer side are scaled down to it (Lanczos). 0: never.
        background: (R, G, B) onto which transparent pictures are flattened; None keeps their transparency.
        skip_unreadable: leave unreadable files out instead of refusing the folder.
        first_page: keep the first full-size page, frame or picture of a file that holds several.
        accept_damaged: keep what can be decoded of a damaged picture.
        max_pixels: larger pictures are refused, before memory is taken for them.
    """

    max_side: int = 0
    background: tuple[int, int, int] | None = None
    skip_unreadable: bool = False
    first_page: bool = False
    accept_damaged: bool = False
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        check(self.max_pixels >= 1, f"max pixels must be positive, not {self.max_pixels}")
        check(0 <= self.max_side <= MAX_SIDE, f"max side is 0 to {MAX_SIDE}, not {self.max_side}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataOptions:
    """What an archive keeps of its pictures' files besides the pixels.

    Args:
        keep: EXIF, XMP, IPTC, PNG text and the time of modification. An archive of a network keeps none of it.
        keep_gps: with the place where the picture was taken.
        checksums: also the original's bytes and SHA-256, which take about 45 bytes a picture.
    """

    keep: bool = True
    keep_gps: bool = True
    checksums: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalOptions:
    """Which files an archive holds whole, so that their bytes come back.

    Args:
        patterns: of names of pictures, case ignored; ``*`` matches anything, including ``/``.
        keep_others: also every file that is no picture, that cannot be read as one, or whose picture would not be all
            of it (further frames, gain maps, the values of a camera's sensor).
    """

    patterns: tuple[str, ...] = ()
    keep_others: bool = False

    def __post_init__(self) -> None:
        check(all(self.patterns), "an empty pattern matches no name")

    def wants(self, name: str) -> bool:
        """Return whether a picture of this name is to be stored whole."""
        return any(matches(name, pattern) for pattern in self.patterns)

    @property
    def keeps_files(self) -> bool:
        """Whether any file is stored whole."""
        return bool(self.patterns) or self.keep_others


def matches(name: str, pattern: str) -> bool:
    """Return whether a name matches a pattern, whatever the case and the normal form of both."""
    name, pattern = (unicodedata.normalize("NFC", text).casefold() for text in (name, pattern))
    return fnmatchcase(name, pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackOptions:
    """Options that all ways of packing share. Pack with ``CodesOptions``, ``OverfitOptions`` or ``NetworkOptions``.

    Args:
        seed: of everything that is drawn at random; stored in the file.
        device: one of ``DEVICES``.
        autoencoder: name of a model of the package; except with ``CodesOptions`` also a hub name or a folder. With
            ``CodesOptions`` ``AUTO`` is the default.
        resume: continue from the checkpoint of an interrupted pack.
        overwrite: replace an existing output, and discard its checkpoint.
        self_contained: store model and specification in the file; None: from 100 MB on.
        measure: pictures whose distortion is measured on the written file, one of ``MEASURED_PICTURES``.
    """

    read: ReadOptions = field(default_factory=ReadOptions)
    metadata: MetadataOptions = field(default_factory=MetadataOptions)
    seed: int = 0
    device: str = "auto"
    autoencoder: str = field(default_factory=default_name)
    resume: bool = False
    overwrite: bool = False
    self_contained: bool | None = None
    measure: str = "all"

    def __post_init__(self) -> None:
        check(0 <= self.seed < 1 << 64, f"the seed is 0 to 2^64 - 1, not {self.seed}")
        check(self.device in DEVICES, f"device is one of {', '.join(DEVICES)}, not {self.device!r}")
        known = ", ".join(MEASURED_PICTURES)
        check(self.measure in MEASURED_PICTURES, f"measure is one of {known}, not {self.measure!r}")


@dataclass(frozen=True, slots=True)
class Learning:
    """How packing learns of the pictures, see ``learning``.

    Args:
        seconds: time budget; None: until it hardly gains any more, at most some minutes.
    """

    seconds: float | None = None

    def __post_init__(self) -> None:
        check(self.seconds is None or self.seconds > 0, f"the time to learn must be positive, not {self.seconds}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CodesOptions(PackOptions):
    """Options for packing every picture into a code.

    Args:
        target: what the archive should reach.
        effort: rounds of refinement, see ``refinement``; None: ``effort.default_effort``, or what ``seconds`` allow.
        seconds: time budget of packing, instead of an effort.
        sequences: store near-duplicates as AV1 sequences where that takes fewer bytes.
        avif: store pictures as AVIF where that costs less than latents, by rate and distortion.
        depends_on: number of other pictures of its sequence that a picture may depend on.
        learning: train an update of the shipped networks where that pays for its bytes; None never does.
        min_psnr_db, min_ms_ssim: the quality floor. Pictures below it are stored as AVIF at the lowest quality that
            reaches it.
        originals: files that are stored whole.
        goal: how bytes are spread over the pictures, one of ``GOALS``; None: every picture has the same step.
        importance: folder of masks, see ``packing.masks``, or table of names and weights, see ``packing.importance``;
            None: all pictures count alike.
        roi: region of each picture that counts more than the rest of it.
        metric: what refinement minimises, one of ``METRICS``; None: squared error and structure together.
        reuse: take over the codes that unpacked files carry, where their pixels are unchanged.
    """

    target: Target = Target(Goal.QUALITY, DEFAULT_QUALITY)
    autoencoder: str = AUTO
    effort: int | None = None
    seconds: float | None = None
    sequences: bool = True
    avif: bool = True
    depends_on: int = 31
    learning: Learning | None = Learning()
    min_psnr_db: float | None = None
    min_ms_ssim: float | None = None
    originals: OriginalOptions = field(default_factory=OriginalOptions)
    goal: str | None = None
    importance: Path | None = None
    roi: Region | None = None
    metric: str | None = None
    reuse: bool = True

    def __post_init__(self) -> None:
        PackOptions.__post_init__(self)  # super() does not work in a slotted dataclass
        check(
            self.autoencoder in (AUTO, *names(AUTOENCODER)),
            f"codes need an autoencoder of the package ({', '.join(names(AUTOENCODER))}), not {self.autoencoder!r}: "
            "others are for --overfit and --index-only",
        )
        check(self.effort is None or 0 <= self.effort <= MAX_EFFORT, f"effort is 0 to {MAX_EFFORT}, not {self.effort}")
        check(
            1 <= self.depends_on < MAX_SEQUENCE,
            f"a picture may depend on 1 to {MAX_SEQUENCE - 1} others, not {self.depends_on}",
        )
        check(self.seconds is None or self.seconds > 0, f"the time must be positive, not {self.seconds} seconds")
        check(self.seconds is None or self.effort is None, "give an effort or a time, not both")
        check(self.min_psnr_db is None or 0 < self.min_psnr_db < 200, f"min PSNR is 0 to 200 dB: {self.min_psnr_db}")
        check(self.min_ms_ssim is None or 0 < self.min_ms_ssim <= 1, f"min MS-SSIM is 0 to 1, not {self.min_ms_ssim}")
        check(
            self.measure == "all" or not self.has_quality_floor,
            "a quality floor (--min-psnr, --min-ms-ssim) is checked on all pictures: leave out --measure",
        )
        goals, known = ", ".join(GOALS), ", ".join(METRICS)
        check(self.goal is None or self.goal in GOALS, f"goal is one of {goals}, not {self.goal!r}")
        importance = self.importance is not None or self.roi is not None
        check(self.goal is None or not importance, "give a goal, or importance (--importance, --roi), not both")
        check(self.metric is None or self.metric in METRICS, f"metric is one of {known}, not {self.metric!r}")
        check(self.metric is None or self.effort != 0, "a metric is what refinement minimises: give an effort above 0")
        if self.originals.keeps_files:
            whole = "files that are stored whole (--exact, --keep-others)"
            check(self.metadata.keep and self.metadata.keep_gps, f"{whole} keep all that is in them: leave out --strip")
            check(self.target.goal not in (Goal.RATE, Goal.SIZE), f"no rate or size can be aimed at with {whole}")

    @property
    def has_quality_floor(self) -> bool:
        """Whether there is a quality that no picture may be below."""
        return self.min_psnr_db is not None or self.min_ms_ssim is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class OverfitOptions(PackOptions):
    """Options for packing every picture into a function that is overfitted to its latents, as in CLRIC.

    Args:
        target: a quality or a lambda; a quality is about that of codes at the same lambda.
        effort: percent of the full training, see ``overfitted.schedule``; None: ``effort.FUNCTION_EFFORT``.
        common: learn a common function of the archive, from which those of the pictures start.
    """

    target: Target = Target(Goal.QUALITY, DEFAULT_QUALITY)
    effort: int | None = None
    common: bool = True

    def __post_init__(self) -> None:
        PackOptions.__post_init__(self)
        goal = self.target.goal
        check(
            goal in (Goal.QUALITY, Goal.RD_LAMBDA),
            f"a {goal.name.lower()} cannot be aimed at with --overfit: give --quality or --lambda",
        )
        check(self.effort is None or 0 <= self.effort <= MAX_EFFORT, f"effort is 0 to {MAX_EFFORT}, not {self.effort}")
