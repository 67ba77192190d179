"""Pictures of an archive next to AVIF files of the same size, in one PNG for visual comparison.

    python benchmarks/compare_pictures.py --data cats-1000 --out benchmarks/results/cats.png

Each row shows a picture. For every rate there is its reconstruction from an archive of the whole selection, and the
best of AVIF (speed 4) at full, half and quarter size, upsampled, of no more bytes than the rate allows; below that,
AVIF's smallest file. Captions give each picture's bits per pixel and SSIMULACRA2. Rates at which the pictures cannot be
packed are left out.
"""

import argparse
import io
import shutil
import tempfile
from pathlib import Path

import numpy as np
from autoencoder_rate import ssimulacra2_of
from PIL import Image, ImageDraw

from unicorn_codec.archive import Archive
from unicorn_codec.config import CodesOptions, Goal, Target
from unicorn_codec.errors import InvalidSetting
from unicorn_codec.packing.pack import pack
from unicorn_codec.pictures.metrics import psnr_db

RATES = (0.03, 0.06, 0.1, 0.2)
GAP, CAPTION = 6, 16


def best_avif(picture: np.ndarray, most_bytes: float) -> tuple[int, np.ndarray]:
    """Return bytes and pixels of the AVIF file with the best PSNR among those small enough, or of the smallest one."""
    shown = Image.fromarray(picture)
    found = []
    for divisor in (1, 2, 4):
        small = shown.resize((shown.width // divisor, shown.height // divisor), Image.Resampling.LANCZOS)
        for quality in range(0, 80, 4):
            file = io.BytesIO()
            small.save(file, "AVIF", quality=quality, speed=4)
            decoded = Image.open(file).convert("RGB").resize(shown.size, Image.Resampling.LANCZOS)
            found.append((file.tell(), np.asarray(decoded)))
    fitting = [pair for pair in found if pair[0] <= most_bytes]
    return max(fitting, key=lambda pair: psnr_db(picture, pair[1])) if fitting else min(found, key=lambda pair: pair[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=200, help="pictures in the archive")
    parser.add_argument("--show", type=int, nargs="+", default=[7, 60, 121, 180])
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="target rates in bits per pixel")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    paths = sorted(args.data.glob("*.jpg"))[: args.pictures]
    shown = [paths[number] for number in args.show]
    originals = [np.asarray(Image.open(path).convert("RGB")) for path in shown]
    cells: list[list[tuple[str, np.ndarray]]] = [[("original", original)] for original in originals]
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "pictures"
        folder.mkdir()
        for path in paths:
            shutil.copy(path, folder)
        for rate in args.rates:
            output = Path(work) / f"{rate}.uni"
            try:
                report = pack(folder, output, CodesOptions(target=Target(Goal.RATE, rate)))
            except InvalidSetting as error:
                print(f"{rate}: left out, {error}", flush=True)
                continue
            print(
                f"{rate}: {report.bits_per_pixel:.4f} bits per pixel, {report.measured.psnr_db.mean:.2f} dB", flush=True
            )
            archive = Archive.open(output)
            assert archive.container.codes is not None
            streams = archive.container.codes.streams
            overhead = (report.file_bytes - sum(map(len, streams))) / len(streams)
            for row, path, original in zip(cells, shown, originals, strict=True):
                index = archive.names.index(path.name)
                own = len(streams[paths.index(path)]) + overhead
                size, decoded = best_avif(original, own)
                for codec, number, pixels in (("unicorn", own, np.asarray(archive[index])), ("AVIF", size, decoded)):
                    score = ssimulacra2_of(original, pixels)
                    row.append((f"{codec} {8 * number / original[..., 0].size:.3f} bpp, {score:.0f}", pixels))
    height, width = originals[0].shape[:2]
    sheet = Image.new("RGB", ((width + GAP) * len(cells[0]), (height + CAPTION + GAP) * len(cells)), "white")
    draw = ImageDraw.Draw(sheet)
    for y, row in enumerate(cells):
        for x, (caption, pixels) in enumerate(row):
            place = (x * (width + GAP), y * (height + CAPTION + GAP))
            sheet.paste(Image.fromarray(pixels), place)
            draw.text((place[0] + 2, place[1] + height + 1), caption, fill="black")
    sheet.save(args.out, optimize=True)


if __name__ == "__main__":
    main()
