"""Draw pictures of an archive next to AVIF pictures of as many bytes, as one JPEG.

    python benchmarks/compare_pictures.py --data cats-1000 grocery-1000 --out benchmarks/results/pictures.jpg

Each row is one picture, from one folder of ``--data``: the original, then for every rate the picture that an archive
of the whole selection returns, and the best of AVIF (speed 4, without its container) at full, half and quarter size
that takes no more bytes than that picture's code and its share of the archive's other bytes. Where even AVIF's
smallest file is larger, that one is shown. Captions give each picture's own bits per pixel and SSIMULACRA2.
"""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from autoencoder_rate import ssimulacra2_of
from PIL import Image, ImageDraw

from unicorn_codec.archive import Archive
from unicorn_codec.bench.rivals import BareAvif
from unicorn_codec.config import CodesOptions, Goal, Target
from unicorn_codec.packing.pack import pack
from unicorn_codec.pictures.metrics import psnr_db

RATES = (0.06, 0.2)
GAP, CAPTION = 6, 18
JPEG_QUALITY = 88

Cell = tuple[str, np.ndarray]
"""A caption and the pixels above it."""


def best_avif(picture: np.ndarray, most_bytes: float) -> tuple[int, np.ndarray]:
    """Return bytes and pixels of the best AVIF picture by PSNR that is small enough, or of the smallest one."""
    codec, shown = BareAvif(), Image.fromarray(picture)
    found = []
    for divisor in (1, 2, 4):
        small = shown.resize((shown.width // divisor, shown.height // divisor), Image.Resampling.LANCZOS)
        for quality in range(0, 80, 4):
            data = codec.encode_picture(np.asarray(small), quality)
            decoded = Image.fromarray(codec.decode_picture(data, small.size))
            found.append((len(data), np.asarray(decoded.resize(shown.size, Image.Resampling.LANCZOS))))
    fitting = [pair for pair in found if pair[0] <= most_bytes]
    return max(fitting, key=lambda pair: psnr_db(picture, pair[1])) if fitting else min(found, key=lambda pair: pair[0])


def compare_at(folder: Path, shown: Sequence[Path], rate: float) -> list[list[Cell]]:
    """Pack a folder at a rate; return two cells, the archive's picture and AVIF's, for each of the pictures shown."""
    output = folder.with_name(f"{rate}.uni")
    report = pack(folder, output, CodesOptions(target=Target(Goal.RATE, rate)))
    print(f"{rate}: {report.bits_per_pixel:.4f} bits per pixel, {report.measured.psnr_db.mean:.2f} dB", flush=True)
    archive = Archive.open(output)
    overhead = (report.file_bytes - archive.reader.footer.record_bytes) / len(archive)
    rows = []
    for path in shown:
        original = np.asarray(Image.open(path).convert("RGB"))
        (index,) = archive.find(path.name)
        own_bytes = archive.reader.row(index).length + overhead
        own_pixels = np.asarray(archive[index])
        avif_bytes, avif_pixels = best_avif(original, own_bytes)
        cells = []
        for codec, size, pixels in (("unicorn", own_bytes, own_pixels), ("AVIF", avif_bytes, avif_pixels)):
            score = ssimulacra2_of(original, pixels)
            bits_per_pixel = 8 * size / (original.shape[0] * original.shape[1])
            cells.append((f"{codec}  {bits_per_pixel:.3f} bpp, SSIMULACRA2 {score:.0f}", pixels))
        rows.append(cells)
    return rows


def draw_sheet(rows: Sequence[Sequence[Cell]]) -> Image.Image:
    """Draw rows of captioned pictures of one size."""
    height, width = rows[0][0][1].shape[:2]
    across, down = width + GAP, height + CAPTION + GAP
    sheet = Image.new("RGB", (across * len(rows[0]) - GAP, down * len(rows) - GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for y, row in enumerate(rows):
        for x, (caption, pixels) in enumerate(row):
            sheet.paste(Image.fromarray(pixels), (x * across, y * down))
            draw.text((x * across + 2, y * down + height + 2), caption, fill="black", font_size=13)
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of JPEG files of one size")
    parser.add_argument("--pictures", type=int, default=12, help="of each folder that the archive holds")
    parser.add_argument("--show", type=int, nargs="+", default=[2, 2], help="number of the picture of each folder")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="bits per pixel")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    selections = [sorted(folder.glob("*.jpg"))[: args.pictures] for folder in args.data]
    shown = [paths[number] for paths, number in zip(selections, args.show, strict=True)]
    rows: list[list[Cell]] = [[("original", np.asarray(Image.open(path).convert("RGB")))] for path in shown]
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "pictures"
        folder.mkdir()
        for path in (path for paths in selections for path in paths):
            shutil.copy(path, folder)
        for rate in args.rates:
            for row, cells in zip(rows, compare_at(folder, shown, rate), strict=True):
                row += cells
    draw_sheet(rows).save(args.out, "JPEG", quality=JPEG_QUALITY, subsampling=0, progressive=True, optimize=True)


if __name__ == "__main__":
    main()
