"""Files of many formats and modes, read as packing reads them, against ImageMagick and libtiff's tools.

    python benchmarks/mixed_formats.py --output benchmarks/results/mixed_formats.md

One small scene is written by Pillow, tifffile, imagecodecs and ImageMagick in the modes that each of them can write.
A file is right if it comes back within 36 dB of what ImageMagick or tiff2rgba shows; as written if it does not, but is
within 36 dB of the scene that was written (the tools differ, or cannot read it); named if it is refused; else wrong.
Needs ``convert`` and ``tiff2rgba`` on the path.
"""

import argparse
import io
import math
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.picture_files import BadFile
from unicorn_codec.pictures.reading import decode_picture

WIDTH, HEIGHT = 96, 64
MIN_PSNR_DB = 36.0
VERDICTS = ("right", "as written", "named", "wrong")
TIFF_COMPRESSIONS = ("tiff_lzw", "tiff_deflate", "packbits", "zstd", "jpeg", "tiff_adobe_deflate", "lzma")


@dataclass(frozen=True, slots=True)
class Sample:
    """A file to be read: who wrote it, and how."""

    writer: str
    kind: str
    name: str
    data: bytes | bytearray

    @property
    def scene(self) -> np.ndarray:
        """What was written, on white, as far as the name says."""
        mode, words = self.name.split(" ")[0], self.name.lower()
        is_gray = mode in ("L", "LA", "I", "F", "I;16") or any(word in words for word in ("gray", "minis"))
        shown = np.repeat(GRAY[..., None], 3, 2) if is_gray else SCENE
        if "alpha" in words or "RGBA" in self.name or mode == "LA":
            opacity = ALPHA[..., None] / 255
            shown = np.rint(shown * opacity + 255 * (1 - opacity)).astype(np.uint8)
        return np.rot90(shown, -1) if "turned" in words else shown


def scene() -> np.ndarray:
    """A smooth picture with discs, (H, W, 3) uint8, without symmetry."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    shown = np.stack([60 + 120 * x / WIDTH, 190 - 100 * y / HEIGHT, 200 - 120 * y / HEIGHT], -1)
    discs = (
        (20, 16, 9, (230, 40, 40)),
        (70, 20, 11, (40, 190, 60)),
        (34, 48, 10, (40, 60, 220)),
        (76, 50, 6, (250, 250, 250)),
    )
    for cx, cy, radius, colour in discs:
        inside = np.clip(0.5 - (np.hypot(x - cx, y - cy) - radius) / 3, 0, 1)[..., None]
        shown = shown * (1 - inside) + np.array(colour) * inside
    return np.rint(np.clip(shown, 0, 255)).astype(np.uint8)


SCENE = scene()
GRAY = np.asarray(Image.fromarray(SCENE).convert("L"))
ALPHA = np.broadcast_to(np.rint(np.linspace(0, 255, WIDTH)), (HEIGHT, WIDTH)).astype(np.uint8)


def turned() -> Image.Exif:
    """EXIF of a picture to be shown turned to the right."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def by_pillow() -> Iterator[Sample]:
    """Every mode that each of Pillow's writers takes."""
    full = Image.fromarray(np.dstack([SCENE, ALPHA]))
    images = {mode: full.convert(mode) for mode in ("1", "L", "LA", "RGB", "RGBA", "CMYK", "YCbCr")}
    images["P"] = images["RGB"].quantize(256, dither=Image.Dither.NONE)
    images["PA"] = images["P"].convert("PA")
    images["RGBX"] = images["RGB"].convert("RGBX")
    images["I;16"] = Image.fromarray(GRAY.astype(np.uint16) * 257)
    images["I"] = images["L"].convert("I")
    images["F"] = Image.fromarray(GRAY.astype(np.float32) / 255)
    images["RGB, turned"] = images["RGB"]
    settings: list[tuple[str, str, dict[str, Any]]] = [
        ("PNG", "", {}),
        ("JPEG", "4:4:4", {"quality": 97, "subsampling": 0}),
        ("JPEG", "4:2:0, progressive", {"quality": 97, "subsampling": 2, "progressive": True}),
        ("WEBP", "lossless", {"lossless": True}),
        ("WEBP", "lossy", {"quality": 98}),
        ("AVIF", "4:4:4", {"quality": 97, "subsampling": "4:4:4"}),
        ("AVIF", "4:2:0", {"quality": 98, "subsampling": "4:2:0"}),
        ("BMP", "", {}),
        ("DIB", "", {}),
        ("GIF", "", {}),
        ("TIFF", "", {}),
        *[("TIFF", name, {"compression": name}) for name in TIFF_COMPRESSIONS],
        ("TIFF", "group3", {"compression": "group3"}),
        ("TIFF", "group4", {"compression": "group4"}),
    ]
    for kind, how, options in settings:
        for mode, image in images.items():
            if how.startswith("group") and mode != "1":
                continue
            more = {"exif": turned()} if mode == "RGB, turned" else {}
            try:
                buffer = io.BytesIO()
                image.save(buffer, kind, **options, **more)
            except Exception:  # noqa: BLE001 - each writer refuses modes in its own way
                continue
            yield Sample("Pillow", kind, f"{mode} {how}".strip(), buffer.getvalue())


