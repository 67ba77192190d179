"""Whether an archive is whole, and whether its pictures are those of a folder."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from unicorn_codec.archive import Archive
from unicorn_codec.config import ReadOptions
from unicorn_codec.errors import AutoencoderUnavailable, CanaryWarning
from unicorn_codec.format.container import read_container
from unicorn_codec.measurement import Measured, PictureDistortion, measure
from unicorn_codec.pictures.images import MAX_PIXELS, list_folder
from unicorn_codec.pictures.picture_files import printable
from unicorn_codec.weights.weight_section import parse_tensors

Stage = Callable[[str, int, int], None]
"""Called with a stage's name, how many pictures went through it, and how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """Outcome of ``verify``.

    Args:
        pictures: number of pictures in the archive.
        measured: distortion of the pictures that both sides have; None where nothing was compared.
        differences: names that only one side has, and pictures of another size.
        below_floor: pictures below the quality floor, the worst first.
    """

    pictures: int
    measured: Measured | None = None
    differences: tuple[str, ...] = ()
    below_floor: tuple[PictureDistortion, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.differences and not self.below_floor


def verify(
    path: Path,
    against: Path | None = None,
    *,
    min_psnr_db: float | None = None,
    min_ms_ssim: float | None = None,
    skip_unreadable: bool = False,
    device: str = "auto",
    autoencoder: str | None = None,
    max_pixels: int = MAX_PIXELS,
    on_stage: Stage = lambda *_: None,
) -> VerifyReport:
    """Read everything that an archive holds, strictly, and decode its canary; compare its pictures with originals.

    Where the autoencoder is not at hand, the canary is not decoded, with a ``CanaryWarning``.

    Args:
        against: folder of the originals, read as when the archive was packed. None: nothing is compared.
        min_psnr_db, min_ms_ssim: quality floor; pictures below it are reported.
        skip_unreadable: leave unreadable files of the folder out instead of refusing it.
        autoencoder: hub name or folder, where it is not the one that the file names.
        max_pixels: larger pictures are refused.

    Raises:
        ArchiveUnreadable: the file is missing or may not be read.
        FormatError: the file is damaged.
        AutoencoderMismatch: the autoencoder at hand is another one than the file's.
        AutoencoderUnavailable: its autoencoder is needed to compare, and cannot be loaded.
        DecoderMismatch: the canary decodes to other pixels than when the archive was packed.
        ImageFolderError: the folder cannot be read.
    """
    container = read_container(path, strict=True)
    if container.weights is not None:
        parse_tensors(container.weights, container.header)
    pictures = container.header.pictures
    if container.canary is None and against is None:
        return VerifyReport(pictures=pictures)
    try:
        archive = Archive.from_container(container, device=device, autoencoder=autoencoder, max_pixels=max_pixels)
    except AutoencoderUnavailable as error:
        if against is not None:
            raise
        warnings.warn(f"no picture was decoded: {error}", CanaryWarning, stacklevel=2)
        return VerifyReport(pictures=pictures)
    archive.check_canary()
    if against is None:
        return VerifyReport(pictures=pictures)
    read = replace(archive.read_options, skip_unreadable=skip_unreadable)
    measured, differences = compare(archive, against, read, on_stage)
    below = () if measured is None else measured.below(min_psnr_db, min_ms_ssim)
    return VerifyReport(pictures=pictures, measured=measured, differences=tuple(differences), below_floor=below)


def compare(archive: Archive, folder: Path, read: ReadOptions, on_stage: Stage) -> tuple[Measured | None, list[str]]:
    """Compare an archive with a folder of originals.

    Returns:
        The distortion of the pictures that both have (None where there are none), and what differs between the two.
    """
    originals = list_folder(folder, read, lambda done, total: on_stage("reading", done, total))
    sizes = {name: archive.size(index) for index, name in enumerate(archive.names)}
    matching, differences = [], []
    for picture in originals.pictures:
        size = sizes.pop(picture.name, None)
        if size is None:
            differences.append(f"{printable(picture.name)}: not in the archive")
        elif size != (picture.width, picture.height):
            differences.append(
                f"{printable(picture.name)}: {picture.width}x{picture.height}, in the archive {size[0]}x{size[1]}"
            )
        else:
            matching.append(picture)
    differences += [f"{printable(name)}: not in the folder" for name in sizes]
    if not matching:
        return None, differences
    both = replace(originals, pictures=tuple(matching))
    return measure(archive, both, read, lambda done, total: on_stage("measuring", done, total)), differences
