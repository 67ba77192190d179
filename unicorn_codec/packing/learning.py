"""Learning of a folder: an update of the shipped networks, trained on the folder's pictures where that pays.

learn: gather_windows > choose rank and coarseness > UpdateTraining.run > UpdateTraining.finish
> compare the gain of refined codes with the update's bytes
"""

import math
import time

import torch

from unicorn_codec.config import Learning
from unicorn_codec.packing.folder_encoder import FolderEncoder
from unicorn_codec.packing.learned_cost import LearnedCost
from unicorn_codec.packing.learning_windows import gather_windows, split
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.reports import Learned
from unicorn_codec.packing.update_training import UpdateTraining, start_update
from unicorn_codec.transform.folder_update import UpdatedModels, update_shapes

STEPS, SECONDS = 200, {"cpu": 420.0, "cuda": 90.0}
"""Most steps of training without a time budget, and the most seconds that they may take, by kind of device."""

FIRST_PART = 0.7
"""Part of the time until training goes on with refined codes."""

LARGEST_GAIN = 0.2
"""Most of the codes' bytes that learning is expected to save. Where even this is less than an update, none is tried."""

GAIN_LOST = 0.06
FINEST_ROUNDING, COARSEST_ROUNDING = 0.1, 0.7
"""Part of the refined codes' bytes that is lost by rounding an update's rows to multiples of their root mean squares,
and the limits of the steps in these units. The loss grows with the square of the steps: half of them lost 2 %."""

RANK_SHARE, LARGEST_RANK = 0.004, 4
BITS_PER_VALUE = 2.2
"""Part of the codes' bytes that each rank of the decoder's update may take, the largest rank that is worth its time,
and the bits that a value of an update takes."""


def learn(
    encoder: FolderEncoder, step: float, options: Learning, rounds: int, seed: int, observer: Observer
) -> tuple[bytes | None, Learned]:
    """Train an update on a folder's pictures, as long as it pays.

    Args:
        encoder: of the folder, with the shipped models.
        step: at which the pictures will be coded.
        rounds: of refinement of the codes that the update is finished for; 0 where codes are not refined.

    Returns:
        The payload of the update, None where it would not pay for its bytes, and a report.
    """
    begun, checkpoint = time.monotonic(), encoder.checkpoint
    if checkpoint is not None and checkpoint.learned is not None:
        return checkpoint.learned or None, Learned(kept=bool(checkpoint.learned), bytes=len(checkpoint.learned))
    training = begin_training(encoder, step, rounds, seed, observer)
    payload, saved = b"", 0.0
    tried = LARGEST_GAIN * training.code_bytes > update_bytes(encoder.models, 0)
    if tried:
        first = FIRST_PART if rounds else 1.0
        seconds = first * (options.seconds or SECONDS[encoder.autoencoder.device.type])
        steps = None if options.seconds else STEPS

        def progress(done: float, gain: float) -> None:
            observer.learning(first * done, gain)

        def progress_on_refined(done: float) -> None:
            observer.learning(first + (1 - first) * done, 0.0)

        if training.run(seconds, steps, seed, progress, checkpoint):
            payload, gain = training.finish(seed, progress_on_refined)
            saved = training.bytes_worth(gain) - len(payload)
    report = Learned(
        kept=saved > 0,
        bytes=len(payload),
        saved_bytes=round(saved),
        code_bytes=round(training.code_bytes),
        steps=training.steps,
        seconds=time.monotonic() - begun,
        tried=tried,
    )
    observer.learned(report)
    if checkpoint is not None:
        checkpoint.finish_learning(payload if report.kept else b"")
    return payload if report.kept else None, report


def begin_training(encoder: FolderEncoder, step: float, rounds: int, seed: int, observer: Observer) -> UpdateTraining:
    """Return the training of a folder's update, at its start or where a checkpoint left it."""
    models, checkpoint = encoder.models, encoder.checkpoint
    learned, measured = split(gather_windows(encoder, step, seed, observer.of_stage("cutting")))
    cost = LearnedCost(models=models, rate=encoder.chooser.rate, step=step)
    bits, plain_cost = cost.measure(measured, start_update(models, 0, seed))
    code_bytes = bits * pixels_of_codes(encoder) / 8
    rank = choose_rank(models, code_bytes)
    update, steps = start_update(models, rank, seed), 0
    if checkpoint is not None and checkpoint.learning:
        steps = checkpoint.learning_steps
        # In the order of the start: a checkpoint sorts its tensors by name.
        update = {name: torch.from_numpy(checkpoint.learning[name]).to(start.device) for name, start in update.items()}
    return UpdateTraining(
        cost=cost,
        learned=learned,
        measured=measured,
        code_bytes=code_bytes,
        rank=rank,
        coarseness=choose_coarseness(models, code_bytes),
        plain_bits=bits,
        plain_cost=plain_cost,
        update=update,
        rounds=rounds,
        steps=steps,
    )


def pixels_of_codes(encoder: FolderEncoder) -> int:
    """Return the pixels of all pictures of the archive that are coded as latents."""
    in_sequences = sum(encoder.pictures.pixels_of(position) for position in encoder.sequences.positions)
    return round((encoder.pictures.pixels - in_sequences) / encoder.share)


def choose_rank(models: UpdatedModels, code_bytes: float) -> int:
    """Return the largest rank of an update that is small compared with the codes."""
    one = update_bytes(models, 1) - update_bytes(models, 0)
    return min(LARGEST_RANK, int(RANK_SHARE * code_bytes / one))


def choose_coarseness(models: UpdatedModels, code_bytes: float) -> float:
    """Return the steps of an update's rows, in units of their root mean squares, with which the file is smallest.

    Halving them costs a bit a value, and wins three quarters of what rounding loses.
    """
    shapes = update_shapes(models.autoencoder.network, models.context_model, 0)
    values = sum(rows * columns for rows, columns in shapes.values())
    squared = values / (8 * math.log(2)) / (2 * GAIN_LOST * code_bytes)
    return min(max(FINEST_ROUNDING, math.sqrt(squared)), COARSEST_ROUNDING)


def update_bytes(models: UpdatedModels, rank: int) -> float:
    """Estimate the bytes of an update of a rank."""
    shapes = update_shapes(models.autoencoder.network, models.context_model, rank)
    return BITS_PER_VALUE / 8 * sum(rows * columns for rows, columns in shapes.values())
