"""Encoding of a folder's pictures at a step, repeatedly if rate control requires it.

LatentSource > CandidateChooser > write_codes, and the codes of sequences
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor

from unicorn_codec.checkpoints import CodesCheckpoint
from unicorn_codec.codes.context_model import ContextModel, level_of
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.format.packed_bytes import pack_bytes
from unicorn_codec.format.picture_tiles import join_codes
from unicorn_codec.packing.candidates import Candidate, CandidateChooser, Ways
from unicorn_codec.packing.code_writer import write_codes
from unicorn_codec.packing.observer import cumulative
from unicorn_codec.packing.packed import Codes, Coding
from unicorn_codec.packing.picture_source import LatentSource, PictureSource
from unicorn_codec.packing.refinement import FINEST
from unicorn_codec.packing.taking_over import TakenOver
from unicorn_codec.spool import Spool, SpooledCodes
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.folder_update import UpdatedModels

FINEST_OF_SEQUENCES = 1 / 16
"""The finest step at which the quality of a sequence still increases."""

WRITTEN_TOGETHER = {"cpu": 1 << 21, "cuda": 1 << 23}
"""Approximate pixels of the pictures whose codes are written together, by kind of device. Entropy coding takes as long
for dozens of small pictures as for one. A crash loses pending codes, on a CPU minutes of work."""


class SequencedPictures(Protocol):
    """Pictures of a folder that are not coded as latents: stored as AVIF, in sequences or alone, or taken over.

    Attributes:
        positions: of the pictures.
    """

    @property
    def positions(self) -> Set[int]: ...

    def bytes_at(self, step: float) -> float:
        """Estimate the bytes of their codes, with the trade-off between rate and distortion of a quantisation step."""

    def codes_at(self, step: float) -> Iterator[dict[int, bytes]]:
        """Yield their codes by position, some at a time."""


class PicturesAsAvif:
    """Pictures that are stored as AVIF, as sequences or alone, or taken over; or none at all.

    Args:
        parts: without a common picture.
    """

    def __init__(self, *parts: SequencedPictures) -> None:
        self._parts = parts
        self.positions: Set[int] = frozenset(position for part in parts for position in part.positions)

    def bytes_at(self, step: float) -> float:
        return sum(part.bytes_at(step) for part in self._parts)

    def codes_at(self, step: float) -> Iterator[dict[int, bytes]]:
        for part in self._parts:
            yield from part.codes_at(step)


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderEncoder:
    """Encodes a folder at any step.

    Args:
        latents: from the shipped encoder.
        chooser: decodes as the archive will.
        model: context model of the codes.
        sequences: pictures that are not coded by latents.
        taken: codes that are taken over, which are also among the sequences.
        shipped: models without the update.
        factors: by which a picture's step is another one than the folder's, by position.
        checkpoint: stores refined codes; None stores none.
        update: payload of the update that the models have; None without one.
        alphas: opacity of transparent pictures by position.
        overhead_bytes: bytes of the file besides codes and update, see ``estimate_overhead``.
        work: folder of temporary files; None: the system's.
        share: of the archive's pixels, in these pictures; less than 1 if they are a sample of them.
    """

    latents: LatentSource
    chooser: CandidateChooser
    model: ContextModel
    shipped: UpdatedModels
    sequences: SequencedPictures = field(default_factory=PicturesAsAvif)
    taken: TakenOver = field(default_factory=TakenOver)
    factors: Mapping[int, float] = field(default_factory=dict)
    checkpoint: CodesCheckpoint | None = None
    update: bytes | None = None
    alphas: Spool = field(default_factory=Spool)
    overhead_bytes: int
    work: Path | None = None
    share: float = 1.0

    @property
    def pictures(self) -> PictureSource:
        return self.latents.pictures

    @property
    def autoencoder(self) -> PackagedAutoencoder:
        """The autoencoder, with the update."""
        return self.chooser.autoencoder

    def with_taken(self, taken: TakenOver) -> "FolderEncoder":
        """Return an encoder that takes codes over."""
        for position in taken.codings.keys() & taken.planes.keys():
            self.alphas[position] = taken.planes[position]
        return replace(self, taken=taken, sequences=PicturesAsAvif(taken))

    def with_sequences(self, sequences: SequencedPictures) -> "FolderEncoder":
        """Return an encoder that stores some pictures as sequences."""
        return replace(self, sequences=sequences)

    @property
    def models(self) -> UpdatedModels:
        """The models, with the update."""
        return UpdatedModels(self.autoencoder, self.model)

    def with_update(self, update: bytes) -> "FolderEncoder":
        """Return an encoder with an update of the models; this one must have none."""
        assert self.update is None, "updates do not add up"
        models = self.models.with_update(update)
        rate = RateModel.of(models.context_model).to(models.autoencoder.device)
        return replace(
            self,
            latents=LatentSource(self.pictures, models.autoencoder),
            chooser=replace(
                self.chooser, autoencoder=models.autoencoder, rate=rate, ways=Ways(), ways_of_middles=Ways()
            ),
            model=models.context_model,
            update=update,
        )

    @property
    def finest(self) -> float:
        """The finest step that has an effect."""
        return FINEST_OF_SEQUENCES if self.sequences.positions else FINEST

    @property
    def coarsest(self) -> float:
        """The coarsest step."""
        return coarsest_step(self.autoencoder.network.max_step)

    @property
    def overhead(self) -> int:
        """Estimated bytes of the file besides its codes."""
        return self.overhead_bytes + len(self.update or b"") + self.alphas.total

    def file_bytes(self, codes: Codes) -> int:
        """Estimate the bytes of the file with these codes."""
        return self.overhead + sum(map(len, codes.streams))

    def encode(self, step: float, progress: Callable[[int, int], None], *, rounds: int = 0) -> Codes:
        """Return codes of all pictures, by position. Those of latents have a step of at least ``FINEST``.

        Args:
            progress: called with the number of pixels that are coded, and of all.
        """
        count, pixels = len(self.pictures), self.pictures.pixels
        kept = self.checkpoint if rounds else None
        if kept is not None:
            update = hashlib.sha256(self.update or b"").hexdigest()
            masks = "" if self.pictures.masks is None else f", masks {self.pictures.masks.digest}"
            factors = sorted(self.factors.items())
            kept.begin(f"step {step!r}, {rounds} rounds, update {update}, factors {factors}{masks}")
        codes, in_sequences = Spool(self.work) if kept is None else kept.codes, Spool(self.work)
        done = sum(map(self.pictures.pixels_of, codes))
        for some_codes in self.sequences.codes_at(step):
            for position, code in some_codes.items():
                is_taken = position in self.taken.codings
                in_sequences[position] = code if is_taken else self.pictures.mark_if_gray(position, code)
                done += self.pictures.pixels_of(position)
            progress(done, pixels)
        add = cumulative(progress, done, pixels)
        step = max(step, FINEST)

        def keep(position: int, code: bytes) -> None:
            if kept is None:
                codes[position] = code
            else:
                kept.add(position, code)

        tiled = self.pictures.tiled
        for batch, latents in self.latents.all_but(self.sequences.positions | tiled):
            of_step: dict[float, list[int]] = {}
            for place, position in enumerate(batch):
                if position not in codes:
                    of_step.setdefault(self.step_of(position, step), []).append(place)
            for own, places in of_step.items():
                some = latents if len(places) == len(batch) else latents[places]  # which copies them
                for position, code in self.encode_batch([batch[p] for p in places], some, own, rounds, add):
                    keep(position, self.pictures.mark_if_gray(position, code))
        for position in sorted(position for position in tiled if position not in codes):
            keep(position, join_codes(self.encode_tiles(position, step, rounds, add)))
        streams = SpooledCodes(codes, count, in_sequences, self.sequences.positions)
        main = Coding(step, level_of(step), self.update)
        steps = {position: self.step_of(position, step) for position in self.factors.keys() - self.sequences.positions}
        codings = {position: Coding(one, level_of(one), self.update) for position, one in steps.items()}
        codings.update(self.taken.codings)
        other = {position: coding for position, coding in codings.items() if coding != main}
        return Codes(level=main.level, model_sha256=self.model.sha256, streams=streams, other=other)

    def step_of(self, position: int, step: float) -> float:
        """Return the step of the picture at a position, where ``step`` is the folder's."""
        return min(max(FINEST, step * self.factors.get(position, 1.0)), self.coarsest)

    def encode_batch(
        self,
        batch: Sequence[int],
        latents: Tensor,
        step: float,
        rounds: int,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Iterator[tuple[int, bytes]]:
        """Yield positions and codes of pictures of one size, in any order.

        Args:
            progress: called with the number of pixels chosen since the last call; their codes may come later.
        """
        waiting: list[Candidate] = []
        most = WRITTEN_TOGETHER[self.autoencoder.device.type]
        try:
            with closing(self.chooser.choose(batch, latents, step, rounds, progress)) as choices:
                for chosen in choices:
                    waiting += chosen
                    if sum(one.places.size for one in waiting) * self.pictures.pixels_of(batch[0]) >= most:
                        yield from write_codes(self.model, waiting, step)
                        waiting = []
        except KeyboardInterrupt:  # what was refined until now belongs into the checkpoint
            yield from write_codes(self.model, waiting, step)
            raise
        yield from write_codes(self.model, waiting, step)

    def encode_tiles(self, position: int, step: float, rounds: int, progress: Callable[[int], None]) -> list[bytes]:
        """Return the codes of the tiles of a large picture, each of which is coded as a picture of its own."""
        tiles = self.pictures.tiles_of(position)
        latents = LatentSource(tiles, self.autoencoder)
        encoder = replace(
            self,
            latents=latents,
            chooser=replace(self.chooser, pictures=tiles, ways=Ways(), ways_of_middles=Ways()),
            checkpoint=None,
        )
        codes = dict[int, bytes]()
        for batch, of_batch in latents.of(range(len(tiles))):
            codes |= encoder.encode_batch(batch, of_batch, step, rounds, progress)
        return [self.pictures.mark_if_gray(position, codes[number]) for number in range(len(tiles))]

    def estimate_file_bytes(self, step: float, progress: Callable[[int, int], None]) -> float:
        """Estimate the bytes of the file without refinement, and without writing codes of latents."""
        add = cumulative(progress, 0, self.pictures.pixels)
        code_bytes = 0.0
        for some_codes in self.sequences.codes_at(step):
            code_bytes += sum(map(len, some_codes.values()))
            add(sum(map(self.pictures.pixels_of, some_codes)))
        step = max(step, FINEST)
        for batch, latents in self.latents.all_but(self.sequences.positions):
            for chosen in self.chooser.choose(batch, latents, step, 0, add):
                code_bytes += sum(float(np.sum(self.chooser.code_bytes(one, step))) for one in chosen)
        return self.overhead + code_bytes


def coarsest_step(max_step: float) -> float:
    """Return the coarsest step of codes, at which those of half size use ``max_step``, the coarsest one of training.

    At coarser steps than the trained ones, half-size codes are cheaper than full-size codes.
    """
    return 2 * max_step


def estimate_overhead(pictures: PictureSource) -> int:
    """Estimate the bytes of a file besides codes and update: names, sizes, lengths of codes."""
    folder, count = pictures.folder, len(pictures)
    names = len(pack_bytes("\n".join(folder.names).encode()))
    # A record adds 4 to 6 bytes to its code, its row in the index numbers of 11 and 7 bits.
    return names + 300 + 5 * len(set(pictures.sizes)) + (4 * 8 + 11 + 7) * count // 8
