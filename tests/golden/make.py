"""Write the golden archives and what they decode to. Once for each format version: they are never to change again.

python tests/golden/make.py
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from unicorn_codec.adaptation import change_shapes, quantise_change, serialize_change
from unicorn_codec.archive import Archive, pack
from unicorn_codec.autoencoder import EmbeddedAutoencoder
from unicorn_codec.config import PackOptions, TrainConfig
from unicorn_codec.container import read_container, serialize
from unicorn_codec.demo_pictures import make_demo_pictures
from unicorn_codec.images import write_picture

FOLDER = Path(__file__).parent
NETWORK = PackOptions(index_only=True, hidden_size=16, depth=2, device="cpu", train=TrainConfig(epochs=300))
OPTIONS = {
    "codes": PackOptions(latent_step=2.5, device="cpu"),
    "half-size-codes": PackOptions(latent_step=14.0, device="cpu"),
    "codes-and-avif": PackOptions(latent_step=2.5, min_psnr_db=28.5, device="cpu"),
    "network": NETWORK,
    "network-of-integers": replace(NETWORK, weight_format="integer", condition="alnz", index_embedding="let"),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        pictures = Path(name)
        make_demo_pictures(pictures, count=3, size=64)
        make_demo_pictures(pictures / "small", count=1, size=41)
        for archive, options in OPTIONS.items():
            pack(pictures, FOLDER / f"{archive}.uni", options)
    write_tuned()
    for path in sorted(FOLDER.glob("*.uni")):
        (FOLDER / path.stem).mkdir()
        for index, pixels in Archive.open(path, device="cpu").iterate(range(4)):
            write_picture(pixels, FOLDER / path.stem / f"{index}.png")


def write_tuned() -> None:
    """The archive of codes, with another decoder: its biases are changed at random."""
    network = EmbeddedAutoencoder(torch.device("cpu")).network
    rng = np.random.default_rng(0)
    change = {
        name: torch.from_numpy(rng.normal(0, 0.01, shape).astype(np.float32))
        for name, shape in change_shapes(network, 0).items()
    }
    container = read_container(FOLDER / "codes.uni")
    tuned = replace(container, tuning=serialize_change(quantise_change(change), 0), canary=None, psnrs=None)
    (FOLDER / "tuned-codes.uni").write_bytes(serialize(tuned))


if __name__ == "__main__":
    main()
