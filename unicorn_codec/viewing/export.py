"""One self-contained page of an archive's pictures."""

from collections.abc import Callable, Sequence
from pathlib import Path

from unicorn_codec.errors import FormatError, InvalidSetting
from unicorn_codec.pictures.file_writing import refuse_output, write_file
from unicorn_codec.viewing.catalogue import dates, listing
from unicorn_codec.viewing.gallery import Gallery
from unicorn_codec.viewing.pages import data_address, self_contained_gallery
from unicorn_codec.viewing.small_pictures import encode_small

MOST_EXPORTED = 500
EXPORTED_SIDE = 1600
"""Longest side of an exported picture in pixels."""


def export_gallery(
    gallery: Gallery,
    page: Path,
    indices: Sequence[int],
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> list[int]:
    """Write a page that holds pictures of an archive as WebP, at most ``EXPORTED_SIDE`` pixels a side.

    Args:
        indices: of the pictures.
        progress: called with the number of pictures that are done.

    Returns:
        The indices of pictures that could not be decoded, ascending; the page says so in their places.

    Raises:
        InvalidSetting: more than ``MOST_EXPORTED`` pictures are wanted, or none.
        OutputError: the page exists or cannot be written.
        PictureTooLarge, AutoencoderUnavailable, AutoencoderMismatch: as for ``Archive.iterate``.
    """
    if not indices:
        raise InvalidSetting(f"{gallery.title} holds no pictures to show")
    if len(indices) > MOST_EXPORTED:
        raise InvalidSetting(
            f"a page holds at most {MOST_EXPORTED} pictures, not {len(indices):,}: choose some by --index or --name"
        )
    refuse_output(page, overwrite=overwrite)
    pictures, lost = dict[int, str | None](), list[int]()

    def damaged(index: int, _: FormatError) -> None:
        lost.append(index)
        pictures[index] = None

    for index, pixels in gallery.iterate(indices, damaged):
        pictures[index] = data_address(encode_small(pixels, EXPORTED_SIDE), "image/webp")
        progress(len(pictures))
    listed = listing(gallery.reader, gallery.title, set(indices))
    order = listed["columns"]["index"]
    data = {
        "listing": listed,
        "dates": dates(gallery.reader, order),
        "facts": {index: {**gallery.facts(index), "download": None} for index in order if index not in lost},
        "pictures": pictures,
    }
    text = self_contained_gallery(gallery.title, data)
    write_file(page, [text.encode()], overwrite=overwrite)
    return sorted(lost)
