"""The denoiser's weights <-> the weights of a network in an archive.

The section holds one sequence of numbers: minifloats, or integers with one step per matrix row. The header determines
which tensors they belong to (``tensor_shapes``).
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.bit_packing import pack_codes, unpack_codes
from unicorn_codec.format.fields import Fields, check, refusing
from unicorn_codec.format.header import MAX_WEIGHTS, Header, NetworkConfig, WeightFormat
from unicorn_codec.format.packed_bytes import pack_bytes, unpack_bytes
from unicorn_codec.weights.minifloat import dequantise, quantise
from unicorn_codec.weights.weight_coding import QuantisedRows, decode_rows, encode_rows

_FLOAT, _INTEGER = 0, 1
_FLOAT_LAYOUT = "BBhQ"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightSummary:
    """The fields at the start of the weight section.

    Args:
        format: of the minifloats. None: the weights are integers with steps.
        count: number of weights.
    """

    format: WeightFormat | None
    count: int


def serialize_weights(values: NDArray[np.float32], weight_format: WeightFormat) -> bytes:
    """Serialise (n,) float32 values, rounded to the format.

    Raises ``InvalidSetting`` for values that are not finite.
    """
    check(
        values.ndim == 1 and 1 <= values.size <= MAX_WEIGHTS, f"weights must be a vector of 1 to {MAX_WEIGHTS} values"
    )
    form = weight_format
    fields = (_FLOAT, form.exponent_bits, form.mantissa_bits, form.bias, values.size)
    return struct.pack("<B" + _FLOAT_LAYOUT, *fields) + pack_bytes(pack_codes(quantise(values, form), form.bits))


def parse_weights(payload: bytes) -> tuple[WeightFormat, NDArray[np.float32]]:
    """Parse the format and the exact values, (n,) float32. Raises ``InvalidField``."""
    with refusing("weights"):
        fields = Fields(payload)
        summary = _summary(fields)
        if summary.format is None:
            raise InvalidField("the weights are integers, expected floats")
        bits = summary.format.bits
        packed = unpack_bytes(fields.rest(), -(-summary.count * bits // 8))
        return summary.format, dequantise(unpack_codes(packed, bits, summary.count), summary.format)


def serialize_integers(matrices: Sequence[QuantisedRows]) -> bytes:
    """Serialise the quantised rows of all tensors. Raises ``InvalidSetting`` for none, or more than a file may hold."""
    count = sum(matrix.integers.size for matrix in matrices)
    return struct.pack("<BQ", _INTEGER, count) + encode_rows(matrices)


def parse_integers(payload: bytes, shapes: Sequence[tuple[int, int]]) -> list[QuantisedRows]:
    """Parse matrices of the given (rows, columns). The inverse of ``serialize_integers``. Raises ``InvalidField``."""
    with refusing("weights"):
        fields = Fields(payload)
        summary = _summary(fields)
        if summary.format is not None:
            raise InvalidField("the weights are floats, expected integers")
        expected = sum(rows * columns for rows, columns in shapes)
        check(summary.count == expected, f"{summary.count} weights, the header's network has {expected}")
        return decode_rows(fields.rest(), shapes)


def parse_tensors(payload: bytes, header: Header) -> dict[str, NDArray[np.float32]]:
    """Parse the tensors of the header's network, in either format. Raises ``InvalidField``."""
    shapes = _shapes_of(header)
    summary, expected = weight_summary(payload), sum(map(math.prod, shapes.values()))
    if summary.count != expected:  # checked before unpacking, since a small file may claim very many
        raise InvalidField(f"weights: {summary.count} weights, the header's network has {expected}")
    if summary.format is not None:
        return split_tensors(parse_weights(payload)[1], header)
    matrices = parse_integers(payload, [as_matrix(shape) for shape in shapes.values()])
    return {name: m.values.reshape(shape) for (name, shape), m in zip(shapes.items(), matrices, strict=True)}


def as_matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the rows and columns that a tensor is quantised as: one row per output; a vector is one row."""
    return (1, shape[0]) if len(shape) == 1 else (shape[0], math.prod(shape[1:]))


def weight_summary(payload: bytes) -> WeightSummary:
    """Parse the fields before the weights, without unpacking those. Raises ``InvalidField``."""
    with refusing("weights"):
        return _summary(Fields(payload))


def _summary(fields: Fields) -> WeightSummary:
    (kind,) = fields.numbers("B")
    check(kind in (_FLOAT, _INTEGER), f"weight format {kind}, known are {_FLOAT} (float) and {_INTEGER} (integer)")
    weight_format = None
    if kind == _FLOAT:
        exponent_bits, mantissa_bits, bias, count = fields.numbers(_FLOAT_LAYOUT)
        weight_format = WeightFormat(exponent_bits=exponent_bits, mantissa_bits=mantissa_bits, bias=bias)
    else:
        (count,) = fields.numbers("Q")
    check(1 <= count <= MAX_WEIGHTS, f"{count} weights, allowed are 1 to {MAX_WEIGHTS}")
    return WeightSummary(format=weight_format, count=count)


def tensor_shapes(network: NetworkConfig, latent_channels: int, pictures: int) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the denoiser's tensors in the order of the file."""
    size = network.hidden_size
    patch = network.patch_size**2 * latent_channels
    shapes: dict[str, tuple[int, ...]] = {"patch_in": (size, patch), "patch_out": (patch, size)}
    shapes |= {f"index_embedding.{name}": shape for name, shape in _embedding_shapes(network, pictures).items()}
    for block in range(network.depth):
        shapes |= {f"blocks.{block}.{name}": shape for name, shape in _block_shapes(network).items()}
    return shapes


def count_parameters(network: NetworkConfig, latent_channels: int, pictures: int) -> int:
    """Return the number of learnable weights of a denoiser of M ``pictures``, without building it."""
    return sum(math.prod(shape) for shape in tensor_shapes(network, latent_channels, pictures).values())


def _shapes_of(header: Header) -> dict[str, tuple[int, ...]]:
    assert header.denoising is not None  # a weight section comes only with it
    return tensor_shapes(header.denoising.network, header.autoencoder.latent_channels, header.pictures)


def _embedding_shapes(network: NetworkConfig, pictures: int) -> dict[str, tuple[int, ...]]:
    size = network.hidden_size
    of_index = network.index_tokens * size
    shapes: dict[str, dict[str, tuple[int, ...]]] = {
        "grf": {},
        "edf": {"mlp_in": (size, size), "mlp_out": (of_index, size)},
        "let": {"table": (pictures, of_index)},
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
    """Return all tensors as one float32 vector in the order of the file.

    Raises ``InvalidSetting`` for other tensors.
    """
    shapes = _shapes_of(header)
    found = {name: tensor.shape for name, tensor in tensors.items()}
    check(found == shapes, "the tensors are not those of the header's network")
    return np.concatenate([tensors[name].ravel() for name in shapes]).astype(np.float32, copy=False)


def split_tensors(values: NDArray[np.float32], header: Header) -> dict[str, NDArray[np.float32]]:
    """Undo ``join_tensors``: return views into the vector. Raises ``InvalidField`` if its length is wrong."""
    shapes = _shapes_of(header)
    sizes = [math.prod(shape) for shape in shapes.values()]
    if values.size != sum(sizes):
        raise InvalidField(f"weights: {values.size} weights, the header's network has {sum(sizes)}")
    pieces = np.split(values, np.cumsum(sizes)[:-1])
    return {name: piece.reshape(shape) for (name, shape), piece in zip(shapes.items(), pieces, strict=True)}
