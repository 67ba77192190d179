"""Whether a change of the decoder is worth its bytes for a set, and the change.

tune_decoder: choose_rank > gather_windows > fit_change > compare at equal bytes
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from unicorn_codec.format.header import MAX_RANK
from unicorn_codec.packing.folder_coder import FolderCoder
from unicorn_codec.reports import Observer, Tuned
from unicorn_codec.transform.adaptation import (
    Windows,
    change_shapes,
    fit_change,
    mean_loss,
    parse_change,
    serialize_change,
)
from unicorn_codec.transform.coding_autoencoder import CodingAutoencoder

WINDOW_CELLS = 16
"""Sides of a window, in latents: at most 256 pixels."""

WINDOWS = 1024
"""At most: bounds memory on large sets."""

BITS_PER_VALUE = 3.2
LARGEST_SHARE = 0.03
"""Part of a file that a change may take. One of 2.2 % gained 1000 cats at 0.1 bits per pixel 0.13 dB beside finer codes
of as many bytes, and lost texture: the loss has no perceptual distance, whose features the package does not have."""

BATCHES = 400


def tune_decoder(coder: FolderCoder, step: float, file_bytes: int, seed: int, observer: Observer) -> bytes | None:
    """Fit a change to the set and hold it against finer codes of the same bytes.

    Args:
        step: quantisation step at which the file takes ``file_bytes`` without a change.

    Returns:
        The payload of TUNE; None where the set is too small for a change, or does not gain by one.
    """
    network = coder.autoencoder.network
    rank = choose_rank(network, file_bytes)
    if rank is None:
        observer.not_tuned(change_bytes(network, 1))
        return None
    groups = gather_windows(coder, observer.of_stage("cutting"))
    change = fit_change(
        network,
        groups,
        step,
        rank=rank,
        batches=BATCHES,
        seed=seed,
        progress=observer.of_stage("tuning"),
    )
    payload = serialize_change(change, rank)
    tuned = Tuned(rank=rank, bytes=len(payload), gain=gain_of(payload, network, groups, step, file_bytes))
    observer.tuned(tuned)
    return payload if tuned.kept else None


def gain_of(
    payload: bytes, network: CodingAutoencoder, groups: Sequence[Windows], step: float, file_bytes: int
) -> float:
    """Part by which a change lowers the loss, at equal bytes: its codes are coarser by what it takes."""
    # The size falls about as the step's power of -1.
    coarser = step / (1 - len(payload) / file_bytes)
    return 1 - mean_loss(network, parse_change(payload, network), groups, coarser) / mean_loss(
        network, {}, groups, step
    )


def choose_rank(network: CodingAutoencoder, file_bytes: float) -> int | None:
    """The largest rank whose change is small beside the file; None where there is none."""
    # Biases alone (rank 0) never paid: on 200 pictures at 0.1 bits per pixel they lost 0.1 % of the loss.
    fitting = [rank for rank in range(1, MAX_RANK + 1) if change_bytes(network, rank) <= LARGEST_SHARE * file_bytes]
    return max(fitting, default=None)


def change_bytes(network: CodingAutoencoder, rank: int) -> float:
    """About what a change of a rank takes in the file."""
    return BITS_PER_VALUE / 8 * sum(rows * columns for rows, columns in change_shapes(network, rank).values())


def gather_windows(coder: FolderCoder, progress: Callable[[int, int], None]) -> list[Windows]:
    """The middle of each picture, or of some of them, evenly from the folder; one group a size."""
    pictures, cell = coder.pictures.pictures, coder.autoencoder.reference.downsampling
    positions = range(0, len(pictures), -(-len(pictures) // WINDOWS))
    cut: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for batch, latents in coder.latents(positions, progress):
        for position, one in zip(batch, latents, strict=True):
            pixels = torch.from_numpy(coder.picture(position)).permute(2, 0, 1)
            top, left = (max(0, side // cell - WINDOW_CELLS) // 2 for side in pixels.shape[1:])
            rows, columns = (max(1, min(WINDOW_CELLS, side // cell)) for side in pixels.shape[1:])
            window = pixels[:, top * cell : (top + rows) * cell, left * cell : (left + columns) * cell]
            if window.shape[1] % cell == 0 and window.shape[2] % cell == 0:  # else smaller than one latent
                cut[window.shape].append((window, one[:, top : top + rows, left : left + columns].half()))
    return [Windows(*map(torch.stack, zip(*group, strict=True))) for group in cut.values()]
