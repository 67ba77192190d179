"""Contact sheets: small pictures in rows, each with a caption, on one page or several."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from unicorn_codec.errors import FormatError, InvalidSetting, OutputError
from unicorn_codec.pictures.file_writing import refuse_output, write_file
from unicorn_codec.pictures.picture_files import printable
from unicorn_codec.pictures.pixels import PillowImage, Pixels, to_image

MAX_COLUMNS, MAX_ROWS, MIN_SIDE, MAX_SIDE = 100, 1000, 16, 2000
MAX_PAGE_PIXELS = 1 << 28
PAGED_FORMATS = ("PDF", "TIFF")
"""Formats of Pillow that hold several pages in one file."""

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

Decode = Callable[[Sequence[int], Callable[[int, FormatError], None]], Iterator[tuple[int, Pixels]]]
"""Yields index and pixels of some pictures in any order; calls a function for each damaged one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetLayout:
    """How a sheet is laid out.

    Args:
        columns, rows: of a page.
        side: longest side of a small picture in pixels.
        captions: whether index and name stand below each picture.
        background: colour of the page; texts are black or white on it.
        font: file of a TrueType or OpenType font for the captions; None: Pillow's own, which has Latin letters alone.
    """

    columns: int = 6
    rows: int = 8
    side: int = 200
    captions: bool = True
    background: Colour = (255, 255, 255)
    font: Path | None = None

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("columns", self.columns, 1, MAX_COLUMNS),
            ("rows", self.rows, 1, MAX_ROWS),
            ("side", self.side, MIN_SIDE, MAX_SIDE),
        ):
            if not least <= value <= most:
                raise InvalidSetting(f"{name} must be {least} to {most}, not {value}")
        width, height = self.page_size(self.rows)
        if width * height > MAX_PAGE_PIXELS:
            raise InvalidSetting(f"a page of {width}x{height} pixels is too large: lower --columns, --rows or --side")

    @property
    def gap(self) -> int:
        """Space between pictures, and around them."""
        return max(4, self.side // 14)

    @property
    def text_height(self) -> int:
        """Height of a caption's line."""
        return max(10, min(18, self.side // 13))

    @property
    def cell_height(self) -> int:
        """Height of a picture with its caption."""
        return self.side + (self.text_height + self.gap // 2 if self.captions else 0)

    def page_size(self, rows: int) -> tuple[int, int]:
        """Return width and height of a page with some rows."""
        return self.columns * (self.side + self.gap) + self.gap, rows * (self.cell_height + self.gap) + self.gap


def write_contact_sheet(
    path: Path,
    indices: Sequence[int],
    names: Mapping[int, str],
    decode: Decode,
    layout: SheetLayout,
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[list[Path], list[int]]:
    """Write a contact sheet in the format of the path's suffix, which is any that Pillow writes.

    Several pages become one file in PDF and TIFF; in other formats files such as ``sheet-2.jpg``.

    Args:
        indices: of the pictures, in order.
        names: for the captions.
        progress: called with the number of pictures that are done.

    Returns:
        The written files, and the indices of damaged pictures, in whose places the sheet says so.

    Raises:
        InvalidSetting: Pillow writes no such format, or the font cannot be read.
        OutputError: a file exists, or cannot be written.
    """
    kind, together = sheet_format(path), layout.columns * layout.rows
    font = load_font(layout)
    groups = [indices[start : start + together] for start in range(0, len(indices), together)]
    is_paged = kind in PAGED_FORMATS
    paths = [path] if is_paged or len(groups) == 1 else numbered(path, len(groups))
    for one in paths:
        refuse_output(one, overwrite=overwrite)
    lost, done = list[int](), 0

    def pages() -> Iterator[PillowImage]:
        nonlocal done
        for group in groups:
            small = dict[int, PillowImage]()
            for index, pixels in decode(group, lambda index, _: lost.append(index)):
                image = to_image(pixels)
                image.thumbnail((layout.side, layout.side), Image.Resampling.LANCZOS)
                small[index] = image
                done += 1
                progress(done)
            yield draw_page(group, small, names, layout, font)

    made = pages()
    if is_paged:
        write_file(path, [encoded_pages(list(made), kind)], overwrite=overwrite)
    else:
        for one, page in zip(paths, made, strict=True):
            write_file(one, [encoded_pages([page], kind)], overwrite=overwrite)
    return paths, lost


def sheet_format(path: Path) -> str:
    """Return Pillow's format for a path. Raises ``InvalidSetting`` if Pillow writes none of its suffix."""
    known = {suffix: kind for suffix, kind in Image.registered_extensions().items() if kind in Image.SAVE}
    kind = known.get(path.suffix.lower())
    if kind is None:
        raise InvalidSetting(f"contact sheets are written as jpg, png, webp, pdf, tif ..., not {path.suffix or path}")
    return kind


def numbered(path: Path, count: int) -> list[Path]:
    """Return the paths of several pages, such as ``sheet-07.jpg``."""
    digits = len(str(count))
    return [path.with_name(f"{path.stem}-{number:0{digits}}{path.suffix}") for number in range(1, count + 1)]


def load_font(layout: SheetLayout) -> Font:
    """Return the captions' font. Raises ``InvalidSetting`` if its file is none."""
    if layout.font is None:
        return ImageFont.load_default(layout.text_height * 0.8)
    try:
        return ImageFont.truetype(layout.font, round(layout.text_height * 0.8))
    except OSError as error:
        raise InvalidSetting(f"{layout.font} cannot be read as a font ({error})") from error


def draw_page(
    indices: Sequence[int],
    pictures: Mapping[int, PillowImage],
    names: Mapping[int, str],
    layout: SheetLayout,
    font: Font,
) -> PillowImage:
    """Return a page of small pictures; those that are missing are said to be damaged."""
    page = Image.new("RGB", layout.page_size(-(-len(indices) // layout.columns)), layout.background)
    draw = ImageDraw.Draw(page)
    is_dark = sum(layout.background) < 3 * 128
    ink, quiet = ((255, 255, 255), (150, 150, 150)) if is_dark else ((30, 30, 30), (110, 110, 110))
    for place, index in enumerate(indices):
        row, column = divmod(place, layout.columns)
        left = layout.gap + column * (layout.side + layout.gap)
        top = layout.gap + row * (layout.cell_height + layout.gap)
        picture = pictures.get(index)
        if picture is None:
            draw.rectangle((left, top, left + layout.side - 1, top + layout.side - 1), outline=quiet)
            draw.text((left + layout.side // 2, top + layout.side // 2), "damaged", quiet, font, anchor="mm")
        else:
            at = left + (layout.side - picture.width) // 2, top + (layout.side - picture.height)
            page.paste(picture, at, picture if picture.mode == "RGBA" else None)
        if layout.captions:
            text = fitted(f"{index}  {printable(names.get(index, '')).rsplit('/', 1)[-1]}", layout.side, font)
            draw.text((left + layout.side // 2, top + layout.side + layout.gap // 2), text, ink, font, anchor="ma")
    return page


def fitted(text: str, width: int, font: Font) -> str:
    """Return a text, with its middle left out where it is wider than ``width`` pixels."""
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        shorter = f"{text[: kept - kept // 2]}...{text[len(text) - kept // 2 :]}"
        if font.getlength(shorter) <= width:
            return shorter
    return text[:1]


def encoded_pages(pages: Sequence[PillowImage], kind: str) -> bytes:
    """Return the bytes of a file of pages. Raises ``OutputError`` if the format cannot hold them."""
    settings = {"quality": 90} if kind in ("JPEG", "WEBP", "AVIF") else {}
    if kind == "TIFF":
        settings = {"compression": "tiff_deflate"}  # type: ignore[dict-item]
    if len(pages) > 1:
        settings |= {"save_all": True, "append_images": list(pages[1:])}  # type: ignore[dict-item]
    encoded = io.BytesIO()
    try:
        pages[0].save(encoded, kind, **settings)
    except Exception as error:  # each of Pillow's writers has its own way to refuse a picture
        width, height = pages[0].size
        raise OutputError(f"a page of {width}x{height} pixels cannot be written as {kind} ({error})") from error
    return encoded.getvalue()
