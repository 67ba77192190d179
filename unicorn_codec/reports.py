"""What packing and verifying tell: while they run (``Observer``) and when they are done."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from unicorn_codec.format.container import SectionInfo
from unicorn_codec.network.planning import Plan
from unicorn_codec.network.training import Progress
from unicorn_codec.pictures.images import Folder
from unicorn_codec.pictures.metrics import Distortion, ms_ssim, psnr_db, summarize, worst
from unicorn_codec.pictures.picture_files import Unreadable


class Observer:
    """Gets told how far packing or verifying is. Every method may be overridden; these do nothing."""

    def found(self, folder: Folder, plan: Plan | None) -> None:
        """Everything was read and planned; work is next. There is a plan only for a network."""

    def stage(self, name: str, done: int, total: int) -> None:
        """``done`` of ``total`` pictures went through the stage ``name``."""

    def training(self, progress: Progress) -> None:
        """About once a second while training."""

    def preview(self, psnr_db: float) -> None:
        """Mean PSNR of a few pictures, decoded with the weights of this moment."""

    def tuned(self, tuned: "Tuned") -> None:
        """A change of the decoder was fitted and judged."""

    def not_tuned(self, least_bytes: float) -> None:
        """A change of the decoder was asked for. The smallest takes about so many bytes, too many for this file."""

    def of_stage(self, name: str) -> Callable[[int, int], None]:
        """``stage`` with its name filled in."""
        return lambda done, total: self.stage(name, done, total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What fitting the decoder to the set came to.

    Args:
        rank: of the change of every kernel; 0: biases alone.
        bytes: that it takes.
        gain: part by which it lowers the loss, beside codes that are finer by as many bytes. Kept if over 0.
    """

    rank: int
    bytes: int
    gain: float

    @property
    def kept(self) -> bool:
        return self.gain > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureDistortion:
    """How well one picture came back."""

    index: int
    name: str
    psnr_db: float
    ms_ssim: float

    @classmethod
    def of(cls, index: int, name: str, original: np.ndarray, decoded: np.ndarray) -> "PictureDistortion":
        """That of a decoded picture, (H, W, 3) uint8 as its original."""
        return cls(index=index, name=name, psnr_db=psnr_db(original, decoded), ms_ssim=ms_ssim(original, decoded))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Distortion of decoded pictures against their originals.

    Args:
        rows: every picture, the worst PSNR first.
    """

    psnr_db: Distortion
    ms_ssim: Distortion
    rows: tuple[PictureDistortion, ...]

    @classmethod
    def of(cls, rows: Sequence[PictureDistortion]) -> "Measured":
        """Of pictures in any order."""
        psnrs = [row.psnr_db for row in rows]
        return cls(
            psnr_db=summarize(psnrs),
            ms_ssim=summarize([row.ms_ssim for row in rows]),
            rows=tuple(rows[place] for place in worst(psnrs, len(psnrs))),
        )

    @property
    def pictures(self) -> int:
        return len(self.rows)

    @property
    def worst(self) -> tuple[PictureDistortion, ...]:
        """The five that came back least well."""
        return self.rows[:5]

    def below(self, min_psnr_db: float | None, min_ms_ssim: float | None) -> tuple[PictureDistortion, ...]:
        """Those that miss what was wanted, the worst first."""
        least_db = -math.inf if min_psnr_db is None else min_psnr_db
        least_similarity = -math.inf if min_ms_ssim is None else min_ms_ssim
        return tuple(row for row in self.rows if not (row.psnr_db >= least_db and row.ms_ssim >= least_similarity))


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkReport:
    """What packing into a network tells beside the rest.

    Args:
        ceiling_psnr_db: mean PSNR of the autoencoder alone, which no network can exceed.
        other_noise_psnr_db: mean PSNR of some pictures, decoded from other noise than the stored seed's.
        stored_noise_psnr_db: mean PSNR of the same pictures from the stored seed's noise.
    """

    parameters: int
    steps: int
    ceiling_psnr_db: float
    other_noise_psnr_db: float
    stored_noise_psnr_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PackReport:
    """What was written, measured on the file itself.

    Args:
        wanted_bytes: size that was asked for, if any.
        latent_step: quantisation step of the codes; where there are none, what the autoencoder is told.
        rounds: in which the codes were refined.
        seconds: from start to the file, without measuring it.
        network: None for an archive of codes.
        sequence_pictures: pictures that are stored in sequences of alike ones, in ``sequence_bytes`` together.
        avif_pictures: pictures that AVIF stores alone, in ``avif_bytes`` together.
        below_target: what came back less well than wanted nevertheless, the worst first.
    """

    pictures: int
    file_bytes: int
    pixels: int
    bits_per_pixel: float
    bits_per_pixel_with_autoencoder: float
    index_bits: int
    latent_step: float
    rounds: int
    wanted_bytes: float | None
    seconds: float
    measured: Measured
    network: NetworkReport | None
    sequence_pictures: int
    sequence_bytes: int
    avif_pictures: int
    avif_bytes: int
    below_target: tuple[PictureDistortion, ...]
    skipped: tuple[Unreadable, ...]
    flattened: int
    scaled: int
    sections: tuple[SectionInfo, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """An archive held against the folder that it was made of.

    Args:
        problems: names that only one side has, and pictures of another size.
    """

    measured: Measured | None
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def mean_psnr_db(originals: Sequence[np.ndarray], decoded: Iterable[np.ndarray]) -> float:
    """Mean PSNR of pairs of pictures."""
    return float(np.mean([psnr_db(a, b) for a, b in zip(originals, decoded, strict=True)]))
