"""Index-only archives as a difference to trained weights, against networks trained from nothing.

    python benchmarks/index_difference.py --data PICTURES --pictures 128 --bits 3 4 5 --out index_difference.json

A network is trained on other pictures of the folder first, as one that the package would ship: it knows what such
pictures look like. Then the network of the archive's pictures starts from it, and is stored as integers of what
changed. A network of the same size and as many epochs that starts from nothing is stored as integers of its weights.
Files are not written; bytes are those of their weights, PSNR that of some decoded pictures.
"""

import argparse
import copy
import json
import shlex
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from unicorn_codec.bench.provenance import package_models_sha256, provenance
from unicorn_codec.config import ReadOptions
from unicorn_codec.decoders.network_decoder import NetworkDecoder, untrained_decoder
from unicorn_codec.format.index_map import index_of_position
from unicorn_codec.network.denoiser import Denoiser
from unicorn_codec.network.latent_set import normalise_latents
from unicorn_codec.network.planning import fit_network
from unicorn_codec.network_options import NetworkOptions, TrainConfig
from unicorn_codec.packing.into_network import (
    choose_sampling,
    encode_weights,
    plan_denoising,
    plan_for,
    rounding_for,
    train_denoiser,
)
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.picture_source import PictureSource, encode_all
from unicorn_codec.packing.preview import take_preview
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.pictures.picture_folder import list_folder
from unicorn_codec.transform.autoencoder import LEADING_CHANNELS, PackagedAutoencoder

SEED, CELL = 0, 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--pictures", type=int, default=128, help="of the archive, and as many other ones")
    parser.add_argument("--side", type=int, default=64, help="to which pictures are scaled down")
    parser.add_argument("--weights", type=float, default=1.6, help="of the network, for each latent value")
    parser.add_argument("--bits", type=int, nargs="+", default=[3, 4, 5], help="of a weight, on average")
    parser.add_argument("--epochs", type=int, default=3000)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    command = shlex.join(["python", *sys.argv]).replace(str(args.data), args.data.name)
    torch.manual_seed(SEED)
    autoencoder = PackagedAutoencoder(torch.device("cpu"), LEADING_CHANNELS)
    rows = list[dict[str, Any]]()
    with tempfile.TemporaryDirectory() as work:
        paths = sorted(path for path in args.data.iterdir() if path.is_file())
        own, other = (
            source_of(paths[start :: len(paths) // args.pictures][: args.pictures], Path(work) / str(start), args.side)
            for start in (0, 1)
        )
        values = own.folder.pixels * LEADING_CHANNELS / CELL**2
        network = fit_network(args.weights * values, None, LEADING_CHANNELS, CELL, pictures=args.pictures)
        options = NetworkOptions(
            read=own.read,
            train=TrainConfig(epochs=args.epochs),
            hidden_size=network.hidden_size,
            depth=network.depth,
            device="cpu",
            seed=SEED,
        )
        base = trained(other, autoencoder, options, Path(work), None)[0].denoiser
        for bits in args.bits:
            of_bits = replace(options, weight_format="integer", weight_bits=bits)
            for start in (None, base):
                decoder, weight_bytes = trained(own, autoencoder, of_bits, Path(work), start)
                rows.append({
                    "starts_from": "nothing" if start is None else "weights of other pictures",
                    "bits_per_weight": bits,
                    "weight_bytes": weight_bytes,
                    "psnr_db": take_preview(own, indices_of(own)).psnr_db(decoder),
                })  # fmt: skip
                print(json.dumps(rows[-1]), flush=True)
        result = {
            **provenance(command, SEED, "cpu"),
            "models_sha256": package_models_sha256(),
            "pictures": args.pictures,
            "side": args.side,
            "hidden_size": network.hidden_size,
            "depth": network.depth,
            "epochs": args.epochs,
            "ceiling_db": ceiling_db(own, autoencoder),
            "rows": rows,
        }
    args.out.write_text(json.dumps(result, indent=1) + "\n")


def source_of(paths: list[Path], folder: Path, side: int) -> PictureSource:
    """Copy pictures to a folder of their own, and return them scaled down."""
    folder.mkdir()
    for path in paths:
        shutil.copy(path, folder)
    read = ReadOptions(max_side=side)
    return PictureSource(list_folder(folder, read), read)


def indices_of(pictures: PictureSource) -> list[int]:
    """Return the index of each picture by position."""
    return index_of_position(SEED, len(pictures)).tolist()


def trained(
    pictures: PictureSource,
    autoencoder: PackagedAutoencoder,
    options: NetworkOptions,
    work: Path,
    base: Denoiser | None,
) -> tuple[NetworkDecoder, int]:
    """Train a network on pictures, and return it as stored, with the bytes of its weights.

    Args:
        base: whose weights the stored ones are differences to; None: they are the weights.
    """
    plan = plan_for(pictures.folder, autoencoder.reference, options)
    raw = encode_all(pictures, autoencoder, CELL * plan.network.patch_size, lambda *_: None)
    latents = normalise_latents(raw, indices_of(pictures), options.latent_std, SEED)
    decoder = untrained_decoder(plan_denoising(plan, latents, options), autoencoder, len(pictures), SEED)
    if base is not None:
        decoder = replace(decoder, denoiser=difference_to(base))
    rounding, sample = rounding_for(decoder.denoiser, options), take_preview(pictures, indices_of(pictures))
    train_denoiser(
        decoder,
        latents,
        options,
        rounding=rounding,
        digest="",
        checkpoint=work / "training.checkpoint",
        sample=sample,
        observer=Observer(),
    )
    payload = encode_weights(decoder, options, rounding)
    return choose_sampling(decoder, sample, None), len(payload)


def difference_to(base: Denoiser) -> Denoiser:
    """Return a network whose parameters are differences to another one's weights: zeros, at first."""
    network, start = copy.deepcopy(base), {name: value.detach().clone() for name, value in base.named_parameters()}
    for parameter in network.parameters():
        parameter.data.zero_()

    def forward(*inputs: Tensor) -> Tensor:
        weights = {name: start[name] + change for name, change in network.named_parameters()}
        predicted: Tensor = functional_call(base, weights, inputs)
        return predicted

    network.forward = forward  # type: ignore[method-assign, assignment]
    return network


def ceiling_db(pictures: PictureSource, autoencoder: PackagedAutoencoder) -> float:
    """Return the mean PSNR of what the autoencoder makes of exact latents."""
    found = []
    for position in range(len(pictures)):
        pixels = pictures.picture(position)
        height, width = pixels.shape[:2]
        latents = autoencoder.encode_pictures([pixels], CELL)
        found.append(psnr_db(pixels, autoencoder.decode_pictures(latents, height, width, 1.0)[0]))
    return sum(found) / len(found)


if __name__ == "__main__":
    main()
