"""Verification of an archive: damage, and comparison with the original pictures."""

import hashlib
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

from unicorn_codec.archive import Archive
from unicorn_codec.config import MAX_PIXELS, OriginalOptions
from unicorn_codec.errors import AutoencoderUnavailable, CanaryWarning, DamagedSectionWarning, FormatError
from unicorn_codec.format.alpha_plane import MAX_ALPHA_ERROR
from unicorn_codec.format.integrity import problems_of
from unicorn_codec.format.pages import psnr_of_code
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.sources import is_url
from unicorn_codec.inspection import network_of
from unicorn_codec.measurement import Matching, Measured, PictureDistortion, measure
from unicorn_codec.pictures.limits import DAMAGE_NOTE
from unicorn_codec.pictures.picture_files import native_name, printable
from unicorn_codec.pictures.picture_folder import Folder, list_folder
from unicorn_codec.pictures.picture_table import Picture
from unicorn_codec.shards.inputs import InputFolder, Inputs, folder_of
from unicorn_codec.weights.weight_section import parse_tensors

Stage = Callable[[str, int, int], None]
"""Called with a stage's name, the number of pictures done, and the total."""


STORED_TOLERANCE_DB = 2.0
"""Tolerance of stored PSNRs, because other software may decode originals and archives with other last bits."""

TELLING_PSNR_DB = 50.0
"""Stored PSNRs above this are treated as this, because they depend on last bits."""


@dataclass(frozen=True, slots=True)
class BelowStored:
    """A picture whose PSNR is far below the stored one: it is damaged, or its original has changed."""

    name: str
    psnr_db: float
    stored_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """Outcome of ``verify``.

    Args:
        pictures: number of pictures in the archive.
        damage: damaged parts, one line each, with the affected pictures.
        measured: distortion of the pictures that both sides have; None if nothing was compared.
        differences: names that only one side has, and pictures whose size or transparency differs.
        below_floor: pictures below the quality floor, the worst first.
        below_stored: pictures far below their stored PSNR, the worst first.
    """

    pictures: int
    damage: tuple[str, ...] = ()
    measured: Measured | None = None
    differences: tuple[str, ...] = ()
    below_floor: tuple[PictureDistortion, ...] = ()
    below_stored: tuple[BelowStored, ...] = ()

    @property
    def ok(self) -> bool:
        return not (self.damage or self.differences or self.below_floor or self.below_stored)


def verify(
    path: Path | str,
    against: Inputs | None = None,
    *,
    min_psnr_db: float | None = None,
    min_ms_ssim: float | None = None,
    skip_unreadable: bool = False,
    ignore_others: bool = False,
    device: str = "auto",
    autoencoder: str | None = None,
    max_pixels: int = MAX_PIXELS,
    on_stage: Stage = lambda *_: None,
) -> VerifyReport:
    """Check all parts of an archive, decode its canary, and compare its pictures with originals.

    If the autoencoder is not available, the canary is not decoded, with a ``CanaryWarning``.

    Args:
        against: folder of the originals, or tar and parquet files, read as when the archive was packed. None compares
            nothing.
        min_psnr_db, min_ms_ssim: quality floor; pictures below it are reported.
        skip_unreadable: ignore unreadable pictures of the folder.
        ignore_others: ignore pictures of the folder that the archive lacks.
        autoencoder: hub name or folder, instead of the name in the file.
        max_pixels: larger pictures are refused.

    Raises:
        ArchiveUnreadable: the file is missing or not readable.
        FormatError: the file is damaged.
        AutoencoderMismatch: the loaded autoencoder is not the one of the file.
        AutoencoderUnavailable: the autoencoder is needed for the comparison, and cannot be loaded.
        DecoderMismatch: the canary decodes to other pixels than when the archive was packed.
        ImageFolderError: the folder, or a tar or parquet file, cannot be read.
        OutputError: there is no place to unpack tar or parquet files.
    """
    with warnings.catch_warnings():
        # Damage that the reader tolerates is listed below.
        warnings.simplefilter("ignore", DamagedSectionWarning)
        archive = Archive.open(path, device=device, autoencoder=autoencoder, max_pixels=max_pixels)
    with archive:
        damage = dict.fromkeys((*damage_of(archive.reader), *damage_of_files(archive)))
        report = VerifyReport(pictures=len(archive), damage=tuple(damage))
        if not report.damage:
            try:
                archive.check_canaries()
            except AutoencoderUnavailable as error:
                if against is not None:
                    raise
                warnings.warn(f"no picture was decoded: {error}", CanaryWarning, stacklevel=2)
        if against is None:
            return report
        with folder_of(against, None, lambda done, total: on_stage("unpacking", done, total)) as found:
            report = compared(
                report,
                archive,
                found,
                skip_unreadable=skip_unreadable,
                ignore_others=ignore_others,
                output=None if is_url(path) else Path(path),
                on_stage=on_stage,
            )
        floor = (min_psnr_db, min_ms_ssim)
        return report if report.measured is None else replace(report, below_floor=report.measured.below(*floor))


