"""Choice of the packaged model that suits a folder, by a sample of its pictures."""

from collections.abc import Iterator

from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.config import AUTO, CodesOptions
from unicorn_codec.devices import choose_device
from unicorn_codec.errors import FormatError
from unicorn_codec.format.carried_codes import parse_carried
from unicorn_codec.model_registry import AUTOENCODER, names
from unicorn_codec.packing.folder_encoder import FolderEncoder
from unicorn_codec.packing.into_codes import new_encoder
from unicorn_codec.packing.learned_cost import LearnedCost
from unicorn_codec.packing.learning_windows import gather_windows
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.reports import ModelChoice
from unicorn_codec.packing.targets import AsAvif, AtStep, resolve
from unicorn_codec.packing.update_training import start_update
from unicorn_codec.pictures.code_carrying import code_in
from unicorn_codec.pictures.images import read_original
from unicorn_codec.transform.autoencoder import PackagedAutoencoder

FEWEST_PIXELS = 1 << 18
"""Pixels of a folder below which too little is at stake for a choice."""

WINDOWS = 16
"""Windows of the sample, evenly from all pictures."""

USUAL_STEP = 3.0
"""Step at which models are compared where a size is the target. The better one hardly depends on it."""


def choose_model(pictures: PictureSource, options: CodesOptions, observer: Observer) -> ModelChoice | None:
    """Choose the model with which a sample of the pictures costs least, codes and distortion together.

    Pictures whose files carry codes keep the model of these, so that packing them again loses nothing.

    Returns:
        None where nothing is to be chosen: ``options`` name a model, or no picture becomes a code of latents.

    Raises:
        InvalidSetting: the requested step is too coarse.
    """
    if options.autoencoder != AUTO or not len(pictures):
        return None
    device = choose_device(options.device)
    encoders = {
        name: new_encoder(pictures, PackagedAutoencoder(device, name=name), load_context_model(name))
        for name in names(AUTOENCODER)
    }
    coarsest = max(encoder.coarsest for encoder in encoders.values())
    target = resolve(options.target, pixels=pictures.pixels, coarsest=coarsest)
    if isinstance(target, AsAvif):
        return None
    if options.reuse and (carried := next(carried_models(pictures), None)):
        return ModelChoice(name=carried)
    if pictures.pixels < FEWEST_PIXELS:
        return None
    step = target.step if isinstance(target, AtStep) else USUAL_STEP
    costs = dict[str, tuple[float, float]]()
    for number, (name, encoder) in enumerate(encoders.items(), start=1):
        if step <= encoder.coarsest:
            costs[name] = sample_cost(encoder, step, options.seed)
        observer.stage("choosing", number, len(encoders))
    best = min(costs, key=lambda name: costs[name][1])
    bits, least = costs[best]
    excess = {name: (cost - least) / bits for name, (_, cost) in costs.items() if name != best}
    return ModelChoice(name=best, excess=excess)


def carried_models(pictures: PictureSource) -> Iterator[str]:
    """Yield the names of the packaged models whose codes some files carry."""
    for number in range(min(WINDOWS, len(pictures))):
        picture = pictures.folder.pictures[number * len(pictures) // min(WINDOWS, len(pictures))]
        payload = code_in(read_original(pictures.folder, picture))
        try:
            name = parse_carried(payload).decoder.model.name if payload is not None else ""
        except FormatError:
            continue
        if name in names(AUTOENCODER):
            yield name


def sample_cost(encoder: FolderEncoder, step: float, seed: int) -> tuple[float, float]:
    """Return the bits per pixel of a sample's codes by an encoder's model, and their cost in bits per pixel."""
    windows = gather_windows(encoder, step, seed, most=WINDOWS)
    cost = LearnedCost(models=encoder.models, rate=encoder.chooser.rate, step=step)
    return cost.measure(windows, start_update(encoder.models, 0, seed))
