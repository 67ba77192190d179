"""Put latent channels that usual steps silence behind the others: in an autoencoder of the package and its code model.

    python models/order_channels.py --data PICTURES

A code says nothing of the channels after its last loud one, so quiet ones in between cost bytes and time. What a moved
channel told of those that it stood before is lost; at steps that silence it, that is nothing.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor
from train_autoencoder import LEADING_CHANNELS, as_images, load_pictures

from unicorn_codec.codes.code_model import FILES as MODEL_FILES
from unicorn_codec.codes.rate_model import WEIGHTS
from unicorn_codec.format.header import EMBEDDED_AUTOENCODERS
from unicorn_codec.transform.autoencoder import FILES, SCALE, EmbeddedAutoencoder

QUIET_STEP = 3.0
QUIET_PART = 1e-4
"""A channel is quiet if at most this part of its values do not round to zero at that step."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of training pictures")
    parser.add_argument("--limit", type=int, default=500, help="pictures that are looked at")
    args = parser.parse_args()
    name = EMBEDDED_AUTOENCODERS[-1]
    if sum(MODEL_FILES[name][0] in of_another for of_another in MODEL_FILES.values()) > 1:
        parser.error(f"{MODEL_FILES[name][0]} models the latents of another autoencoder too: its order is given")
    pictures = load_pictures(args.data)
    autoencoder = EmbeddedAutoencoder(torch.device("cpu"))
    order = order_of(encode_all(autoencoder, pictures[:: max(1, len(pictures) // args.limit)]))
    print(f"new order: {order.tolist()}")
    package = Path(__file__).parents[1] / "unicorn_codec" / "pretrained"
    weights, model = (package / f"{file}.safetensors" for file in (FILES[name], MODEL_FILES[name][0]))
    ordered = ordered_autoencoder(load_file(weights), order), ordered_model(load_file(model), order)
    for path, tensors in zip((weights, model), ordered, strict=True):  # each needs the other: both are made first
        save_file(tensors, path)


def encode_all(autoencoder: EmbeddedAutoencoder, pictures: list[np.ndarray]) -> list[Tensor]:
    """All latent channels (C, h, w) of every picture, cut to multiples of the grid."""
    latents = []
    with torch.inference_mode():
        for picture in pictures:
            height, width = (side // 16 * 16 for side in picture.shape[:2])
            image = as_images(torch.from_numpy(picture[:height, :width].copy())[None], autoencoder.device)
            latents.append(autoencoder.network.encode(image)[0].cpu())
    return latents


def order_of(latents: list[Tensor]) -> np.ndarray:
    """(C,) which channel stands at each place: the leading ones stay, of the others the quiet ones go last."""
    loud = torch.stack([(one.abs() > QUIET_STEP / 2).float().mean((1, 2)) for one in latents]).mean(0).numpy()
    channels = np.arange(len(loud))
    return np.argsort((loud <= QUIET_PART) & (channels >= LEADING_CHANNELS), kind="stable")


def ordered_autoencoder(tensors: dict[str, np.ndarray], order: np.ndarray) -> dict[str, np.ndarray]:
    """The weights with the encoder's last and the decoder's first layer in a new order of latent channels."""
    last = max(int(key.split(".")[1]) for key in tensors if key.startswith("encoder."))
    ordered = dict(tensors)
    for key in (f"encoder.{last}.weight", f"encoder.{last}.bias", f"encoder.{last}.weight{SCALE}"):
        if key in tensors:
            ordered[key] = np.ascontiguousarray(tensors[key][order])
    kernel = tensors["decoder.0.weight"]  # the plane that tells the step stays the last one
    ordered["decoder.0.weight"] = np.ascontiguousarray(kernel[:, [*order, len(order)]])
    return ordered


def ordered_model(integers: dict[str, np.ndarray], order: np.ndarray) -> dict[str, np.ndarray]:
    """The code model in a new order of channels: what comes too late for a channel no longer tells of it."""
    axes = {"earlier": (0, 2), "same": (1,), "bias": (2,), "linear": (1,), "mean": (0,), "scale": (0,)}
    axes |= {"mean_bias": (2,), "scale_bias": (2,)}
    ordered = dict(integers)
    for key in WEIGHTS:
        for axis in axes[key]:
            ordered[key] = np.take(ordered[key], order, axis)
    places = np.arange(len(order))
    ordered["earlier"] = np.where((places[:, None] < places)[:, None, :, None], ordered["earlier"], 0).astype(
        integers["earlier"].dtype
    )
    return {key: np.ascontiguousarray(array) for key, array in ordered.items()}


if __name__ == "__main__":
    main()
