"""Fitting of an update of the decoder to a picture set, and comparison of its gain with its bytes.

tune_decoder: choose_rank > gather_windows > fit_update > compare at equal bytes
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from unicorn_codec.format.header import MAX_RANK
from unicorn_codec.packing.folder_encoder import FolderEncoder
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.reports import Tuned
from unicorn_codec.transform.coding_autoencoder import CodingAutoencoder
from unicorn_codec.transform.decoder_update import (
    TrainingWindows,
    fit_update,
    mean_loss,
    parse_update,
    serialize_update,
    update_shapes,
)

WINDOW_CELLS = 16
"""Side of a window in latents: at most 256 pixels."""

WINDOWS = 1024
"""Maximum number of windows of a set, which bounds memory."""

BITS_PER_VALUE = 3.2
LARGEST_SHARE = 0.03
"""Maximum share of a file for an update. For 1000 cats at 0.1 bits per pixel, one of 2.2 % gained 0.13 dB over finer
codes of equal size, and lost texture: the loss has no perceptual term, whose features the package does not have."""

BATCHES = 400


def tune_decoder(encoder: FolderEncoder, step: float, file_bytes: int, seed: int, observer: Observer) -> bytes | None:
    """Fit an update to the set and compare it with finer codes of the same bytes.

    Args:
        step: quantisation step at which the file takes ``file_bytes`` without an update.

    Returns:
        The payload of the update; None if the set is too small for one, or does not gain from it.
    """
    network = encoder.autoencoder.network
    rank = choose_rank(network, file_bytes)
    if rank is None:
        observer.not_tuned(change_bytes(network, 1))
        return None
    groups = gather_windows(encoder, observer.of_stage("cutting"))
    change = fit_update(
        network,
        groups,
        step,
        rank=rank,
        batches=BATCHES,
        seed=seed,
        progress=observer.of_stage("tuning"),
    )
    payload = serialize_update(change, rank)
    tuned = Tuned(rank=rank, bytes=len(payload), gain=gain_of(payload, network, groups, step, file_bytes))
    observer.tuned(tuned)
    return payload if tuned.kept else None


def gain_of(
    payload: bytes, network: CodingAutoencoder, groups: Sequence[TrainingWindows], step: float, file_bytes: int
) -> float:
    """Return the relative reduction of the loss by an update at equal bytes, which coarser codes make up for."""
    # The size is approximately inversely proportional to the step.
    coarser = step / (1 - len(payload) / file_bytes)
    return 1 - mean_loss(network, parse_update(payload, network), groups, coarser) / mean_loss(
        network, {}, groups, step
    )


def choose_rank(network: CodingAutoencoder, file_bytes: float) -> int | None:
    """Return the largest rank whose update is small compared with the file; None without one."""
    # Biases alone (rank 0) never gained: on 200 pictures at 0.1 bits per pixel they raised the loss by 0.1 %.
    fitting = [rank for rank in range(1, MAX_RANK + 1) if change_bytes(network, rank) <= LARGEST_SHARE * file_bytes]
    return max(fitting, default=None)


def change_bytes(network: CodingAutoencoder, rank: int) -> float:
    """Estimate the bytes of an update of a rank."""
    return BITS_PER_VALUE / 8 * sum(rows * columns for rows, columns in update_shapes(network, rank).values())


def gather_windows(encoder: FolderEncoder, progress: Callable[[int, int], None]) -> list[TrainingWindows]:
    """Crop the centre of each picture, or of some of them, evenly from the folder; one group per size."""
    pictures, cell = encoder.pictures, encoder.autoencoder.reference.downsampling
    positions = range(0, len(pictures), -(-len(pictures) // WINDOWS))
    cut: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for batch, latents in encoder.latents.of(positions, progress):
        for position, one in zip(batch, latents, strict=True):
            pixels = torch.from_numpy(pictures.picture(position)).permute(2, 0, 1)
            top, left = (max(0, side // cell - WINDOW_CELLS) // 2 for side in pixels.shape[1:])
            rows, columns = (max(1, min(WINDOW_CELLS, side // cell)) for side in pixels.shape[1:])
            window = pixels[:, top * cell : (top + rows) * cell, left * cell : (left + columns) * cell]
            if window.shape[1] % cell == 0 and window.shape[2] % cell == 0:  # else smaller than one latent
                cut[window.shape].append((window, one[:, top : top + rows, left : left + columns].half()))
    return [TrainingWindows(*map(torch.stack, zip(*group, strict=True))) for group in cut.values()]
