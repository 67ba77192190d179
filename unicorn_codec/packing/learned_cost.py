"""Rate-distortion cost of windows that are coded with an update, differentiable by the update."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import torch
from torch import Tensor, nn
from torch.func import functional_call

from unicorn_codec.codes.context_model import level_of
from unicorn_codec.codes.context_update import updated_rate_parameters
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.codes.stored_update import CONTEXT
from unicorn_codec.devices import fast_arithmetic, map_in_workers
from unicorn_codec.format.code_kinds import decoder_step, model_level
from unicorn_codec.packing.learning_windows import LearningWindows
from unicorn_codec.packing.refinement import Objective, bits_worth
from unicorn_codec.transform.distortion import distortion
from unicorn_codec.transform.folder_update import UpdatedModels
from unicorn_codec.transform.network_update import updated_parameters
from unicorn_codec.transform.resampling import double

MEASURED_PIXELS = 1 << 18
"""Pixels that are measured together."""


class _Bits(nn.Module):
    """``RateModel.bits`` as a forward pass, so that it can be called with other parameters."""

    def __init__(self, rate: RateModel) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, symbols: Tensor, levels: Tensor, context: Tensor | None) -> Tensor:
        return self.rate.bits(symbols, levels, context=context)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedCost:
    """Rate-distortion cost of windows, coded with an update that is being learned.

    Args:
        models: as shipped.
        rate: floating-point context model, as shipped.
        step: quantisation step of the archive.
    """

    models: UpdatedModels
    rate: RateModel
    step: float

    @property
    def device(self) -> torch.device:
        """Device of the networks."""
        return self.models.autoencoder.device

    def parts(
        self, windows: LearningWindows, update: Mapping[str, Tensor], noise: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return (N,) bits per pixel of windows' codes, and (N,) distortions in bits per pixel.

        Args:
            noise: draws uniform noise, instead of rounding, for the estimate of the bits, which so has a gradient
                (Balle et al., 2017). The decoder gets rounded latents in any case, and settled codes stay as they are.
        """
        network, device = self.models.autoencoder.network, self.device
        step = decoder_step(self.step, half=windows.half)
        parameters = updated_parameters(network, update)
        original = windows.pixels.to(device).float() / 127.5 - 1
        with fast_arithmetic(device):
            symbols = self._encoded(windows, parameters)
            rounded = symbols + (symbols.round() - symbols).detach()
            steps = torch.full((len(symbols),), step, device=device)
            inputs = network.with_step(rounded * step, steps).contiguous(memory_format=torch.channels_last)
            decoded = functional_call(network.decoder, part_of(parameters, "decoder."), (inputs,)).float()
        decoded = double(decoded) if windows.half else decoded
        pixels, coded = original[0, 0].numel(), rounded
        if noise is not None and windows.symbols is None:
            coded = symbols + torch.rand(symbols.shape, generator=noise).to(device) - 0.5
        bits = self._bits(coded, rounded, update, half=windows.half).sum((1, 2, 3)) / pixels
        return bits, bits_worth(distortion(decoded, original), self.step)

    def _encoded(self, windows: LearningWindows, parameters: Mapping[str, Tensor]) -> Tensor:
        """Return (N, C, h, w) latents of windows in units of their step: settled ones, or the encoder's."""
        network, device = self.models.autoencoder.network, self.device
        if windows.symbols is not None:
            return windows.symbols.to(device).float()
        shown = (windows.coded.to(device).float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        latents: Tensor = functional_call(network.encoder, part_of(parameters, "encoder."), (shown,))
        return latents.float() / decoder_step(self.step, half=windows.half)

    def refined(self, groups: Sequence[LearningWindows], payload: bytes | None, rounds: int) -> list[LearningWindows]:
        """Return windows with codes that are refined for the networks of an update, and then settled.

        Args:
            payload: the update, as it is stored; None: for the networks as shipped.
            rounds: of refinement.
        """
        models = self.models if payload is None else self.models.with_update(payload)
        rate = RateModel.of(models.context_model).to(self.device)

        def refined(group: LearningWindows) -> LearningWindows:
            objective = Objective(autoencoder=models.autoencoder, rate=rate, step=self.step, half=group.half)

            def refine(some: LearningWindows) -> Tensor:
                with torch.inference_mode():
                    latents = models.autoencoder.encode(some.coded.to(self.device).float() / 127.5 - 1)
                found = objective.refine(some.pixels.permute(0, 2, 3, 1), latents.float().cpu(), rounds)
                return (found / objective.own_step).round()

            symbols = map_in_workers(refine, parts_of(group), self.device, pixels=MEASURED_PIXELS)
            return replace(group, symbols=torch.cat(list(symbols)))

        return [refined(group) for group in groups]

    def copy(self) -> "LearnedCost":
        """Return one with networks of its own."""
        autoencoder = self.models.autoencoder.with_network(self.models.autoencoder.network.state_dict())
        return replace(self, models=replace(self.models, autoencoder=autoencoder), rate=copy.deepcopy(self.rate))

    def _bits(self, symbols: Tensor, context: Tensor, update: Mapping[str, Tensor], *, half: bool) -> Tensor:
        level = model_level(level_of(self.step), half=half)
        levels = torch.full((len(symbols),), level, device=symbols.device)
        parameters = updated_rate_parameters(self.rate, part_of(update, CONTEXT))
        named = {f"rate.{name}": tensor for name, tensor in parameters.items()}
        return functional_call(_Bits(self.rate), named, (symbols, levels, context))

    @torch.no_grad()
    def measure(self, groups: Sequence[LearningWindows], update: Mapping[str, Tensor]) -> tuple[float, float]:
        """Return the mean bits per pixel of windows' codes, and their mean cost in bits per pixel."""
        bits, costs = list[Tensor](), list[Tensor]()
        for some in chain.from_iterable(map(parts_of, groups)):
            rate, worth = self.parts(some, update)
            bits.append(rate)
            costs.append(rate + worth)
        return float(torch.cat(bits).mean()), float(torch.cat(costs).mean())


def parts_of(group: LearningWindows) -> Iterator[LearningWindows]:
    """Yield the windows of a group, about ``MEASURED_PIXELS`` pixels at a time."""
    together = max(1, MEASURED_PIXELS // group.pixels[0, 0].numel())
    yield from (group.some(slice(start, start + together)) for start in range(0, len(group), together))


def part_of(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names have a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
