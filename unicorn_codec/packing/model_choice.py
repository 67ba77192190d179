"""Choice of the packaged model that suits a folder, by a sample of its pictures."""

from collections.abc import Iterator, Sequence

from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.config import AUTO, CodesOptions
from unicorn_codec.devices import choose_device
from unicorn_codec.errors import FormatError
from unicorn_codec.format.carried_codes import parse_carried
from unicorn_codec.model_registry import AUTOENCODER, get_model, names
from unicorn_codec.packing.candidates import CandidateChooser
from unicorn_codec.packing.folder_encoder import coarsest_step
from unicorn_codec.packing.learned_cost import LearnedCost
from unicorn_codec.packing.learning_windows import by_way, cut_windows
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.reports import ModelChoice
from unicorn_codec.packing.targets import AsAvif, AtStep, resolve
from unicorn_codec.packing.update_training import start_update
from unicorn_codec.pictures.code_carrying import code_in
from unicorn_codec.pictures.picture_folder import read_original
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.folder_update import UpdatedModels

FEWEST_PIXELS = 1 << 18
"""Pixels of a folder below which too little is at stake for a choice."""

WINDOWS = 16
"""Windows of the sample, evenly from all pictures."""

MULTIPLE = 32
"""Pixels to a multiple of which sides of windows are padded: twice a latent's side, for codes of half size."""

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
    coarsest = {name: coarsest_step(get_model(AUTOENCODER, name).config["max_step"]) for name in names(AUTOENCODER)}
    target = resolve(options.target, pixels=pictures.pixels, coarsest=max(coarsest.values()))
    if isinstance(target, AsAvif):
        return None
    if options.reuse and (carried := next(carried_models(pictures), None)):
        return ModelChoice(name=carried)
    if pictures.pixels < FEWEST_PIXELS:
        return None
    step = target.step if isinstance(target, AtStep) else USUAL_STEP
    cut = cut_windows(pictures, range(len(pictures)), MULTIPLE, options.seed, most=WINDOWS)
    costs, device = dict[str, tuple[float, float]](), choose_device(options.device)
    for number, name in enumerate(coarsest, start=1):
        if step <= coarsest[name]:
            costs[name] = sample_cost(cut, pictures, PackagedAutoencoder(device, name=name), step, options.seed)
        observer.stage("choosing", number, len(coarsest))
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


def sample_cost(
    cut: Sequence[Sequence[Pixels]], pictures: PictureSource, model: PackagedAutoencoder, step: float, seed: int
) -> tuple[float, float]:
    """Return the bits per pixel of the codes of some windows by a model, and their cost in bits per pixel."""
    models = UpdatedModels(model, load_context_model(model.reference.name))
    rate = RateModel.of(models.context_model).to(model.device)
    windows = by_way(CandidateChooser(pictures=pictures, autoencoder=model, rate=rate), cut, step)
    cost = LearnedCost(models=models, rate=rate, step=step)
    return cost.measure(windows, start_update(models, 0, seed))
