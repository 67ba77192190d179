"""The decoding part of a packaged autoencoder <-> its bytes in an archive."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.header import MAX_CODED_CHANNELS, OWN_CLASS, AutoencoderReference, ModelReference
from unicorn_codec.format.stored_model import StoredModel
from unicorn_codec.model_registry import AUTOENCODER, CONTEXT_MODEL, get_model
from unicorn_codec.transform.autoencoder import SCALE_SUFFIX, PackagedAutoencoder, weights_of
from unicorn_codec.transform.coding_autoencoder import BLOCKS, CodingAutoencoder

DECODER = "decoder."
"""Beginning of the names of all tensors that decoding needs."""

LEVELS_OF_RESOLUTION, MAX_WIDTH, MAX_BLOCKS, MAX_COARSEST_STEP = 4, 1024, 64, 1000.0
CONFIG_FIELDS = 7


def model_to_store(reference: ModelReference, *, with_codes: bool) -> StoredModel:
    """Return what an archive stores of a packaged model, as it is shipped.

    Args:
        reference: of the archive's decoder.
        with_codes: with the context model, which a decoder with a network lacks.
    """
    model = get_model(AUTOENCODER, reference.name)
    tensors = {key: tensor for key, tensor in load_safetensors(model.read()).items() if key.startswith(DECODER)}
    return StoredModel(
        fingerprint=reference.fingerprint,
        name=reference.name,
        config=json.dumps(dict(model.config), sort_keys=True).encode(),
        decoder=save_safetensors(tensors),
        context_model=get_model(CONTEXT_MODEL, reference.name).read() if with_codes else b"",
    )


class StoredAutoencoder(PackagedAutoencoder):
    """The decoder of an autoencoder that an archive holds. It encodes nothing.

    Args:
        described: of the archive, which the model serves.

    Raises:
        InvalidField: its configuration or tensors are not those of an autoencoder.
    """

    def __init__(self, stored: StoredModel, described: ModelReference, device: torch.device) -> None:
        self.device, self.stored = device, stored
        config = _parse_config(stored.config)
        with torch.device("meta"):  # no memory is taken before the tensors are known to fit
            self.network = CodingAutoencoder(**config)
        del self.network.encoder
        self.network.load_state_dict(_parse_tensors(stored.decoder, self.network.state_dict()), assign=True)
        self.network.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]
        self.channels = described.latent_channels
        if self.channels > self.network.latent_channels or described.downsampling != self.network.downsampling:
            raise InvalidField("model: it has fewer channels, or another downsampling, than the archive's decoder says")
        unknown = bytes(32)  # the hashes of the whole model, of which this is a part
        self.reference = AutoencoderReference(
            name=stored.name,
            class_name=OWN_CLASS,
            weights_sha256=unknown,
            config_sha256=unknown,
            weight_bytes=described.weight_bytes,
            latent_channels=self.channels,
            downsampling=self.network.downsampling,
        )


def _parse_config(data: bytes) -> dict[str, Any]:
    """Read the configuration of an autoencoder, whose sizes are checked. Raises ``InvalidField``."""
    try:
        config = json.loads(data)
        channels, step = config["latent_channels"], config["max_step"]
        fits = (
            len(config) == CONFIG_FIELDS
            and len(config["encoder_widths"]) == LEVELS_OF_RESOLUTION
            and 0 < len(config["decoder_widths"]) <= LEVELS_OF_RESOLUTION
            and config["decoder_blocks"] in BLOCKS
            and all(_are_layers(config[f"{part}_widths"], config[f"{part}_depths"]) for part in ("encoder", "decoder"))
            and type(channels) is int
            and 0 < channels <= MAX_CODED_CHANNELS
            and isinstance(step, int | float)
            and 1 < step <= MAX_COARSEST_STEP
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidField(f"model: no configuration of an autoencoder ({type(error).__name__})") from error
    if not fits:
        raise InvalidField("model: a configuration beyond its limits")
    return dict(config)


def _are_layers(widths: Sequence[object], depths: Sequence[object]) -> bool:
    """Tell whether widths and numbers of blocks, one for each resolution, keep to their limits."""
    limits = (MAX_WIDTH, MAX_BLOCKS)
    return len(widths) == len(depths) and all(
        type(n) is int and 0 < n <= most
        for numbers, most in zip((widths, depths), limits, strict=True)
        for n in numbers
    )


def _parse_tensors(data: bytes, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read the weights, which have the wanted names and shapes. Raises ``InvalidField``."""
    try:
        tensors = load_safetensors(data)
    except (SafetensorError, ValueError, KeyError, RuntimeError, OverflowError) as error:
        raise InvalidField(f"model: no safetensors ({error})") from error
    kernels = {name: tensor for name, tensor in tensors.items() if not name.endswith(SCALE_SUFFIX)}
    scales = {name: tensor for name, tensor in tensors.items() if name.endswith(SCALE_SUFFIX)}
    shapes = {name: tensor.shape for name, tensor in wanted.items()}
    if {name: tensor.shape for name, tensor in kernels.items()} != shapes:
        raise InvalidField("model: its tensors are not those of its configuration")
    for name, scale in scales.items():
        kernel = kernels.get(name.removesuffix(SCALE_SUFFIX))
        if kernel is None or kernel.ndim != 4 or scale.numel() != len(kernel):
            raise InvalidField(f"model: the scale {name!r} fits no tensor")
    return weights_of(tensors)