def by_tifffile() -> Iterator[Sample]:
    """Sample types, layouts and compressions of TIFF."""

    def written(values: np.ndarray, **how: Any) -> bytes:
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, values, metadata=None, **how)
        return buffer.getvalue()

    wide = {"u1": SCENE, "u2": SCENE.astype(np.uint16) * 257, "u4": SCENE.astype(np.uint32) * 16843009}
    for dtype, values in wide.items():
        gray = np.rint(values.astype(float) @ [0.299, 0.587, 0.114]).astype(values.dtype)
        for order in "<>":
            end = "big endian" if order == ">" else "little endian"
            yield Sample("tifffile", "TIFF", f"RGB {dtype} {end}", written(values, photometric="rgb", byteorder=order))
            planar = written(np.moveaxis(values, 2, 0), photometric="rgb", planarconfig="separate", byteorder=order)
            yield Sample("tifffile", "TIFF", f"RGB {dtype} planar {end}", planar)
            for photometric in ("minisblack", "miniswhite"):
                shown = gray if photometric == "minisblack" else ~gray
                data = written(shown, photometric=photometric, byteorder=order)
                yield Sample("tifffile", "TIFF", f"{photometric} {dtype} {end}", data)
        for compression in ("zlib", "lzw", "packbits", "zstd", "lzma", "png", "webp", "jpegxl", "jpeg2000", "lerc"):
            for more in ({}, {"predictor": True}, {"tile": (32, 32)}):
                name = " ".join(("RGB", dtype, compression, *more))
                try:
                    data = written(values, photometric="rgb", compression=compression, **more)
                    if not np.array_equal(tifffile.imread(io.BytesIO(data)), values):
                        continue  # more bits than the compression holds
                except Exception:  # noqa: BLE001 - not every compression takes every type
                    continue
                yield Sample("tifffile", "TIFF", name, data)
    for kind, extra in (("straight", "unassalpha"), ("premultiplied", "assocalpha"), ("unspecified", "unspecified")):
        colours = np.rint(SCENE * (ALPHA[..., None] / 255)).astype(np.uint8) if extra == "assocalpha" else SCENE
        tone = np.rint(GRAY * (ALPHA / 255)).astype(np.uint8) if extra == "assocalpha" else GRAY
        layered = np.dstack([colours, ALPHA])
        yield Sample("tifffile", "TIFF", f"RGB {kind} alpha", written(layered, photometric="rgb", extrasamples=[extra]))
        deep = layered.astype(np.uint16) * 257
        yield Sample("tifffile", "TIFF", f"RGB u2 {kind} alpha", written(deep, photometric="rgb", extrasamples=[extra]))
        data = written(np.dstack([tone, ALPHA]), photometric="minisblack", extrasamples=[extra], planarconfig="contig")
        yield Sample("tifffile", "TIFF", f"gray {kind} alpha", data)
    ink = np.dstack([255 - SCENE, GRAY * 0])
    yield Sample("tifffile", "TIFF", "CMYK", written(ink, photometric="separated"))
    yield Sample("tifffile", "TIFF", "CMYK u2", written(ink.astype(np.uint16) * 257, photometric="separated"))
    palette = Image.fromarray(SCENE).quantize(256, dither=Image.Dither.NONE)
    table = np.asarray(palette.getpalette("RGB"), np.uint16).reshape(-1, 3).T
    table = np.pad(table, ((0, 0), (0, 256 - table.shape[1]))) * 257
    yield Sample("tifffile", "TIFF", "palette", written(np.asarray(palette), photometric="palette", colormap=table))
    yield Sample("tifffile", "TIFF", "bilevel", written(GRAY > 120, photometric="minisblack"))
    yield Sample("tifffile", "TIFF", "RGB BigTIFF", written(SCENE, photometric="rgb", bigtiff=True))
    for bits in (2, 4):
        try:
            data = written(GRAY >> (8 - bits), photometric="minisblack", bitspersample=bits)
        except Exception:  # noqa: BLE001 - as above
            continue
        yield Sample("tifffile", "TIFF", f"gray of {bits} bits", data)


