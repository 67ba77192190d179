"""Latents to codes: candidates, the best of them, the long training, quantised parameters, a code.

FunctionFitter.learn_common, once an archive > FunctionFitter.fit, for pictures of one size
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from unicorn_codec.overfitted.fitting import FittedModel, Functions, Task, begin, losses, train
from unicorn_codec.overfitted.function_code import (
    DecodedFunction,
    base_of,
    encode_function,
    encode_parameters,
)
from unicorn_codec.overfitted.function_shape import UNIT, FunctionShape, Integers
from unicorn_codec.overfitted.integer_context import LARGEST_VALUE
from unicorn_codec.overfitted.parameter_quantisation import search_steps
from unicorn_codec.overfitted.schedule import Schedule
from unicorn_codec.overfitted.synthesis import latents_of


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted function.

    Args:
        code: of it.
        function: what the code decodes to.
        error: squared error of the latents that it gives, per value.
    """

    code: bytes
    function: DecodedFunction
    error: float


@dataclass(frozen=True)
class FunctionFitter:
    """Fits functions to latents.

    Args:
        schedule: of training.
        seed: of everything that is drawn.
        common: stored parameters of the archive's common function; empty without one.
        base: (K,) parameters that those of a code differ from.
    """

    shape: FunctionShape
    schedule: Schedule
    seed: int
    common: bytes = b""
    base: Integers = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        if not self.base.size:
            object.__setattr__(self, "base", self.shape.plain)

    def with_common(self, common: bytes) -> "FunctionFitter":
        """Return a fitter with a stored common function; empty for none. Raises ``InvalidField`` if it is damaged."""
        return replace(self, common=common, base=base_of(self.shape, common))

    def learn_common(
        self, latents: Tensor, trade_off: float, progress: Callable[[int], None] = lambda _: None
    ) -> "FunctionFitter":
        """Return a fitter with the common function of some latents (B, C, h, w): one set of parameters for all.

        Args:
            trade_off: squared error that a bit is worth.
            progress: called with the number of each finished step.
        """
        task = Task(latents, torch.full((len(latents),), trade_off, device=latents.device))
        generator = self._generator(latents.device)
        model = FittedModel(self.shape, self._base(latents.device), task)
        functions = begin(self.shape, self.base, task, generator, is_plain=True)
        functions = train(
            model,
            functions,
            self.schedule.common_steps,
            generator,
            is_whole=True,
            shared=True,
            measure=lambda state: search_steps(model, self.base, state, shared=True).costs,
            progress=progress,
        )
        coded = search_steps(model, self.base, functions, shared=True).coded[0]
        return self.with_common(encode_parameters(self.shape, coded))

    def fit(
        self, latents: Tensor, trade_off: float | Sequence[float], progress: Callable[[int], None] = lambda _: None
    ) -> list[Fitted]:
        """Fit a function to each of some latents (B, C, h, w).

        Args:
            trade_off: squared error that a bit is worth, of all functions or of each.
            progress: called with the number of each finished step of the main training.
        """
        trade_offs = torch.as_tensor(trade_off, dtype=torch.float32, device=latents.device).expand(len(latents))
        task, generator = Task(latents, trade_offs), self._generator(latents.device)
        model = FittedModel(self.shape, self._base(latents.device), task)
        functions = self._best_candidates(task, generator)
        functions = train(
            model,
            functions,
            self.schedule.main_steps,
            generator,
            is_whole=True,
            measure=lambda state: search_steps(model, self.base, state).costs,
            progress=progress,
        )
        values = functions.values.round().clamp(-LARGEST_VALUE, LARGEST_VALUE)
        coded = search_steps(model, self.base, functions).coded
        fitted = []
        for number, parameters in enumerate(coded):
            integers = values[number].cpu().numpy().astype(np.int64)
            code = encode_function(self.shape, self.base, parameters, task.size, integers)
            function = DecodedFunction(parameters.values(self.shape, self.base), integers)
            found = latents_of(self.shape, function.parameters, function.values, task.size, latents.device)
            error = (found[0] - latents[number]).square().mean()
            fitted.append(Fitted(code, function, float(error)))
        return fitted

    def _best_candidates(self, task: Task, generator: torch.Generator) -> Functions:
        """Return the best of some candidates for each of B functions."""
        schedule, count = self.schedule, len(task.latents)
        numbers = torch.arange(count, device=task.latents.device)
        begun = [self._begin(task, generator, number) for number in range(schedule.candidates)]
        functions = Functions(torch.cat([one.parameters for one in begun]), torch.cat([one.values for one in begun]))
        kept = schedule.candidates
        for steps, keep in ((schedule.candidate_steps, schedule.kept), (schedule.kept_steps, 1)):
            if kept == keep == 1 and not steps:
                continue
            model = FittedModel(self.shape, self._base(task.latents.device), task.of(numbers.repeat(kept)))
            functions = train(model, functions, steps, generator, is_whole=False)
            order = losses(model, functions).view(kept, count).argsort(dim=0)[:keep]
            functions, kept = functions.of((order * count + numbers).flatten()), keep
        return functions

    def _begin(self, task: Task, generator: torch.Generator, number: int) -> Functions:
        """Begin a candidate: those with even numbers with the common function, if there is one."""
        if self.common and number % 2 == 0:
            return begin(self.shape, self.base, task, generator, is_plain=False)
        return begin(self.shape, self.shape.plain, task, generator, is_plain=True)

    def _base(self, device: torch.device) -> Tensor:
        return torch.from_numpy(self.base).to(device).float() / UNIT

    def _generator(self, device: torch.device) -> torch.Generator:
        return torch.Generator(device).manual_seed(self.seed)
