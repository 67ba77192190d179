"""Write the autoencoder and the context model of a run into the package.

    python models/export.py --run RUN --name light-1

Files and manifest entries are written into the package under the given name. The default stays as it is.

Large kernels of the autoencoder become int8. The context model, in floating point until here (``rate_model``), becomes
the integers of ``unicorn_codec.codes.context_model`` with their frequency tables.
"""

import argparse
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import zstandard
from safetensors.numpy import save as save_arrays
from safetensors.torch import save as save_tensors
from torch import Tensor

from unicorn_codec.codes.context_model import FEATURE_BITS, MAX_SYMBOL, SCALES, level_of
from unicorn_codec.codes.rate_model import LOG_RATIO, SMALLEST_SCALE, WEIGHT_NAMES, RateModel, fraction_bits
from unicorn_codec.format.rans import PRECISION
from unicorn_codec.model_registry import AUTOENCODER, CONTEXT_MODEL
from unicorn_codec.transform.autoencoder import SCALE_SUFFIX

LARGE = 80_000
"""Weights of a kernel that is stored as int8: nearly all those at 1/8 and 1/16 of the resolution."""

FRACTIONS = 16
REACH = 63
"""Of the tables: parts of one that means are told in, and how far from them values have symbols of their own. Eight
parts and a reach of 24 were measured too: they cost more bytes at every step, most at fine ones."""

RAREST = 2e-7
"""Probability of residuals that are still worth a slot."""


def quantised(name: str, kernel: Tensor) -> tuple[Tensor, Tensor] | None:
    """Integers and rows' scales of a kernel that the package holds as int8; None for weights that it holds as float16.

    Large kernels are the former: that costs no quality, and the package stays small. The one that reads the
    latents, whose sizes differ by channel, is not one of them: it would cost 0.01 dB.
    """
    if kernel.ndim != 4 or kernel.numel() < LARGE or name == "decoder.0.weight":
        return None
    scales = (kernel.abs().amax((1, 2, 3)) / 127).half()
    return (kernel / scales.float().view(-1, 1, 1, 1)).round().to(torch.int8).contiguous(), scales


def as_packaged(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A network's weights as the package holds them; the inverse of ``weights_of``, but for rounding."""
    weights: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if (found := quantised(key, tensor)) is None:
            weights[key] = tensor.half().contiguous()
        else:
            weights[key], weights[key + SCALE_SUFFIX] = found
    return weights


def to_integers(model: RateModel, coarsest: int) -> dict[str, np.ndarray]:
    """The weights as the package holds them; levels over the coarsest one that was trained are as that one."""
    weights = {name: getattr(model, name) for name in WEIGHT_NAMES} | model.masked()
    for name in ("bias", "mean_bias", "scale_bias"):
        weights[name] = weights[name][torch.arange(len(weights[name])).clamp_max(coarsest)]
    integers = {}
    for name, tensor in weights.items():
        rounded = torch.round(tensor.detach().double() * 2.0 ** fraction_bits(name))
        assert rounded.abs().max() < 2**31, name
        wide = rounded.abs().max() >= 2**15
        integers[name] = rounded.numpy().astype(np.int32 if wide else np.int16)
    magnitudes = np.rint(np.arcsinh(np.arange(MAX_SYMBOL + 1)) * 2**FEATURE_BITS)
    return integers | {"magnitudes": magnitudes.astype(np.int16), "frequencies": frequency_tables()}


def frequency_tables() -> np.ndarray:
    """(SCALES, FRACTIONS, 2 REACH + 2) frequencies: the residuals -REACH..REACH, then all others.

    Residuals that hardly occur get none: a slot for each would make the many values that are as predicted dearer.
    """
    masses = logistic_masses()
    total, alone = 1 << PRECISION, masses >= RAREST
    alone[..., -1] = True
    frequencies = np.where(alone, 1 + np.floor(masses * (total - masses.shape[-1])), 0).astype(np.int64)
    most = frequencies.argmax(-1)[..., None]
    rest = total - frequencies.sum(-1, keepdims=True)
    np.put_along_axis(frequencies, most, np.take_along_axis(frequencies, most, -1) + rest, -1)
    assert (frequencies >= 0).all() and (frequencies.sum(-1) == total).all()
    return frequencies.astype(np.int16)


def logistic_masses() -> np.ndarray:
    """(SCALES, FRACTIONS, 2 REACH + 2) probabilities that the rate model knows."""
    scales = SMALLEST_SCALE * np.exp(LOG_RATIO * np.arange(SCALES))[:, None, None]
    edges = np.arange(-REACH, REACH + 2) - 0.5 - (np.arange(FRACTIONS) / FRACTIONS)[:, None]
    below = 0.5 * (1 + np.tanh(edges / (2 * scales)))
    return np.concatenate([np.diff(below), below[..., :1] + 1 - below[..., -1:]], axis=-1)


def rate_model_of(state: Mapping[str, Tensor]) -> RateModel:
    """The context model that a run's checkpoint holds."""
    model = RateModel(*state["mean"].shape)
    model.load_state_dict(state)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--name", required=True, help="name of the autoencoder and its context model in the package")
    args = parser.parse_args()
    state = torch.load(args.run / "checkpoint.pt", map_location="cpu", weights_only=True)
    network = json.loads((args.run / "settings.json").read_text())["network"]
    package = Path(__file__).parents[1] / "unicorn_codec" / "pretrained"
    integers = to_integers(rate_model_of(state["rate"]), level_of(network["max_step"]))
    write_model(package, args.name, AUTOENCODER, save_tensors(as_packaged(state["average"])), network)
    write_model(package, args.name, CONTEXT_MODEL, save_arrays(integers))


def write_model(package: Path, name: str, role: str, data: bytes, config: Mapping[str, object] | None = None) -> None:
    """Write a model's file and its entry of the manifest, in place of one of the same role and name."""
    file = f"{name}-{role}.safetensors.zst"
    (package / file).write_bytes(zstandard.ZstdCompressor(level=19).compress(data))
    manifest = json.loads((package / "manifest.json").read_text())
    entry = {
        "name": name,
        "role": role,
        "file": file,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        **({} if config is None else {"config": config}),
    }
    others = [other for other in manifest["models"] if (other["name"], other["role"]) != (name, role)]
    manifest["models"] = [*others, entry]
    (package / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
