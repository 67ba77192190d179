"""The denoiser's weights <-> the payload of the weight section (WGHT).

The file holds one vector of numbers; which tensor they belong to follows from the header (``tensor_shapes``).
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.bit_packing import compress, decompress, pack_codes, unpack_codes
from unicorn_codec.config import Header, NetworkConfig, WeightFormat, check
from unicorn_codec.errors import InvalidField
from unicorn_codec.quantization import dequantize, quantize
from unicorn_codec.sections import Fields, refusing

MAX_WEIGHTS = 1 << 28

_FLOAT = 0
_LAYOUT = "BBBhQ"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightSummary:
    """What the weight section says before the codes themselves.

    Args:
        format: the float that every code is.
        count: number of weights.
    """

    format: WeightFormat
    count: int


def serialize_weights(values: NDArray[np.float32], weight_format: WeightFormat) -> bytes:
    """Write (n,) finite float32 values, rounded to the format. Raises ``InvalidSetting`` for other values."""
    check(values.ndim == 1 and 1 <= values.size <= MAX_WEIGHTS, f"weights are 1 to {MAX_WEIGHTS} in one row")
    head = struct.pack(
        "<" + _LAYOUT,
        _FLOAT,
        weight_format.exponent_bits,
        weight_format.mantissa_bits,
        weight_format.bias,
        values.size,
    )
    return head + compress(pack_codes(quantize(values, weight_format), weight_format.bits))


def parse_weights(payload: bytes) -> tuple[WeightFormat, NDArray[np.float32]]:
    """Read the format and the exact values, (n,) float32. Raises ``InvalidField``."""
    with refusing("WGHT"):
        fields = Fields(payload)
        summary = _summary(fields)
        bits = summary.format.bits
        packed = decompress(fields.rest(), -(-summary.count * bits // 8))
        return summary.format, dequantize(unpack_codes(packed, bits, summary.count), summary.format)


def weight_summary(payload: bytes) -> WeightSummary:
    """Read what stands before the codes, without unpacking them. Raises ``InvalidField``."""
    with refusing("WGHT"):
        return _summary(Fields(payload))


def _summary(fields: Fields) -> WeightSummary:
    kind, exponent_bits, mantissa_bits, bias, count = fields.numbers(_LAYOUT)
    check(kind == _FLOAT, f"weight format {kind}, known is {_FLOAT} (float)")
    check(1 <= count <= MAX_WEIGHTS, f"{count} weights, allowed are 1 to {MAX_WEIGHTS}")
    weight_format = WeightFormat(exponent_bits=exponent_bits, mantissa_bits=mantissa_bits, bias=bias)
    return WeightSummary(format=weight_format, count=count)


def tensor_shapes(network: NetworkConfig, latent_channels: int, images: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the denoiser's tensors in the order of the file."""
    size = network.hidden_size
    patch = network.patch_size**2 * latent_channels
    shapes: dict[str, tuple[int, ...]] = {"patch_in": (size, patch), "patch_out": (patch, size)}
    shapes |= {f"index_embedding.{name}": shape for name, shape in _embedding_shapes(network, images).items()}
    for block in range(network.depth):
        shapes |= {f"blocks.{block}.{name}": shape for name, shape in _block_shapes(network).items()}
    return shapes


def count_parameters(network: NetworkConfig, latent_channels: int, images: int) -> int:
    """Learnable weights of a denoiser of M ``images``, without building it."""
    return sum(math.prod(shape) for shape in tensor_shapes(network, latent_channels, images).values())


def _shapes_of(header: Header) -> dict[str, tuple[int, ...]]:
    assert header.denoising is not None  # the section of the weights comes with it
    return tensor_shapes(header.denoising.network, header.autoencoder.latent_channels, header.images)


def _embedding_shapes(network: NetworkConfig, images: int) -> dict[str, tuple[int, ...]]:
    size = network.hidden_size
    of_index = network.index_tokens * size
    shapes: dict[str, dict[str, tuple[int, ...]]] = {
        "grf": {},
        "edf": {"mlp_in": (size, size), "mlp_out": (of_index, size)},
        "let": {"table": (images, of_index)},
        "mlp": {"mlp_in": (size, 2), "mlp_out": (of_index, size)},
    }
    return shapes[network.index_embedding]


def _block_shapes(network: NetworkConfig) -> dict[str, tuple[int, ...]]:
    size, condition = network.hidden_size, network.condition
    matrices = ("query", "key", "value", "out")
    shapes: dict[str, tuple[int, ...]] = {"mlp_in": (4 * size, size), "mlp_out": (size, 4 * size)}
    if condition == "cag":
        shapes["gate"] = (size,)
    if condition == "alnz":
        shapes["modulation"] = (6 * size, size)
    shapes |= {f"self_attention.{name}": (size, size) for name in matrices}
    if condition in ("ca", "cag"):
        shapes |= {f"cross_attention.{name}": (size, size) for name in matrices}
    return shapes


def join_tensors(tensors: Mapping[str, NDArray[np.float32]], header: Header) -> NDArray[np.float32]:
    """All tensors as one float32 vector in the order of the file. Raises ``InvalidSetting`` for other tensors."""
    shapes = _shapes_of(header)
    found = {name: tensor.shape for name, tensor in tensors.items()}
    check(found == shapes, "the tensors are not those of the header's network")
    return np.concatenate([tensors[name].ravel() for name in shapes]).astype(np.float32, copy=False)


def split_tensors(values: NDArray[np.float32], header: Header) -> dict[str, NDArray[np.float32]]:
    """Inverse of ``join_tensors``: views into the vector. Raises ``InvalidField`` if its length is wrong."""
    shapes = _shapes_of(header)
    sizes = [math.prod(shape) for shape in shapes.values()]
    if values.size != sum(sizes):
        raise InvalidField(f"WGHT: {values.size} weights, the header's network has {sum(sizes)}")
    pieces = np.split(values, np.cumsum(sizes)[:-1])
    return {name: piece.reshape(shape) for (name, shape), piece in zip(shapes.items(), pieces, strict=True)}
