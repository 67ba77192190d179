"""Choice of the number of refinement rounds for a folder."""

import time
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TypeVar

from unicorn_codec.config import CodesOptions
from unicorn_codec.effort import SHORT_EFFORT, default_effort, worthwhile_rounds
from unicorn_codec.packing.candidates import Candidate
from unicorn_codec.packing.code_writer import write_codes
from unicorn_codec.packing.folder_encoder import FolderEncoder
from unicorn_codec.packing.refinement import PIXELS_AT_ONCE
from unicorn_codec.pictures.metrics import ms_ssim

Item = TypeVar("Item")

TIMED_PICTURES = {"cpu": 8, "cuda": 128}
TIMED_PIXELS = {"cpu": 1 << 19, "cuda": PIXELS_AT_ONCE["cuda"]}
TIMED_ROUNDS = {"cpu": 2, "cuda": 20}
"""Size of the timed sample by kind of device: maximum number of pictures, approximate pixels, rounds. A GPU takes as
long for few pictures as for many."""


def plan_rounds(encoder: FolderEncoder, options: CodesOptions, step: float) -> int:
    """Return the requested rounds, those of a resumed run, or those of the default or of a time budget.

    Args:
        step: at which a round is timed.
    """
    if options.effort is not None:
        return options.effort
    if encoder.checkpoint is not None and encoder.checkpoint.rounds is not None:
        return encoder.checkpoint.rounds
    if options.seconds is None:
        return default_effort(round(encoder.pictures.pixels / encoder.share), encoder.autoencoder.device.type)
    # A target size may require a second pass over all pictures.
    passes = 1 if options.target.file_bytes(encoder.pictures.pixels) is None else 2
    return rounds_within(encoder, options.seconds, passes, step)


def rounds_within(encoder: FolderEncoder, seconds: float, passes: int, step: float) -> int:
    """Estimate, from a timed sample, how many refinement rounds fit into ``seconds``."""
    begun, device = time.monotonic(), encoder.autoencoder.device.type
    source = encoder.pictures
    in_latents = [p for p in range(len(source)) if p not in encoder.sequences.positions]
    sample, pixels = list[int](), 0
    for position in in_latents[:: max(1, -(-len(in_latents) // TIMED_PICTURES[device]))]:
        if pixels < TIMED_PIXELS[device]:
            sample.append(position)
            pixels += source.pixels_of(position)
    if not sample:
        return 0
    batches, encoding = timed(encoder.latents.of(sample))

    def candidates(rounds: int) -> Iterator[Candidate]:
        for batch, latents in batches:
            yield from chain.from_iterable(encoder.chooser.choose(batch, latents, step, rounds))

    chosen, _ = timed(candidates(1))  # warms up: the very first pass takes longer
    _, refining_once = timed(candidates(1))
    _, refining = timed(candidates(1 + TIMED_ROUNDS[device]))
    _, writing = timed(write_codes(encoder.model, chosen, step))
    one_round = (refining - refining_once) / TIMED_ROUNDS[device]
    _, comparing = timed(ms_ssim(one, one) for one in map(source.picture, sample))
    # Time besides the rounds: encoding, writing, and finally reading, decoding and comparing.
    fixed = encoding + refining_once - one_round + 2 * writing + one_round / 4 + comparing
    scale = sum(map(source.pixels_of, in_latents)) / pixels
    left = seconds - (time.monotonic() - begun) - fixed * scale
    if one_round <= 0:  # the sample was too small to measure
        return SHORT_EFFORT if left > 0 else 0
    return worthwhile_rounds(int(max(0.0, left / (one_round * scale) / passes)))


def timed(items: Iterable[Item]) -> tuple[list[Item], float]:
    """Return the items, and the seconds that generating them took."""
    started = time.monotonic()
    made = list(items)
    return made, time.monotonic() - started