def compared(
    report: VerifyReport,
    archive: Archive,
    found: InputFolder,
    *,
    skip_unreadable: bool,
    ignore_others: bool,
    output: Path | None,
    on_stage: Stage,
) -> VerifyReport:
    """Return a report with the comparison of all pictures with originals in a folder, but for the quality floor.

    Args:
        output: path of the archive, which is no original even if it lies in the folder.
    """
    # Files accepted when packing are read in the same way; others have no picture in the archive.
    read = replace(archive.read_options, skip_unreadable=True, first_page=True, accept_damaged=True)
    read = replace(read, max_pixels=archive.max_pixels)
    # Where the archive holds other files too, the folder's are compared, hidden ones as well.
    kept = OriginalOptions(keep_others=archive.reader.footer.files > 0)
    originals = list_folder(found.root, read, lambda done, total: on_stage("reading", done, total), kept, output=output)
    originals = replace(originals, left_out=(*found.left_out, *originals.left_out))
    same, differences = compare_files(archive, originals.root)
    ignored = same | (damaged_names(originals) if skip_unreadable else set())
    matching, others = compare(archive, originals, ignore_others=ignore_others, ignored=ignored)
    differences += others
    if not ignore_others:
        differences += lacking(originals, skip_unreadable=skip_unreadable, ignored=same)
    report = replace(report, differences=tuple(differences))
    if not matching:
        return report
    pairs = Matching(list(matching), list(matching.values()))
    measured = measure(archive, originals, read, lambda done, total: on_stage("measuring", done, total), pairs)
    return replace(
        report,
        measured=measured,
        differences=(*report.differences, *changed_transparency(measured)),
        below_stored=below_stored(archive, measured),
    )


def damage_of(reader: ContainerReader) -> list[str]:
    """Read all parts of an archive, and return one line per damaged part."""
    problems = problems_of(reader)
    for number, decoder in enumerate(reader.footer.decoders):
        try:
            network = network_of(reader, decoder)
            if network is not None:
                parse_tensors(network.weights, network.header)
        except FormatError as error:
            problems.append(f"decoder {number}: {error}")
    return list(dict.fromkeys(problems))


def damage_of_files(archive: Archive) -> list[str]:
    """Restore every file that an archive holds whole, and return one line per file whose bytes do not come back."""
    problems = []
    for index in archive.iterate_indices(lambda *_: None):
        if not archive.is_whole(index):
            continue
        try:
            for _ in archive.file_pieces(index):
                pass
        except FormatError as error:
            who = f"picture {index} ({archive.names_of([index])[index]})"
            problems.append(f"{who}: " + str(error).removeprefix(f"picture {index}: "))
    return problems


def compare_files(archive: Archive, root: Path) -> tuple[set[str], list[str]]:
    """Compare the files that an archive holds whole with those of a folder, by their SHA-256.

    Returns:
        The printable names of those with the same bytes, and a line for each other one that is no picture, or differs.
    """
    same, differences = set[str](), list[str]()
    for index, name in archive.member_names.items():
        if not archive.is_whole(index):
            continue
        shown = printable(name)
        try:
            with open(root / native_name(name), "rb") as file:
                is_same = hashlib.file_digest(file, "sha256").digest() == archive.stored_file(index).sha256
        except OSError:
            if not archive.is_picture(index):
                differences.append(f"{shown}: not in the folder")
            continue
        except FormatError:  # it is listed as damage
            continue
        if is_same:
            same.add(shown)
        else:
            differences.append(f"{shown}: its bytes are not those of the archive")
    return same, differences


