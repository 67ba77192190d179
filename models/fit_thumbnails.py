"""Fit the map from leading latents to small pictures, and write it into the package.

    python models/fit_thumbnails.py --data PICTURES

It is linear, fitted by least squares to what the packaged autoencoder decodes of training pictures, at steps from
fine to coarse. Prints the PSNR that it reaches on pictures that the fit has not seen.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from export import write_model
from safetensors.numpy import save as save_arrays
from training_pictures import UNSEEN, load_pictures

from unicorn_codec.decoders.thumbnail_decoder import CELL, CHANNELS, ThumbnailModel, neighbourhoods
from unicorn_codec.model_registry import AUTOENCODER, CONTEXT_MODEL, THUMBNAIL, default_name, get_model, names
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.transform.autoencoder import PackagedAutoencoder

SIDE = 192
STEPS = (1.5, 3.0, 4.5, 6.0, 8.0)
RIDGE = 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of training pictures")
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--name", choices=names(AUTOENCODER), default=default_name(), help="of the model")
    args = parser.parse_args()
    pictures, rng = load_pictures(args.data), np.random.default_rng(0)
    autoencoder = PackagedAutoencoder(torch.device("cpu"), name=args.name)
    seen = [picture for number, picture in enumerate(pictures) if number % UNSEEN]
    latents, targets = examples(autoencoder, seen, args.pictures, rng)
    model = fitted(latents, targets)
    unseen, wanted = examples(autoencoder, pictures[::UNSEEN], 40, rng)
    found = [psnr_db(target, small) for target, small in zip(wanted, model.pictures(unseen), strict=True)]
    print(f"{np.mean(found):.2f} dB PSNR at a quarter of the size, on {len(found)} other pictures")
    package = Path(__file__).parents[1] / "unicorn_codec" / "pretrained"
    arrays = {name: np.ascontiguousarray(getattr(model, name), np.float16) for name in ("kernel", "bias")}
    served = autoencoder.reference.model(get_model(CONTEXT_MODEL, args.name).sha256)
    write_model(package, args.name, THUMBNAIL, save_arrays(arrays), {"fingerprint": served.fingerprint.hex()})


def examples(
    autoencoder: PackagedAutoencoder, pictures: list[np.ndarray], count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return leading latents (N, CHANNELS, h, w) of random squares, and them as decoded, averaged over squares."""
    large = [picture for picture in pictures if min(picture.shape[:2]) >= SIDE]
    latents, targets = [], []
    for number in range(count):
        picture = large[int(rng.integers(len(large)))]
        top, left = (int(rng.integers(side - SIDE + 1)) for side in picture.shape[:2])
        step = STEPS[number % len(STEPS)]
        encoded = autoencoder.encode_pictures([picture[top : top + SIDE, left : left + SIDE]], 16)
        rounded = (encoded / step).round() * step
        (decoded,) = autoencoder.decode_pictures(rounded, SIDE, SIDE, step)
        latents.append(rounded[0, :CHANNELS].numpy())
        side = SIDE // 16 * CELL
        targets.append(decoded.reshape(side, SIDE // side, side, SIDE // side, 3).mean((1, 3)).round().astype(np.uint8))
    return np.stack(latents), np.stack(targets)


def fitted(latents: np.ndarray, targets: np.ndarray) -> ThumbnailModel:
    """Return the linear map with the least squared error."""
    count, _, rows, columns = latents.shape
    inputs = neighbourhoods(latents).transpose(0, 2, 3, 1).reshape(count * rows * columns, -1).astype(np.float64)
    cells = targets.reshape(count, rows, CELL, columns, CELL, 3).transpose(0, 1, 3, 2, 4, 5)
    outputs = cells.reshape(len(inputs), -1).astype(np.float64)
    inputs = np.pad(inputs, ((0, 0), (0, 1)), constant_values=1)
    damping = RIDGE * len(inputs) * np.eye(inputs.shape[1])
    damping[-1] = 0
    solved = np.linalg.solve(inputs.T @ inputs + damping, inputs.T @ outputs).T.astype(np.float32)
    return ThumbnailModel(kernel=solved[:, :-1], bias=solved[:, -1])


if __name__ == "__main__":
    main()
