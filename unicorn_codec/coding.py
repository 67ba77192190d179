"""Packing into codes: the quantisation step follows from the wanted size, and the decoder is tuned to the set.

pack_into_codes: fit_codes > tune_decoder > fit_codes, in what the change leaves
"""

import math
from collections.abc import Callable

from unicorn_codec.autoencoder import Autoencoder, EmbeddedAutoencoder
from unicorn_codec.code_model import load_code_model
from unicorn_codec.code_table import Codes
from unicorn_codec.config import Header, PackOptions, check
from unicorn_codec.container import Container
from unicorn_codec.errors import InvalidSetting
from unicorn_codec.folder_coder import FolderCoder, encode_latents, overhead_of
from unicorn_codec.images import Folder
from unicorn_codec.reports import Observer
from unicorn_codec.tuning import tune_decoder

TOLERANCE = 0.01
ROUNDS = 8
CORRECTIONS = 2


def pack_into_codes(pictures: Folder, autoencoder: Autoencoder, options: PackOptions, observer: Observer) -> Container:
    """Every image in a code of its own, and where it pays a change of the decoder that all share.

    Raises:
        InvalidSetting: no step gives the wanted size, or the step is too coarse.
    """
    assert isinstance(autoencoder, EmbeddedAutoencoder), "the options ask for no other one"
    observer.found(pictures, None)
    coder = FolderCoder(pictures, options.read, autoencoder, load_code_model())
    step, codes = code_folder(coder, options, options.target_bytes(pictures.pixels), observer)
    tuning = None
    if options.tune:
        tuning = tune_decoder(coder, step, coder.file_bytes(codes), options.seed, observer)
    if tuning is not None and options.target_bytes(pictures.pixels) is not None:
        room = coder.file_bytes(codes) - len(tuning)
        step, codes = code_folder(coder, options, room, observer)
    header = Header(
        images=len(pictures.pictures),
        seed=options.seed,
        latent_step=step,
        autoencoder=autoencoder.reference,
        denoising=None,
    )
    return Container(header=header, sizes=pictures.sizes, names=pictures.names, codes=codes, tuning=tuning)


def code_folder(
    coder: FolderCoder, options: PackOptions, file_bytes: float | None, observer: Observer
) -> tuple[float, Codes]:
    """Step and codes of a wanted size, or of the wanted step."""
    coarsest = coder.autoencoder.network.max_step
    if file_bytes is not None:
        return fit_codes(coder, file_bytes, coarsest, observer)
    step = options.latent_step or 1.0
    check(step <= coarsest, f"the quantisation step is at most {coarsest:g}, not {step:g}")
    return step, coder.encode(step, observer.of_stage("coding"))


def choose_step(
    coder: FolderCoder, wanted_bytes: float, coarsest: float, progress: Callable[[int, int], None]
) -> float:
    """Quantisation step at which the file has the wanted bytes, or 1, the finest, where that takes less.

    Searched on a sample of the pictures, by really coding them.

    Raises:
        InvalidSetting: even the coarsest step takes more.
    """
    batches, share = coder.sample(progress)
    overhead = overhead_of(coder.pictures)

    def whole(step: float) -> float:
        codes = [code for latents in batches for code in encode_latents(coder.model, latents, step)]
        return overhead + sum(map(len, codes)) / share

    if wanted_bytes >= whole(1.0):
        return 1.0
    smallest = whole(coarsest)
    if wanted_bytes < smallest * (1 - 3 * TOLERANCE):
        least, wanted = (8 * size / coder.pictures.pixels for size in (smallest, wanted_bytes))
        raise InvalidSetting(
            f"these pictures take at least about {smallest:.0f} bytes ({least:.3f} bits per pixel), "
            f"not {wanted_bytes:.0f} ({wanted:.3f})"
        )
    low, high = 0.0, math.log(coarsest)
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        low, high = (low, middle) if whole(math.exp(middle)) < wanted_bytes else (middle, high)
    return math.exp((low + high) / 2)


def fit_codes(coder: FolderCoder, wanted_bytes: float, coarsest: float, observer: Observer) -> tuple[float, Codes]:
    """Step and codes with which the file has the wanted bytes, within ``TOLERANCE`` where a step can do so."""
    step = choose_step(coder, wanted_bytes, coarsest, observer.of_stage("probing"))
    codes = coder.encode(step, observer.of_stage("coding"))
    for _ in range(CORRECTIONS):
        found = coder.file_bytes(codes)
        # The size falls about as the step's power of -1, where most values are zero.
        better = min(coarsest, max(1.0, step * found / wanted_bytes))
        if abs(found / wanted_bytes - 1) <= TOLERANCE or better == step:
            break
        step, codes = better, coder.encode(better, observer.of_stage("coding"))
    return step, codes
