"""Selection of a TIFF file's picture: its only full-size page."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from tifffile import TiffFile, TiffPage

from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.limits import check_single, refuse_loss
from unicorn_codec.pictures.picture_files import BadFile

MAX_PAGES = 1000
"""Maximum number of pages examined, because a damaged file can claim any number."""

NEW_SUBFILE_TYPE, SUBFILE_TYPE, DNG_VERSION = 254, 255, 50706
_REDUCED, _MASK = 1, 4
_OLD_REDUCED = 2
_RAW_PHOTOMETRICS = (32803, 34892)
"""Photometric interpretations of camera raw: colour filter array, and linear raw."""

_RAW_COMPRESSIONS = (32767, 32769, 32770, 34713, 65535)
"""Compressions of Sony, Epson, Samsung, Nikon and Pentax."""

_IMAGEJ_COUNT = re.compile(r"^images=(\d+)", re.MULTILINE)


def all_pages(tiff: TiffFile) -> list[TiffPage]:
    """Return the pages, each followed by its subpages; at most ``MAX_PAGES``."""
    return list(islice(_pages(tiff), MAX_PAGES))


def is_camera_raw(pages: Sequence[TiffPage]) -> bool:
    """Return whether a TIFF file holds a camera's sensor values, besides any previews."""
    return any(
        DNG_VERSION in page.tags or page.photometric in _RAW_PHOTOMETRICS or page.compression in _RAW_COMPRESSIONS
        for page in pages
    )


def choose_page(tiff: TiffFile, pages: Sequence[TiffPage], options: ReadOptions) -> tuple[TiffPage, list[str]]:
    """Return the picture's page, and notes on pages that the options allow to leave out.

    Reduced pages and masks are ignored. If all pages are reduced, the largest is the picture.

    Raises:
        BadFile: there are several pictures, or none.
    """
    if not pages:
        raise BadFile("it holds no page")
    whole = [page for page in pages if not _is_secondary(page)]
    chosen = whole[0] if whole else max(pages, key=lambda page: page.imagewidth * page.imagelength)
    notes = check_single(len(whole), "page", options)
    stacked = _IMAGEJ_COUNT.search(chosen.description or "") if tiff.is_imagej else None
    if stacked and int(stacked[1]) > len(pages):
        notes += check_single(int(stacked[1]), "picture", options)
    elif tiff.is_stk or tiff.is_lsm:
        notes += refuse_loss("it is a stack of microscope pictures, of which all but one would be lost", options)
    return chosen, notes


def _pages(tiff: TiffFile) -> Iterator[TiffPage]:
    for page in tiff.pages:
        assert isinstance(page, TiffPage)
        yield page
        if page.subifds:
            yield from (below for below in page.pages or () if isinstance(below, TiffPage))


def _is_secondary(page: TiffPage) -> bool:
    kind = _number(page, NEW_SUBFILE_TYPE)
    return bool(kind & (_REDUCED | _MASK)) or (kind == 0 and _number(page, SUBFILE_TYPE) == _OLD_REDUCED)


def _number(page: TiffPage, tag: int) -> int:
    value = page.tags.valueof(tag, 0)
    return value if isinstance(value, int) else 0