def by_imagecodecs() -> Iterator[Sample]:
    """Depths that Pillow does not write."""
    deep = SCENE.astype(np.uint16) * 257
    layered = np.dstack([SCENE, ALPHA])
    yield Sample("imagecodecs", "PNG", "RGB u2", imagecodecs.png_encode(deep))
    yield Sample("imagecodecs", "PNG", "gray u2", imagecodecs.png_encode(GRAY.astype(np.uint16) * 257))
    yield Sample("imagecodecs", "PNG", "RGBA u2", imagecodecs.png_encode(layered.astype(np.uint16) * 257))
    gray = np.dstack([GRAY, ALPHA]).astype(np.uint16) * 257
    yield Sample("imagecodecs", "PNG", "gray alpha u2", imagecodecs.png_encode(gray))
    for bits in (8, 10, 12):
        scaled = np.rint(SCENE.astype(float) * ((1 << bits) - 1) / 255).astype(np.uint8 if bits == 8 else np.uint16)
        yield Sample(
            "imagecodecs", "AVIF", f"{bits} bits", imagecodecs.avif_encode(scaled, level=97, bitspersample=bits)
        )
    yield Sample("imagecodecs", "WEBP", "lossless RGBA", imagecodecs.webp_encode(layered, lossless=True))
    for subsampling in ("444", "422", "420", "411", "440"):
        data = imagecodecs.jpeg8_encode(SCENE, level=98, subsampling=subsampling)
        yield Sample("imagecodecs", "JPEG", subsampling, data)
    yield Sample("imagecodecs", "JPEG", "gray", imagecodecs.jpeg8_encode(GRAY, level=98))
    yield Sample("imagecodecs", "JPEG", "12 bits", imagecodecs.jpeg8_encode(deep >> 4, level=98, bitspersample=12))
    yield Sample("imagecodecs", "BMP", "RGB", imagecodecs.bmp_encode(SCENE))
    yield Sample("imagecodecs", "JPEG XL", "lossless", imagecodecs.jpegxl_encode(SCENE, lossless=True))
    yield Sample("imagecodecs", "JPEG 2000", "lossless", imagecodecs.jpeg2k_encode(SCENE, reversible=True))


def by_imagemagick(work: Path) -> Iterator[Sample]:
    """Types and depths of ImageMagick."""
    source, clear = work / "source.png", work / "clear.png"
    Image.fromarray(SCENE).save(source)
    Image.fromarray(np.dstack([SCENE, ALPHA])).save(clear)
    variants: list[tuple[str, str, str]] = []
    for depth in (1, 2, 4, 8, 10, 12, 16, 32):
        for kind in ("TrueColor", "Grayscale"):
            variants.append(("TIFF", f"{kind} {depth} bits", f"-type {kind} -depth {depth}"))
    variants += [
        ("TIFF", f"float {depth}", f"-define quantum:format=floating-point -depth {depth}") for depth in (16, 32, 64)
    ]
    variants += [("TIFF", f"{c}", f"-compress {c}") for c in ("None", "LZW", "Zip", "RLE", "JPEG", "Zstd", "LZMA")]
    variants += [("TIFF", f"{c}", f"-monochrome -compress {c}") for c in ("Fax", "Group4")]
    variants += [
        ("TIFF", "CMYK", "-colorspace CMYK"),
        ("TIFF", "Lab", "-colorspace Lab"),
        ("TIFF", "Lab 16 bits", "-colorspace Lab -depth 16"),
        ("TIFF", "YCbCr", "-colorspace YCbCr"),
        ("TIFF", "palette", "-type Palette"),
        ("TIFF", "planar", "-interlace plane"),
        ("TIFF", "MinIsWhite", "-type Grayscale -define quantum:polarity=min-is-white"),
        ("TIFF", "MinIsWhite 16 bits", "-type Grayscale -depth 16 -define quantum:polarity=min-is-white"),
        ("TIFF", "tiles", "-define tiff:tile-geometry=32x32"),
        ("TIFF", "big endian", "-endian MSB -depth 16"),
        ("TIFF", "fill order", "-define tiff:fill-order=lsb"),
        ("PNG", "interlaced", "-interlace PNG"),
        ("PNG", "interlaced 16 bits", "-interlace PNG -depth 16"),
        ("BMP", "24 bits", ""),
        ("BMP3", "24 bits", ""),
        ("BMP3", "palette", "-type Palette"),
        ("BMP3", "RLE", "-type Palette -compress RLE"),
        ("BMP2", "palette", "-type Palette"),
        ("GIF", "", ""),
        ("GIF87", "", ""),
        ("JPEG", "quality 98", "-quality 98"),
        ("JPEG", "CMYK", "-quality 98 -colorspace CMYK"),
        ("JPEG", "gray", "-quality 98 -type Grayscale"),
        ("JPEG", "progressive", "-quality 98 -interlace JPEG"),
        ("WEBP", "quality 98", "-quality 98"),
    ]
    variants += [(f"PNG{n}", "", "") for n in (8, 24, 32, 48, 64)]
    for kind, name, options in variants:
        for alpha, path in (("", source), (" alpha", clear)):
            if alpha and kind in ("JPEG", "BMP2", "GIF87"):
                continue
            made = subprocess.run(["convert", path, *options.split(), f"{kind}:-"], capture_output=True)
            if made.returncode == 0 and made.stdout:
                yield Sample("ImageMagick", kind, f"{name}{alpha}".strip(), made.stdout)


