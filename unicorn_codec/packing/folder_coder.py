"""A folder's pictures to codes of a step, again and again: latents are made anew for every coding.

read_picture > Autoencoder.encode, of it and its half > the cheaper one of both > Objective.refine > encode_latents
"""

import copy
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unicorn_codec.checkpoints import KeptCodes
from unicorn_codec.codes.code_model import CodeModel, level_of
from unicorn_codec.codes.coding import LARGEST, encode_symbols
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.config import ReadOptions
from unicorn_codec.devices import in_workers
from unicorn_codec.format.code_table import Codes, decoder_step, mark_half_size, model_level
from unicorn_codec.format.picture_table import serialize_names, serialize_sizes
from unicorn_codec.packing.folder_latents import encode_batches
from unicorn_codec.packing.refinement import Objective, pixels_at_once
from unicorn_codec.pictures.images import Folder, Pixels, read_picture
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.resampling import halve

FINEST = 1.0
"""The finest step of latents. What is coded otherwise may be worth more than they are by then."""

FINEST_OF_OTHERS = 1 / 16

FINEST_WITH_HALVES = 2.0
"""From this step on pictures may be coded at half size, with latents of half the step."""

WINDOW = 512
"""A large picture's middle tells how it is coded best: so many pixels a side."""

WINDOWS_AT_ONCE = 8
"""Middles that are judged together: bounds the memory."""

CODED_TOGETHER = {"cpu": 1 << 21, "cuda": 1 << 23}
"""Pixels, about, of the pictures whose codes are written together, by the kind of device. As many steps as one small
picture takes, dozens take too; those that wait for theirs are lost in a crash, minutes of a processor's work."""

KEPT_BYTES = 1 << 28
"""Latents that are kept for another coding, at most."""


class Others(Protocol):
    """Pictures of a folder that are not coded as latents.

    Attributes:
        positions: of the pictures.
    """

    positions: Set[int]

    def bytes_at(self, step: float) -> float:
        """Bytes of their codes, about, where a quantisation step tells what distortion is worth."""

    def codes_at(self, step: float) -> Iterator[dict[int, bytes]]:
        """Their codes by position, some at a time."""


