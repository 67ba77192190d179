"""Measure overfitted functions (``pack --overfit``): a rate curve, its distance to the autoencoder's ceiling, and the
bytes of rounded latents at equal latent error.

    python benchmarks/overfit.py --data kodak-24 --count 8 --crop 512 --effort 4 --out overfit.json

Each lambda is packed into a real archive, whose functions are decoded again. The rival holds the same latents, rounded
to a step, of all pictures together, by zstd, as ``latents-zstd`` of ``bench``. Where the package has a context model
for the autoencoder, its codes of these rounded latents are a second rival. Bytes at equal latent error are
interpolated. Results are written after each lambda, and a later run with the same settings continues with what is
missing; other settings begin anew.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zstandard

from unicorn_codec import __version__
from unicorn_codec.archive import Archive
from unicorn_codec.bench.network_rivals import ZSTD_LEVEL
from unicorn_codec.codes.context_model import ContextModel, level_of, load_context_model
from unicorn_codec.codes.latent_coding import encode_symbols
from unicorn_codec.config import Goal, OverfitOptions, ReadOptions, Target
from unicorn_codec.decoders.overfitted_decoder import OverfittedDecoder
from unicorn_codec.devices import choose_device
from unicorn_codec.format.code_kinds import colour_code, unmark_overfitted
from unicorn_codec.format.header import MAX_LEVEL
from unicorn_codec.overfitted.function_code import decode_function
from unicorn_codec.overfitted.synthesis import latents_of
from unicorn_codec.packing.pack import pack
from unicorn_codec.pictures.picture_folder import list_folder, read_picture
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.transform.autoencoder import Autoencoder, PackagedAutoencoder, load_autoencoder

LAMBDAS = (800.0, 2400.0, 7200.0, 14_400.0, 28_800.0)
RIVAL_STEPS = tuple(0.05 * 1.3**n for n in range(22))
"""Steps of rounded latents, relative to the latents' deviation."""


@dataclass(frozen=True, slots=True)
class Point:
    """Bytes of a set of pictures and the squared error of their latents, relative to the latents' variance."""

    bytes: int
    error: float