def shown_by_imagemagick(path: Path) -> np.ndarray | None:
    """What ImageMagick shows on white, (H, W, 3) uint8."""
    options = [
        "-auto-orient",
        "-background",
        "white",
        "-alpha",
        "remove",
        "-alpha",
        "off",
        "-colorspace",
        "sRGB",
        "-depth",
        "8",
    ]
    made = subprocess.run(["convert", f"{path}[0]", *options, "ppm:-"], capture_output=True)
    return (
        None if made.returncode or not made.stdout else np.asarray(Image.open(io.BytesIO(made.stdout)).convert("RGB"))
    )


def shown_by_libtiff(path: Path) -> np.ndarray | None:
    """What tiff2rgba shows on white, (H, W, 3) uint8."""
    target = path.with_suffix(".rgba")
    made = subprocess.run(["tiff2rgba", "-c", "none", path, target], capture_output=True)
    if made.returncode or not target.exists():
        return None
    layered = tifffile.imread(target).astype(float)
    target.unlink()
    alpha = layered[..., 3:] / 255
    return np.rint(np.clip(layered[..., :3] + 255 * (1 - alpha), 0, 255)).astype(np.uint8)


def psnr_db(a: np.ndarray, b: np.ndarray | None) -> float:
    if b is None or a.shape != b.shape:
        return -math.inf
    error = float(((a.astype(float) - b) ** 2).mean())
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def judge(sample: Sample, work: Path) -> tuple[str, str]:
    """One of ``VERDICTS``, and a remark."""
    try:
        pixels = decode_picture(bytes(sample.data), ReadOptions()).pixels
    except BadFile as error:
        return "named", str(error)
    is_tiff = sample.kind == "TIFF"
    path = work / ("sample.tif" if is_tiff else f"sample.{sample.kind.lower()}")
    path.write_bytes(sample.data)
    found = {"ImageMagick": psnr_db(pixels, shown_by_imagemagick(path))}
    if is_tiff:
        found["libtiff"] = psnr_db(pixels, shown_by_libtiff(path))
    path.unlink()
    if max(found.values()) >= MIN_PSNR_DB:
        return "right", ""
    found["as written"] = psnr_db(pixels, sample.scene)
    remark = ", ".join(f"{tool} {'none' if value == -math.inf else f'{value:.1f} dB'}" for tool, value in found.items())
    return ("as written" if found["as written"] >= MIN_PSNR_DB else "wrong"), remark


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--output", type=Path, help="a Markdown table")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    if missing := [tool for tool in ("convert", "tiff2rgba") if shutil.which(tool) is None]:
        sys.exit(f"not on the path: {', '.join(missing)}")
    table: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    remarks: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for sample in chain(by_pillow(), by_tifffile(), by_imagecodecs(), by_imagemagick(work)):
            verdict, remark = judge(sample, work)
            table[sample.writer, sample.kind][verdict] += 1
            if arguments.verbose or verdict != "right":
                remarks.append(f"- {verdict}: {sample.writer}, {sample.kind} {sample.name}: {remark}")
    table["all", ""] = total = sum(table.values(), Counter[str]())
    lines = ["| writer | format | files | " + " | ".join(VERDICTS) + " |", "|---" * (3 + len(VERDICTS)) + "|"]
    for names, counts in table.items():
        lines.append("| " + " | ".join((*names, *map(str, (counts.total(), *(counts[v] for v in VERDICTS))))) + " |")
    text = "\n".join([*lines, "", *remarks]) + "\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text)
    sys.exit(1 if total["wrong"] else 0)


if __name__ == "__main__":
    main()