def damaged_names(originals: Folder) -> set[str]:
    """Return the printable names of pictures that ``pack`` takes only with ``accept_damaged``."""
    return {note.name for note in originals.notes if note.text.startswith(DAMAGE_NOTE)}


def compare(
    archive: Archive, originals: Folder, *, ignore_others: bool, ignored: Set[str] = frozenset()
) -> tuple[dict[int, Picture], list[str]]:
    """Find the original of each picture of an archive by exact name, else by the name in Unicode's normal form.

    Args:
        ignore_others: report no picture of the folder that the archive lacks.
        ignored: printable names that are not reported if one side lacks them.

    Returns:
        The original of each index, if it has the same size, and the differences between both sides.
    """
    indices, stored = list(archive.names), list(archive.names.values())
    pictures = originals.all_pictures
    names = [picture.name for picture in pictures]
    found = {indices[number]: position for number, position in match_names(stored, names).items()}
    matching, differences = dict[int, Picture](), list[str]()
    for index, position in found.items():
        original, size = pictures[position], archive.size(index)
        if size == (original.width, original.height):
            matching[index] = original
        else:
            differences.append(
                f"{printable(original.name)}: {original.width}x{original.height}, in the archive {size[0]}x{size[1]}"
            )
    positions = set(found.values())
    if not ignore_others:
        members = {*archive.member_names.values()}
        others = [printable(p.name) for number, p in enumerate(pictures) if number not in positions]
        others += [printable(file.name) for file in originals.others if file.name not in members]
        differences += [f"{name}: not in the archive" for name in others if name not in ignored]
    missing = (printable(name) for index, name in archive.names.items() if index not in found)
    return matching, differences + [f"{name}: not in the folder" for name in missing if name not in ignored]


def match_names(stored: Sequence[str], names: Sequence[str]) -> dict[int, int]:
    """Match stored names to ``names``, both by position: by equal text, else by a unique equal normal form."""
    exact = {name: position for position, name in enumerate(names)}
    found = {index: exact[name] for index, name in enumerate(stored) if name in exact}
    taken = set(found.values())
    left = [index for index in range(len(stored)) if index not in found]
    free = [position for position in range(len(names)) if position not in taken]
    by_form = [defaultdict[str, list[int]](list) for _ in range(2)]
    for table, numbers, texts in zip(by_form, (left, free), (stored, names), strict=True):
        for number in numbers:
            table[unicodedata.normalize("NFC", texts[number])].append(number)
    for form, indices in by_form[0].items():
        if len(indices) == len(positions := by_form[1].get(form, [])) == 1:
            found[indices[0]] = positions[0]
    return found


def lacking(originals: Folder, *, skip_unreadable: bool, ignored: Set[str] = frozenset()) -> list[str]:
    """List the pictures of a folder that cannot be compared because they cannot be packed, with the reasons.

    Args:
        ignored: printable names of those that were compared otherwise.
    """
    return [
        f"{file.name}: not compared ({file.reason})"
        for file in originals.left_out
        if file.is_picture and not (file.is_fault and skip_unreadable) and file.name not in ignored
    ]


def changed_transparency(measured: Measured) -> Iterator[str]:
    """Yield a line for each picture whose opacity differs by more than packing changes it."""
    for row in measured.rows:
        if row.alpha_error > MAX_ALPHA_ERROR:
            yield (
                f"{printable(row.name)}: its transparency differs by up to {row.alpha_error} levels of 255: "
                "the original has changed"
            )


def below_stored(archive: Archive, measured: Measured) -> tuple[BelowStored, ...]:
    """Return the pictures whose PSNR is far below the stored one, the worst first."""
    psnrs = {row.index: psnr_of_code(archive.reader.row(row.index).psnr) for row in measured.rows}
    stored = {index: psnr for index, psnr in psnrs.items() if psnr is not None}
    return tuple(
        BelowStored(row.name, row.psnr_db, stored[row.index])
        for row in measured.rows
        if row.index in stored and row.psnr_db < min(stored[row.index], TELLING_PSNR_DB) - STORED_TOLERANCE_DB
    )