class NoOthers:
    """None such."""

    positions: Set[int] = frozenset()

    def bytes_at(self, step: float) -> float:
        return 0.0

    def codes_at(self, step: float) -> Iterator[dict[int, bytes]]:
        return iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What some pictures of one size are coded by.

    Args:
        half: the latents are of the pictures at half size.
        places: (N,) of the pictures among those that are coded.
        latents: (N, C, h, w) to be rounded.
    """

    half: bool
    places: NDArray[np.intp]
    latents: Tensor


class FolderCoder:
    """A folder and what codes it. It keeps its first latents; all those of a large folder would not fit into memory."""

    def __init__(
        self,
        pictures: Folder,
        read: ReadOptions,
        autoencoder: PackagedAutoencoder,
        model: CodeModel,
        kept_codes: KeptCodes | None = None,
    ) -> None:
        self.pictures, self.model, self.kept_codes = pictures, model, kept_codes
        self.read, self.autoencoder = read, autoencoder
        self._kept: list[tuple[list[int], Tensor]] = []
        self._room, self._tuning = KEPT_BYTES, b""
        # Made here, since workers that find none would make one each.
        self._rate = RateModel.of(model).to(autoencoder.device)
        self.others: Others = NoOthers()
        self.overhead = overhead_of(pictures)

    def tuned(self, tuning: bytes | None) -> "FolderCoder":
        """This coder, for the decoder that an archive's change makes; latents that it keeps are shared."""
        if tuning is None:
            return self
        other = copy.copy(self)
        other.autoencoder = self.autoencoder.changed(tuning)
        other._tuning = tuning
        return other

    def beside(self, others: "Others") -> "FolderCoder":
        """This coder, for all pictures but some that are coded otherwise."""
        other = copy.copy(self)
        other.others = others
        return other

    @property
    def finest(self) -> float:
        """The finest step that makes a difference."""
        return FINEST_OF_OTHERS if self.others.positions else FINEST

    @property
    def coarsest(self) -> float:
        """The coarsest step, at which half-size codes have the coarsest one that the autoencoder was trained with.

        Codes of the whole size are decoded somewhat beyond it, and lose against half-size ones before that does harm.
        """
        return 2 * self.autoencoder.network.max_step

    def encode(self, step: float, progress: Callable[[int, int], None], *, rounds: int = 0) -> Codes:
        """Codes of all pictures, by position; those of latents, whose step is ``FINEST`` at least, are refined."""
        count = len(self.pictures.pictures)
        kept = self.kept_codes if rounds else None
        if kept is not None:
            change = hashlib.sha256(self._tuning).hexdigest()
            kept.begin(f"short codes, step {step!r}, {rounds} rounds, change {change}")
        codes = {} if kept is None else dict(kept.codes)
        for some_codes in self.others.codes_at(step):
            codes |= some_codes
            progress(len(codes), count)
        tell = cumulative(progress, len(codes), count)
        step = max(step, FINEST)
        for batch, latents in self.all_latents():
            places = [place for place, position in enumerate(batch) if position not in codes]
            for position, code in self.codes_of([batch[p] for p in places], latents[places], step, rounds, tell):
                codes[position] = code
                if kept is not None:
                    kept.add(position, code)
        streams = tuple(codes[position] for position in range(count))
        return Codes(level=level_of(step), model_sha256=self.model.sha256, streams=streams)

    def file_bytes(self, codes: Codes) -> int:
        """Bytes of an archive's file with these codes, about."""
        return self.overhead + sum(map(len, codes.streams))

    def all_latents(self) -> Iterator[tuple[list[int], Tensor]]:
        """Raw latents of all pictures that are coded so, a batch of one size at a time."""
        for batch, latents in self._kept:
            places = [place for place, position in enumerate(batch) if position not in self.others.positions]
            if places:
                yield [batch[place] for place in places], latents[places]
        kept = self.others.positions | {position for batch, _ in self._kept for position in batch}
        rest = [position for position in range(len(self.pictures.pictures)) if position not in kept]
        for batch, latents in self.latents(rest, lambda *_: None):
            self._room -= latents.nbytes
            if self._room >= 0:
                self._kept.append((batch, latents))
            yield batch, latents

    def codes_of(
        self,
        batch: Sequence[int],
        latents: Tensor,
        step: float,
        rounds: int,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Iterator[tuple[int, bytes]]:
        """Pictures of one size and their codes, in any order.

        Args:
            progress: told how many pictures' latents were chosen since it was told last; their codes may come later.
        """
        waiting: list[Candidate] = []
        most = CODED_TOGETHER[self.autoencoder.device.type]
        try:
            for chosen in self.choices(batch, latents, step, rounds, progress):
                waiting += chosen
                if sum(one.places.size for one in waiting) * self.pixels_of(batch[0]) >= most:
                    yield from self.coded(waiting, step)
                    waiting = []
        except KeyboardInterrupt:  # what was refined until now is worth a checkpoint
            yield from self.coded(waiting, step)
            raise
        yield from self.coded(waiting, step)

    def plain_bytes(self, step: float, progress: Callable[[int, int], None]) -> float:
        """Bytes of an archive's file, about, if its codes are not refined. Those of latents need not be written."""
        tell = cumulative(progress, 0, len(self.pictures.pictures))
        code_bytes = 0.0
        for some_codes in self.others.codes_at(step):
            code_bytes += sum(map(len, some_codes.values()))
            tell(len(some_codes))
        step = max(step, FINEST)
        for batch, latents in self.all_latents():
            for chosen in self.choices(batch, latents, step, 0, tell):
                code_bytes += sum(float(self.code_bytes(one, step).sum()) for one in chosen)
        return self.overhead + code_bytes

    def code_bytes(self, chosen: Candidate, step: float) -> NDArray[np.float32]:
        """(N,) bytes of pictures' codes, about."""
        objective, device = self._objective(step, half=chosen.half), self.autoencoder.device
        of_picture = chosen.latents[0, 0].numel() * objective.cell**2
        together = max(1, pixels_at_once(device) // of_picture)
        parts = chosen.latents.split(together)
        return torch.cat(list(in_workers(objective.code_bytes, parts, device, pixels=together * of_picture))).numpy()

    def choices(
        self,
        batch: Sequence[int],
        latents: Tensor,
        step: float,
        rounds: int,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Iterator[list[Candidate]]:
        """What pictures of one size are coded by, with their positions, some pictures at a time."""
        if not batch:
            return
        positions = np.array(batch)
        if not rounds and step < FINEST_WITH_HALVES:  # no need to look at pixels
            yield [Candidate(half=False, places=positions, latents=latents)]
            progress(len(batch))
            return
        device, of_picture = self.autoencoder.device, self.pixels_of(batch[0])
        together = max(1, pixels_at_once(device) // of_picture)
        parts = [slice(start, start + together) for start in range(0, len(batch), together)]
        # Pictures are read here, not by the workers: Pillow's warnings are silenced for all threads together.
        pixels = (torch.from_numpy(np.stack([self.picture(position) for position in batch[part]])) for part in parts)

        def choose(part: tuple[Tensor, Tensor]) -> list[Candidate]:
            return self._chosen(*part, step, rounds)

        shown = zip(pixels, (latents[part] for part in parts), strict=True)
        results = zip(parts, in_workers(choose, shown, device, pixels=together * of_picture), strict=True)
        for part, chosen in results:
            yield [replace(one, places=positions[part][one.places]) for one in chosen]
            progress(len(positions[part]))  # where Ctrl-C may come: whoever keeps what was chosen has it by now

    def _chosen(self, pixels: Tensor, latents: Tensor, step: float, rounds: int) -> list["Candidate"]:
        """What pictures are coded by: their latents, or those of their halves where these cost less; maybe refined."""
        ways = [Candidate(half=False, places=np.arange(len(pixels)), latents=latents)]
        if step >= FINEST_WITH_HALVES:
            halves = self.halves(pixels)
            is_half_size = self.are_cheaper_at_half(pixels, latents, halves, step)
            ways = [
                Candidate(half=half, places=np.flatnonzero(taken), latents=of_way[taken])
                for half, of_way, taken in ((False, latents, ~is_half_size), (True, halves, is_half_size))
            ]
        ways = [way for way in ways if way.places.size]
        if not rounds:
            return ways
        return [
            replace(way, latents=self._objective(step, half=way.half).refine(pixels[way.places], way.latents, rounds))
            for way in ways
        ]

    def coded(self, chosen: Iterable["Candidate"], step: float) -> Iterator[tuple[int, bytes]]:
        """Places and codes of pictures: all that are alike in size and way of coding together."""
        alike: dict[tuple[bool, torch.Size], list[Candidate]] = defaultdict(list)
        for one in chosen:
            alike[one.half, one.latents.shape[1:]].append(one)
        for (half, _), of_kind in alike.items():
            latents = torch.cat([one.latents for one in of_kind])
            places = np.concatenate([one.places for one in of_kind]).tolist()
            yield from zip(places, encode_latents(self.model, latents, step, half=half), strict=True)

    def picture(self, position: int) -> Pixels:
        """The picture at a position."""
        return read_picture(self.pictures, self.pictures.pictures[position], self.read)

    def pixels_of(self, position: int) -> int:
        """How many pixels the picture at a position has."""
        picture = self.pictures.pictures[position]
        return picture.width * picture.height

    def whole(self, pixels: Tensor) -> Tensor:
        """Raw latents of pictures (N, H, W, 3), uint8."""
        return self.autoencoder.encode_pictures(list(pixels.numpy()), self.autoencoder.reference.downsampling)

    def halves(self, pixels: Tensor) -> Tensor:
        """Raw latents of pictures (N, H, W, 3), uint8, at half size."""
        return self.whole(halve(pixels))

    def are_cheaper_at_half(self, pixels: Tensor, latents: Tensor, halves: Tensor, step: float) -> NDArray[np.bool_]:
        """(N,) whether the codes of pictures cost less at half size, if they are not refined."""
        whole, half = self.plain_costs(pixels, latents, halves, step)
        return (half < whole).numpy()

    def plain_costs(self, pixels: Tensor, latents: Tensor, halves: Tensor, step: float) -> tuple[Tensor, Tensor]:
        """(N,) bits that pictures cost at whole and at half size, distortion and all, if codes are not refined."""
        whole, half = (
            self._objective(step, half=half).cost_of_pictures(pixels, of_way)
            for half, of_way in ((False, latents), (True, halves))
        )
        return whole, half

    def _objective(self, step: float, *, half: bool) -> Objective:
        return Objective(autoencoder=self.autoencoder, rate=self._rate, step=step, half=half)

    def latents(
        self, positions: Sequence[int], progress: Callable[[int, int], None]
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Raw latents of some pictures, a batch of one size at a time."""
        multiple = self.autoencoder.reference.downsampling
        return encode_batches(self.pictures, positions, self.read, self.autoencoder, multiple, progress)


def cumulative(progress: Callable[[int, int], None], done: int, count: int) -> Callable[[int], None]:
    """Told how many more are done, it tells ``progress`` of all those that are."""

    def tell(more: int) -> None:
        nonlocal done
        done += more
        progress(done, count)

    return tell


def middle(pixels: Pixels) -> Pixels:
    """At most ``WINDOW`` pixels a side."""
    rows, columns = (slice(max(0, side - WINDOW) // 2, (side + WINDOW) // 2) for side in pixels.shape[:2])
    return pixels[rows, columns]


def overhead_of(pictures: Folder) -> int:
    """Bytes of an archive's file beside its codes, about: names, sizes, the codes' lengths."""
    count = len(pictures.pictures)
    names = len(serialize_names(pictures.names, count)) + len(serialize_sizes(pictures.sizes, count))
    # Beside the rest, a length and a PSNR of 11 bits each; first bytes of codes, counted with them, take 2 bits, not 8.
    return names + 384 + (11 + 11 - 6) * count // 8


def quantise_latents(latents: Tensor, step: float) -> np.ndarray:
    """(..., C, h, w) raw latents to symbols, int16; the inverse, up to rounding, is a multiplication by the step."""
    # Rounding down more (a dead zone) was measured: it loses more distortion than it saves bits.
    return (latents / step).round().clamp(-LARGEST, LARGEST).numpy().astype(np.int16)


def encode_latents(model: CodeModel, latents: Tensor, step: float, *, half: bool = False) -> list[bytes]:
    """Code of each of (N, C, h, w) raw latents, which may be of pictures at half size."""
    symbols = quantise_latents(latents, decoder_step(step, half=half))
    codes = encode_symbols(model, model_level(level_of(step), half=half), symbols)
    return list(map(mark_half_size, codes)) if half else codes
