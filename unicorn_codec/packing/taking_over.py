"""Taking over the codes that unpacked files carry, so that packing them again loses nothing.

find_carried: files > carried codes whose pixels are unchanged
take_over: carried codes > those as small as asked for > those that decode to the file's pixels
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

import numpy as np

from unicorn_codec.errors import FormatError
from unicorn_codec.format.carried_codes import CarriedCode, digest_of_pixels, parse_carried
from unicorn_codec.format.code_kinds import code_of_unit, is_avif, is_gray, mark_gray, parent_of_code, unit_of_code
from unicorn_codec.format.limits import MAX_DECODERS
from unicorn_codec.packing.packed import Coding
from unicorn_codec.packing.packed_decoding import PackedDecoder
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.pictures import recognise
from unicorn_codec.pictures.batches import batches_by_size
from unicorn_codec.pictures.code_carrying import LOSSLESS, code_in
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.pictures.picture_folder import read_original
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.pictures.transparency import has_alpha
from unicorn_codec.spool import Spool
from unicorn_codec.transform.folder_update import UpdatedModels

DRIFT = 2
"""Most levels of 255 by which a code may decode to other pixels than a lossless file holds: those of another device."""

LEAST_PSNR_DB = 35.0
"""Least PSNR of what a code decodes to and a file of lossy pixels, such as a JPEG of quality 95."""

MAX_CODINGS = MAX_DECODERS // 2
"""Most codings that are taken over: an archive has room for so many decoders, and for later generations."""

FINER = 0.8
"""Part of the step asked for down to which a finer code is taken over: it costs up to an eighth more bytes."""


UPDATE_SHARE = 1.0
"""Most bytes of an update, relative to those of the codes that need it, with which they are taken over."""


@dataclass(frozen=True, slots=True)
class TakenOver:
    """Codes that are taken over: ``SequencedPictures``, and ``CodeSource``. Codes of sequences refer to positions.

    Args:
        stored: codes by position.
        planes: opacity of transparent pictures by position, as it is stored.
        codings: by position.
    """

    stored: Spool = field(default_factory=Spool)
    planes: Spool = field(default_factory=Spool)
    codings: Mapping[int, Coding] = field(default_factory=dict)

    @property
    def positions(self) -> Set[int]:
        return self.codings.keys()

    def bytes_at(self, step: float) -> float:
        """Return the bytes of all codes, which no step changes."""
        del step
        return sum(len(self.stored[position]) for position in self.codings)

    def codes_at(self, step: float) -> Iterator[dict[int, bytes]]:
        """Yield all codes by position, which no step changes."""
        del step
        for position in sorted(self.codings):
            yield {position: self.stored[position]}

    def code(self, index: int) -> bytes:
        return self.stored[index]

    def tiles(self, index: int) -> Sequence[bytes]:
        return [self.stored[index]]

    def alpha(self, index: int) -> bytes | None:
        return self.planes.get(index)

    def some(self, positions: Set[int]) -> "TakenOver":
        """Return the codes of some positions, without those of sequences whose earlier pictures are not among them."""
        kept = {position for position in self.codings if position in positions}
        while lost := {
            position
            for position in kept
            if (parent := parent_of_code(self.stored[position])) is not None and parent not in kept
        }:
            kept -= lost
        return replace(
            self, codings={position: coding for position, coding in self.codings.items() if position in kept}
        )


@dataclass(frozen=True, slots=True)
class Carried:
    """Carried codes of a folder's pictures whose pixels are unchanged.

    Args:
        found: by position, without codes, opacity and updates.
        codes: the codes by position, as their archives had them.
        planes: opacity of transparent pictures by position.
        updates: payloads by SHA-256.
        lossless: positions of pictures whose files hold the very pixels of their codes.
    """

    found: Mapping[int, CarriedCode]
    codes: Spool
    planes: Spool
    updates: Mapping[bytes, bytes]
    lossless: Set[int]

    def as_taken(self) -> TakenOver:
        """Return the codes with their codings, without those whose update no file holds or is not worth its bytes."""
        of_update = Counter[bytes]()
        for position, carried in self.found.items():
            of_update[carried.update_sha256] += len(self.codes[position])
        codings = dict[int, Coding]()
        for position, carried in self.found.items():
            update = self.updates.get(carried.update_sha256)
            if update is not None and len(update) > UPDATE_SHARE * of_update[carried.update_sha256]:
                update = None
            if update is None and carried.update_sha256 and not is_avif(self.codes[position]):
                continue
            decoder = carried.decoder
            codings[position] = Coding(decoder.latent_step, decoder.level, update, decoder.short)
        usual = {coding for coding, _ in Counter(codings.values()).most_common(MAX_CODINGS)}
        codings = {position: coding for position, coding in codings.items() if coding in usual}
        parents = self._parents(codings)
        for position, parent in parents.items():
            code = self.codes[position]
            moved = code_of_unit(unit_of_code(code), parent)
            self.codes[position] = mark_gray(moved) if is_gray(code) else moved
        return TakenOver(self.codes, self.planes, codings).some(codings.keys())

    def _parents(self, codings: dict[int, Coding]) -> dict[int, int]:
        """Return the position that each code of a sequence depends on; those that lack it are taken out."""
        place_of = {(carried.archive_id, carried.index): position for position, carried in self.found.items()}
        parents = dict[int, int]()
        for position in list(codings):
            index = parent_of_code(self.codes[position])
            if index is None:
                continue
            place = place_of.get((self.found[position].archive_id, index), position)
            if place in codings and place != position:
                parents[position] = place
            else:
                del codings[position]
        return parents


def find_carried(
    pictures: PictureSource, models: UpdatedModels, progress: Callable[[int, int], None], spool: Callable[[], Spool]
) -> Carried:
    """Read the codes that files carry, of these models, and whose pixels are unchanged.

    Args:
        spool: makes one.
    """
    reference = models.autoencoder.reference.model(models.context_model.sha256)
    found, updates, lossless = dict[int, CarriedCode](), dict[bytes, bytes](), set[int]()
    codes, planes = spool(), spool()
    for position, picture in enumerate(pictures.folder.pictures):
        data = read_original(pictures.folder, picture)
        payload = code_in(data)
        progress(position + 1, len(pictures))
        if payload is None or position in pictures.tiled:
            continue
        try:
            carried = parse_carried(payload)
            parent_of_code(carried.code)
        except FormatError:
            continue
        if carried.update:
            updates[carried.update_sha256] = carried.update
        if carried.decoder.model != reference:
            continue
        if digest_of_pixels(pictures.with_alpha(position)) != carried.pixels_sha256:
            continue
        codes[position] = carried.code
        if carried.alpha:
            planes[position] = carried.alpha
        if recognise.recognise(data[: recognise.HEAD_BYTES]) in LOSSLESS:
            lossless.add(position)
        found[position] = replace(carried, code=b"", alpha=b"", update=b"")
    return Carried(found, codes, planes, updates, lossless)


def take_over(
    carried: Carried, wanted: Callable[[int, Coding, bytes], bool], pictures: PictureSource, shipped: UpdatedModels
) -> TakenOver:
    """Return the carried codes that are wanted, and that decode to the pixels of their files on this device.

    Args:
        wanted: says of a position, its coding and its code whether it is small enough.
        shipped: models without an update.
    """
    taken = carried.as_taken()
    taken = taken.some({p for p, coding in taken.codings.items() if wanted(p, coding, taken.stored[p])})
    good, positions = set[int](), sorted(taken.codings)
    sizes = [pictures.size_of(position) for position in positions]
    for batch in batches_by_size(sizes):
        some = [positions[place] for place in batch]
        good.update(_faithful(taken, some, carried.lossless, pictures, shipped))
    return taken.some(good)


def _faithful(
    taken: TakenOver, positions: Sequence[int], lossless: Set[int], pictures: PictureSource, shipped: UpdatedModels
) -> Iterator[int]:
    """Yield those of some positions, all of one size, whose codes decode to the pixels of their files."""
    first = taken.codings[positions[0]]
    decoder = PackedDecoder(codes=taken, main=first, other=taken.codings, shipped=shipped)
    try:
        decoded = list(decoder.read(positions, *pictures.size_of(positions[0]))())
    except FormatError:
        if len(positions) > 1:
            for position in positions:
                yield from _faithful(taken, [position], lossless, pictures, shipped)
        return
    for position, shown in zip(positions, decoded, strict=True):
        if is_faithful(pictures.with_alpha(position), shown, is_lossless=position in lossless):
            yield position


def is_faithful(read: Pixels, decoded: Pixels, *, is_lossless: bool) -> bool:
    """Return whether a code decodes to the pixels of a file, up to what devices and lossy formats change.

    Args:
        read, decoded: (H, W, 3), or (H, W, 4) with transparency, whose hidden colours do not count.
    """
    if read.shape != decoded.shape:
        return False
    if has_alpha(read) and not np.array_equal(read[..., 3], decoded[..., 3]):
        return False
    if not is_lossless:
        return psnr_db(read, decoded) >= LEAST_PSNR_DB
    difference = np.abs(read[..., :3].astype(np.int16) - decoded[..., :3])
    return int(difference[read[..., 3] > 0].max(initial=0) if has_alpha(read) else difference.max()) <= DRIFT
