"""The update that an archive holds: what packing learned of its pictures, as a change of the shipped networks.

The shipped networks know pictures in general. The update adds what the pictures of one archive have in common, to the
encoder, the decoder and the context model. It is stored once, as entropy-coded integers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unicorn_codec.codes.context_model import ContextModel, Floats
from unicorn_codec.codes.context_update import context_update_shapes, updated_model
from unicorn_codec.format.fields import Fields, check, refusing, varint
from unicorn_codec.format.header import MAX_RANK
from unicorn_codec.format.limits import MAX_CHUNK_BYTES
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.coding_autoencoder import CodingAutoencoder
from unicorn_codec.transform.network_update import network_update_shapes, updated_parameters
from unicorn_codec.weights.weight_coding import QuantisedRows, decode_rows, encode_rows, nearest_steps, quantise_rows

CONTEXT, ENCODER = "context.", "encoder."
"""Prefixes of the names of the context model's tensors, and of the encoder's."""


@dataclass(frozen=True, slots=True)
class UpdatedModels:
    """The two models of codes with an archive's update, or as shipped."""

    autoencoder: PackagedAutoencoder
    context_model: ContextModel

    def with_update(self, payload: bytes) -> "UpdatedModels":
        """Return the models with an update applied. Raises ``InvalidField``."""
        update = parse_update(payload, self.autoencoder.network, self.context_model)
        device = self.autoencoder.device
        tensors = {name: torch.from_numpy(rows.values).to(device) for name, rows in update.items()}
        autoencoder = self.autoencoder.with_network(updated_parameters(self.autoencoder.network, tensors))
        return UpdatedModels(autoencoder, updated_model(self.context_model, context_part(update)))


def update_shapes(network: CodingAutoencoder, model: ContextModel, rank: int) -> dict[str, tuple[int, int]]:
    """Return rows and columns of an update's tensors, in the order of the file: those of the encoder come last."""
    context = context_update_shapes(model.channels, model.hidden)
    shapes = network_update_shapes(network, rank)
    last = {name: shape for name, shape in shapes.items() if name.startswith(ENCODER)}
    first = {name: shape for name, shape in shapes.items() if name not in last}
    return first | {CONTEXT + name: shape for name, shape in context.items()} | last


def context_part(update: Mapping[str, QuantisedRows]) -> dict[str, Floats]:
    """Return the values of the context model's tensors, by their names in ``context_update``."""
    return {
        name.removeprefix(CONTEXT): rows.values.astype(np.float64)
        for name, rows in update.items()
        if name.startswith(CONTEXT)
    }


def serialize_update(update: Mapping[str, QuantisedRows], rank: int) -> bytes:
    """Write an update: its rank, the rows that readers need, and those of the encoder, which only writers need."""
    first = encode_rows([rows for name, rows in update.items() if not name.startswith(ENCODER)])
    return (
        bytes([rank])
        + varint(len(first))
        + first
        + encode_rows([rows for name, rows in update.items() if name.startswith(ENCODER)])
    )


def parse_update(payload: bytes, network: CodingAutoencoder, model: ContextModel) -> dict[str, QuantisedRows]:
    """Read an update of these models, without the encoder's part if the network has none. Raises ``InvalidField``."""
    fields = Fields(payload)
    with refusing("update"):
        rank = fields.take(1)[0]
        check(rank <= MAX_RANK, f"the rank is {rank}, allowed are 0 to {MAX_RANK}")
        parts = fields.take(fields.varint(MAX_CHUNK_BYTES, "the bytes of the rows")), fields.rest()
    shapes = update_shapes(network, model, rank)
    update: dict[str, QuantisedRows] = {}
    for part, is_last in zip(parts, (False, True), strict=True):
        names = [name for name in shapes if name.startswith(ENCODER) == is_last]
        if names:
            update |= dict(zip(names, decode_rows(part, [shapes[name] for name in names]), strict=True))
    return update


def quantise_update(update: Mapping[str, Tensor], coarseness: float) -> dict[str, QuantisedRows]:
    """Round every row to multiples of about ``coarseness`` times its root mean square."""
    quantised = {}
    for name, tensor in update.items():
        values = tensor.detach().cpu().numpy()
        steps = nearest_steps(coarseness * np.sqrt(np.mean(values**2, axis=1)))
        quantised[name] = quantise_rows(values, steps)
    return quantised