def crops_of(folder: Path, count: int, side: int) -> list[Pixels]:
    """Return the middle ``side`` x ``side`` pixels of the first pictures of a folder."""
    listed = list_folder(folder, ReadOptions())
    crops = []
    for picture in listed.pictures[:count]:
        pixels = read_picture(listed, picture, ReadOptions())
        top, left = (max(0, (length - side) // 2) for length in pixels.shape[:2])
        crops.append(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
    return crops


def rounded_latents(latents: torch.Tensor, step: float, model: ContextModel | None) -> dict[str, Point]:
    """Store latents (N, C, h, w) rounded to a step, by each rival."""
    symbols = (latents / step).round().clamp(-32767, 32767)
    error = float((symbols * step - latents).square().mean() / latents.var())
    plain = symbols.to(torch.int64).transpose(0, 1).flatten(1).numpy()
    unsigned = np.where(plain < 0, -2 * plain - 1, 2 * plain)
    planes = np.stack([unsigned & 255, unsigned >> 8]).astype(np.uint8)
    found = {"zstd": Point(len(zstandard.compress(planes.tobytes(), ZSTD_LEVEL)), error)}
    if model is not None:
        level = min(level_of(step), MAX_LEVEL - 1)
        codes = encode_symbols(model, level, symbols.to(torch.int16).numpy())
        found["context model"] = Point(sum(map(len, codes)), error)
    return found


def bytes_at(points: Sequence[Point], error: float) -> float | None:
    """Interpolate a rival's bytes at an error, both logarithmically; None outside its points."""
    ordered = sorted(points, key=lambda point: point.error)
    if not ordered[0].error <= error <= ordered[-1].error:
        return None
    errors, sizes = (
        [math.log(value) for value in each] for each in zip(*((p.error, p.bytes) for p in ordered), strict=True)
    )
    return math.exp(float(np.interp(math.log(error), errors, sizes)))


def latents_in(path: Path, autoencoder: Autoencoder, names: Sequence[str]) -> tuple[torch.Tensor, int]:
    """Return the latents (N, C, h, w) that an archive's functions give, by name, and the bytes of their codes."""
    latents, total = [], 0
    with Archive.open(path) if isinstance(autoencoder, PackagedAutoencoder) else opened(path, autoencoder) as archive:
        decoder = archive.decoder(0)
        assert isinstance(decoder, OverfittedDecoder), "the archive holds functions"
        for name in names:
            (index,) = archive.find(name)
            row = archive.reader.row(index)
            cell = autoencoder.reference.downsampling
            size = -(-row.height // cell), -(-row.width // cell)
            code = archive.reader.record(row).code
            function = decode_function(decoder.shape, decoder.base, size, unmark_overfitted(colour_code(code))[0])
            found = latents_of(decoder.shape, function.parameters, function.values, size, torch.device("cpu"))
            latents.append(found * decoder.scale)
            total += len(code)
    return torch.cat(latents), total


def opened(path: Path, autoencoder: Autoencoder) -> Archive:
    """Open an archive with an autoencoder that is loaded already."""
    from unicorn_codec.format.reader import ContainerReader
    from unicorn_codec.format.sources import open_source

    return Archive.of(ContainerReader(open_source(path)), autoencoder)


def measure(folder: Path, names: Sequence[str], latents: torch.Tensor, options: OverfitOptions) -> dict[str, Any]:
    """Pack a folder and return its figures."""
    autoencoder = load_autoencoder(options.autoencoder, choose_device(options.device))
    output = folder.parent / "out.uni"
    started = time.monotonic()
    report = pack(folder, output, options)
    seconds = time.monotonic() - started
    found, code_bytes = latents_in(output, autoencoder, names)
    assert report.functions is not None, "the archive holds functions"
    return {
        "file_bytes": report.file_bytes,
        "code_bytes": code_bytes,
        "common_bytes": report.functions.common_bytes,
        "bits_per_pixel": report.bits_per_pixel,
        "psnr_db": report.measured.psnr_db.mean,
        "ms_ssim": report.measured.ms_ssim.mean,
        "ceiling_psnr_db": report.functions.ceiling_psnr_db,
        "latent_error": float((found - latents).square().mean() / latents.var()),
        "multiplications_per_pixel": report.functions.multiplications_per_pixel,
        "main_steps": report.functions.main_steps,
        "seconds_per_picture": seconds / len(names),
    }


def compare(point: dict[str, Any], rivals: dict[str, list[Point]]) -> dict[str, Any]:
    """Return the bytes of rivals at a point's latent error, and the point's bytes relative to them."""
    stored = point["code_bytes"] + point["common_bytes"]
    compared = {}
    for name, points in rivals.items():
        size = bytes_at(points, point["latent_error"])
        compared[name] = {"bytes": size, "ratio": None if size is None else stored / size}
    return compared


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of results")
    parser.add_argument("--autoencoder", default=OverfitOptions().autoencoder)
    parser.add_argument("--count", type=int, default=8, help="pictures")
    parser.add_argument("--crop", type=int, default=512, help="side of the middle of each picture")
    parser.add_argument("--effort", type=int, default=4)
    parser.add_argument("--lambdas", type=float, nargs="+", default=LAMBDAS)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--no-common", action="store_true", help="start every function from the plain one")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "crops"
        folder.mkdir()
        crops = crops_of(chosen.data, chosen.count, chosen.crop)
        names = [f"{number:02d}.png" for number in range(len(crops))]
        for name, pixels in zip(names, crops, strict=True):
            write_picture(pixels, folder / name)
        autoencoder = load_autoencoder(chosen.autoencoder, choose_device(chosen.device))
        latents = autoencoder.encode_pictures(crops, autoencoder.reference.downsampling)
        model = load_context_model(chosen.autoencoder) if isinstance(autoencoder, PackagedAutoencoder) else None
        scale = float(latents.std())
        stored = [rounded_latents(latents, scale * step, model) for step in RIVAL_STEPS]
        rivals = {name: [points[name] for points in stored] for name in stored[0]}
        settings = {
            "pictures": len(crops),
            "crop": chosen.crop,
            "effort": chosen.effort,
            "autoencoder": autoencoder.reference.name,
            "weights_sha256": autoencoder.reference.weights_sha256.hex(),
            "version": __version__,
        }
        results: dict[str, Any] = {"points": {}, "settings": settings}
        if chosen.out.exists() and (kept := json.loads(chosen.out.read_text()))["settings"] == settings:
            results = kept
        for value in chosen.lambdas:
            key = f"{value:g}{' without common function' if chosen.no_common else ''}"
            if key in results["points"]:
                continue
            options = OverfitOptions(
                target=Target(Goal.RD_LAMBDA, value),
                effort=chosen.effort,
                autoencoder=chosen.autoencoder,
                device=chosen.device,
                common=not chosen.no_common,
                overwrite=True,
            )
            point = measure(folder, names, latents, options)
            results["points"][key] = point
            chosen.out.write_text(json.dumps(results, indent=1) + "\n")
            print(key, json.dumps(point), flush=True)
        for point in results["points"].values():
            point["rivals"] = compare(point, rivals)
        chosen.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
