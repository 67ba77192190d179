"""Write golden archives that are not there yet, and what they decode to. None of them is ever to change again.

python tests/golden/make.py
"""

import os
import struct
import tempfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from unicorn_codec.archive import Archive
from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.codes.stored_update import serialize_update
from unicorn_codec.config import CodesOptions, Goal, OriginalOptions, OverfitOptions, PackOptions, Target
from unicorn_codec.network_options import NetworkOptions, TrainConfig
from unicorn_codec.packing.archive_writing import write_packed
from unicorn_codec.packing.into_codes import container_of, new_encoder
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.pictures.demo_pictures import make_demo_pictures
from unicorn_codec.pictures.picture_folder import list_folder
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.pictures.png_chunks import SIGNATURE, chunk
from unicorn_codec.regions import Region
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.folder_update import UpdatedModels, quantise_update, update_shapes

FOLDER = Path(__file__).parent
CODES = CodesOptions(sequences=False, device="cpu")
NETWORK = NetworkOptions(device="cpu", hidden_size=16, depth=2, train=TrainConfig(epochs=300))
OPTIONS: dict[str, PackOptions] = {
    "codes": replace(CODES, target=Target(Goal.STEP, 2.5)),
    "half-size-codes": replace(CODES, target=Target(Goal.STEP, 14.0)),
    "cell-maps": replace(CODES, target=Target(Goal.STEP, 4.0), roi=Region.parse("25%,25%,50%,50%")),
    "light-codes": replace(CODES, autoencoder="light-1", target=Target(Goal.STEP, 2.5)),
    "codes-and-avif": replace(CODES, target=Target(Goal.STEP, 2.5), min_psnr_db=30.3),
    "network": NETWORK,
    "functions": OverfitOptions(device="cpu", effort=2, target=Target(Goal.RD_LAMBDA, 400.0)),
    "network-of-integers": replace(NETWORK, weight_format="integer", condition="alnz", index_embedding="let"),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        pictures = Path(name)
        make_demo_pictures(pictures, count=3, size=64)
        make_demo_pictures(pictures / "small", count=1, size=41)
        for archive, options in OPTIONS.items():
            if not (FOLDER / f"{archive}.uni").exists():
                pack(pictures, FOLDER / f"{archive}.uni", options)
        make_stills(pictures)
        if not (FOLDER / "sequences.uni").exists():
            pack(pictures, FOLDER / "sequences.uni", CodesOptions(target=Target(Goal.STEP, 1.0), device="cpu"))
        make_originals(pictures)
        if not (FOLDER / "exact.uni").exists():
            originals = OriginalOptions(patterns=("mug*",), keep_others=True)
            pack(pictures, FOLDER / "exact.uni", replace(CODES, originals=originals))
    write_updated()
    write_transparent()
    write_timed()
    for path in sorted(FOLDER.glob("*.uni")):
        if (FOLDER / path.stem).exists():
            continue
        (FOLDER / path.stem).mkdir()
        opened = Archive.open(path, device="cpu")
        for index, pixels in opened.iterate(opened.indices):
            write_picture(pixels, FOLDER / path.stem / f"{index}.png")


def make_stills(folder: Path) -> None:
    """Turn the pictures into stills of the first one, with something small that moves."""
    first = np.asarray(Image.open(folder / "mug-000.png").convert("RGB"))
    for number in range(3):
        still = first.copy()
        still[8:16, 8 + 16 * number : 16 + 16 * number] = (250, 240, 60)
        Image.fromarray(still).save(folder / f"mug-00{number}.png")


def write_transparent() -> None:
    """Pictures with transparency: a hard edge, a soft one, noise, and a gray one."""
    path = FOLDER / "transparency.uni"
    if path.exists():
        return
    with tempfile.TemporaryDirectory() as name:
        pictures = Path(name)
        make_demo_pictures(pictures, count=3, size=64)
        make_demo_pictures(pictures / "small", count=1, size=41)
        noise = np.random.default_rng(0)
        for number, picture in enumerate(sorted(pictures.rglob("*.png"))):
            colours = Image.open(picture).convert("RGB" if number else "L").convert("RGB")
            y, x = np.mgrid[: colours.height, : colours.width]
            distance = np.hypot(y - colours.height / 2, x - colours.width / 2)
            opacity = np.clip(128 + (999, 20, 4, 20)[number] * (20 - distance), 0, 255)
            if number == 2:
                opacity += noise.integers(-60, 60, opacity.shape)
            clear = Image.fromarray(opacity.clip(0, 255).astype(np.uint8))
            colours.putalpha(clear)
            colours.save(picture)
        pack(pictures, path, replace(CODES, target=Target(Goal.STEP, 2.5), effort=0))


def write_timed() -> None:
    """Pictures whose files are of known times, one of them from before 1970."""
    path = FOLDER / "file-times.uni"
    if path.exists():
        return
    with tempfile.TemporaryDirectory() as name:
        make_demo_pictures(Path(name), count=3, size=64)
        make_demo_pictures(Path(name) / "small", count=1, size=41)
        times = (1_600_000_000, 1_600_086_400, -5, 0)
        for picture, seconds in zip(sorted(Path(name).rglob("*.png")), times, strict=True):
            os.utime(picture, (seconds, seconds))
        pack(name, path, replace(CODES, target=Target(Goal.STEP, 4.0), effort=0))


def make_originals(folder: Path) -> None:
    """Turn the pictures into files that are stored in each way: a PNG file of zlib's, a JPEG, a bitmap, a side file."""
    pixels = np.asarray(Image.open(folder / "mug-000.png").convert("RGB"))
    rows = np.concatenate([np.zeros((len(pixels), 1), np.uint8), pixels.reshape(len(pixels), -1)], 1).tobytes()
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    (folder / "mug-000.png").write_bytes(SIGNATURE + b"".join(chunk(kind, body) for kind, body in parts))
    Image.fromarray(pixels).save(folder / "mug-001.png", "JPEG", quality=90)
    Image.fromarray(pixels).save(folder / "mug-002.png", "BMP")
    (folder / "notes.txt").write_text("A file that is no picture.\n")


def write_updated() -> None:
    """Pictures coded for models with an update that is drawn at random."""
    if (FOLDER / "updated-codes.uni").exists():
        return
    models = UpdatedModels(PackagedAutoencoder(torch.device("cpu")), load_context_model())
    rng = np.random.default_rng(0)
    change = {
        name: torch.from_numpy(rng.normal(0, 0.02, shape).astype(np.float32))
        for name, shape in update_shapes(models.autoencoder.network, models.context_model, 1).items()
    }
    update = serialize_update(quantise_update(change, 0.7), 1)
    with tempfile.TemporaryDirectory() as name:
        make_demo_pictures(Path(name), count=3, size=64)
        make_demo_pictures(Path(name) / "small", count=1, size=41)
        pictures = PictureSource(list_folder(Path(name), CODES.read), CODES.read)
        encoder = new_encoder(pictures, models.autoencoder, models.context_model).with_update(update)
        codes = encoder.encode(2.5, lambda *_: None)
        write_packed(FOLDER / "updated-codes.uni", container_of(encoder, 2.5, codes, 0))


if __name__ == "__main__":
    main()
