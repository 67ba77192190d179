"""The bytes of an archive's update: its tensors by rows, for a context model and the convolutions of an autoencoder.

What an update is, and does, is in ``folder_update``. Here it needs the shapes of the networks alone, and no torch.
"""

from collections.abc import Mapping
from functools import cache
from math import prod

import numpy as np

from unicorn_codec.codes.context_model import ContextModel, Floats, load_context_model
from unicorn_codec.codes.context_update import context_update_shapes, updated_model
from unicorn_codec.format.fields import Fields, check, refusing, varint
from unicorn_codec.format.header import MAX_RANK
from unicorn_codec.format.limits import MAX_CHUNK_BYTES
from unicorn_codec.model_registry import AUTOENCODER, get_model
from unicorn_codec.weights.weight_coding import QuantisedRows, decode_rows, encode_rows

CONTEXT, ENCODER = "context.", "encoder."
"""Prefixes of the names of the context model's tensors, and of the encoder's."""

KERNEL = ".weight"
"""Ends the name of a convolution's kernel in a file of weights."""

Kernels = Mapping[str, tuple[int, ...]]
"""Shapes (out, in, k, k) of convolutions by name, in the order of the network."""


def network_update_shapes(kernels: Kernels, rank: int) -> dict[str, tuple[int, int]]:
    """Return rows and columns of the tensors that change convolutions, in the order of the file.

    A kernel of shape (out, in, k, k) is multiplied by 1 + ``out`` for each output and by 1 + ``in`` for each input. To
    a kernel of the decoder, as a matrix of out rows, the product of ``left`` transposed and ``right`` is added. A bias
    is shifted by ``bias``.
    """
    shapes: dict[str, tuple[int, int]] = {}
    for name, (outputs, inputs, *window) in kernels.items():
        shapes[f"{name}.out"] = (1, outputs)
        shapes[f"{name}.in"] = (1, inputs)
        shapes[f"{name}.bias"] = (1, outputs)
        if rank and name.startswith("decoder."):
            shapes[f"{name}.left"] = (rank, outputs)
            shapes[f"{name}.right"] = (rank, inputs * prod(window))
    return shapes


def shapes_of_update(kernels: Kernels, model: ContextModel, rank: int) -> dict[str, tuple[int, int]]:
    """Return rows and columns of an update's tensors, in the order of the file: those of the encoder come last."""
    context = context_update_shapes(model.channels, model.hidden)
    shapes = network_update_shapes(kernels, rank)
    last = {name: shape for name, shape in shapes.items() if name.startswith(ENCODER)}
    first = {name: shape for name, shape in shapes.items() if name not in last}
    return first | {CONTEXT + name: shape for name, shape in context.items()} | last


def serialize_update(update: Mapping[str, QuantisedRows], rank: int) -> bytes:
    """Write an update: its rank, the rows that readers need, and those of the encoder, which only writers need."""
    first = encode_rows([rows for name, rows in update.items() if not name.startswith(ENCODER)])
    return (
        bytes([rank])
        + varint(len(first))
        + first
        + encode_rows([rows for name, rows in update.items() if name.startswith(ENCODER)])
    )


def parse_update(payload: bytes, kernels: Kernels, model: ContextModel) -> dict[str, QuantisedRows]:
    """Read an update of these models, without the encoder's part if ``kernels`` has none. Raises ``InvalidField``."""
    fields = Fields(payload)
    with refusing("update"):
        rank = fields.take(1)[0]
        check(rank <= MAX_RANK, f"the rank is {rank}, allowed are 0 to {MAX_RANK}")
        parts = fields.take(fields.varint(MAX_CHUNK_BYTES, "the bytes of the rows")), fields.rest()
    shapes = shapes_of_update(kernels, model, rank)
    update: dict[str, QuantisedRows] = {}
    for part, is_last in zip(parts, (False, True), strict=True):
        names = [name for name in shapes if name.startswith(ENCODER) == is_last]
        if names:
            update |= dict(zip(names, decode_rows(part, [shapes[name] for name in names]), strict=True))
    return update


def context_part(update: Mapping[str, QuantisedRows]) -> dict[str, Floats]:
    """Return the values of the context model's tensors, by their names in ``context_update``."""
    return {
        name.removeprefix(CONTEXT): rows.values.astype(np.float64)
        for name, rows in update.items()
        if name.startswith(CONTEXT)
    }


def updated_context_model(name: str, payload: bytes) -> ContextModel:
    """Return the packaged context model of a name with an update applied.

    Raises:
        InvalidField: the update is damaged.
        ModelUnavailable: the package has no such model.
    """
    model = load_context_model(name)
    decoder = {kernel: shape for kernel, shape in packaged_kernels(name).items() if not kernel.startswith(ENCODER)}
    return updated_model(model, context_part(parse_update(payload, decoder, model)))


@cache
def packaged_kernels(name: str) -> Kernels:
    """Return the convolutions of a packaged autoencoder. Raises ``ModelUnavailable``."""
    from safetensors import deserialize

    shapes = {key: tuple(tensor["shape"]) for key, tensor in deserialize(get_model(AUTOENCODER, name).read())}
    kernels = [key for key, shape in shapes.items() if key.endswith(KERNEL) and len(shape) == 4]

    def place(key: str) -> tuple[str | int, ...]:
        return tuple(int(part) if part.isdigit() else part for part in key.split("."))

    return {key.removesuffix(KERNEL): shapes[key] for key in sorted(kernels, key=place)}
