"""The update that an archive holds: what packing learned of its pictures, as a change of the shipped networks.

The shipped networks know pictures in general. The update adds what the pictures of one archive have in common, to the
encoder, the decoder and the context model. It is stored once, as entropy-coded integers (``stored_update``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unicorn_codec.codes.context_model import ContextModel
from unicorn_codec.codes.context_update import updated_model
from unicorn_codec.codes.stored_update import context_part, parse_update, shapes_of_update
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.coding_autoencoder import CodingAutoencoder
from unicorn_codec.transform.network_update import kernels_of, updated_parameters
from unicorn_codec.weights.weight_coding import QuantisedRows, nearest_steps, quantise_rows


@dataclass(frozen=True, slots=True)
class UpdatedModels:
    """The two models of codes with an archive's update, or as shipped."""

    autoencoder: PackagedAutoencoder
    context_model: ContextModel

    def with_update(self, payload: bytes) -> "UpdatedModels":
        """Return the models with an update applied. Raises ``InvalidField``."""
        update = parse_update(payload, kernels_of(self.autoencoder.network), self.context_model)
        device = self.autoencoder.device
        tensors = {name: torch.from_numpy(rows.values).to(device) for name, rows in update.items()}
        autoencoder = self.autoencoder.with_network(updated_parameters(self.autoencoder.network, tensors))
        return UpdatedModels(autoencoder, updated_model(self.context_model, context_part(update)))


def update_shapes(network: CodingAutoencoder, model: ContextModel, rank: int) -> dict[str, tuple[int, int]]:
    """Return rows and columns of the tensors of an update of these networks, in the order of the file."""
    return shapes_of_update(kernels_of(network), model, rank)


def quantise_update(update: Mapping[str, Tensor], coarseness: float) -> dict[str, QuantisedRows]:
    """Round every row to multiples of about ``coarseness`` times its root mean square."""
    quantised = {}
    for name, tensor in update.items():
        values = tensor.detach().cpu().numpy()
        steps = nearest_steps(coarseness * np.sqrt(np.mean(values**2, axis=1)))
        quantised[name] = quantise_rows(values, steps)
    return quantised
