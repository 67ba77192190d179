"""Training of an update on windows of a folder's pictures.

Encoder, decoder and context model are trained together, on pixels, for what packing minimises: bits of the codes plus
weighted distortion (see ``refinement``). In the last part of training the update is rounded as the file stores it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue

import numpy as np
import torch
from torch import Tensor, nn

from unicorn_codec.checkpoints import CodesCheckpoint
from unicorn_codec.codes.stored_update import CONTEXT, serialize_update
from unicorn_codec.devices import map_in_workers
from unicorn_codec.packing.learned_cost import LearnedCost
from unicorn_codec.packing.learning_windows import LearningWindows, draw_batch, every_nth
from unicorn_codec.transform.folder_update import UpdatedModels, quantise_update, update_shapes

MEASURED_EVERY, PROBE_SECONDS = 30, 60.0
"""Steps after which the gain is measured, and the most seconds until the first time, which is the probe."""

GROWTH_AFTER_PROBE = 2.5
"""Multiple of a measured gain that training may reach. It ends where even that would not pay for the update's bytes. On
receipts it gained 1.6 times."""

SLOWER, SLOWEST = 0.3, 0.1
"""Factor of the learning rates after a measurement that found less than an earlier one, and the factor below which
training without any gain has no further chance. Which rates are too high depends on model and pictures."""

REFINED_STEPS, REFINED_WINDOWS = 60, 96
"""Steps of training on refined codes, and the windows that are refined for it."""

MEAN_PART = 0.1
"""Part of the latest step in the running mean of an update."""

WARMING = 10
ROUNDED_FROM = 0.7
"""Steps until the full learning rate; part of training after which the update is rounded as in the file."""

RATES = {"out": 0.02, "in": 0.02, "bias": 0.002, "left": 0.002, "right": 0.002}
ENCODER_PART = 0.5
CONTEXT_RATES = {
    "earlier_in": 0.04,
    "earlier_out": 0.04,
    "bias": 0.004,
    "linear": 0.0009,
    "mean": 0.003,
    "scale": 0.036,
    "mean_bias": 0.002,
    "scale_bias": 0.02,
}
"""Learning rates of Adam: of the decoder's tensors by the last part of their names, of the encoder's in proportion, and
of the context model's. With a tenth of them, 60 steps on receipts gained two thirds as much; with 1.5 times, less."""

BATCH_PIXELS = {"cpu": 1 << 18, "cuda": 1 << 21}
PART_PIXELS = 1 << 17
"""Pixels of a batch, and of the part of it that a core differentiates at a time."""


class Descent:
    """Adam on an update, whose running mean is what counts: single steps are noisy (Polyak, Juditsky, 1992).

    Args:
        part: factor of the learning rates.
    """

    def __init__(self, update: Mapping[str, Tensor], part: float = 1.0) -> None:
        groups = [{"params": [tensor.requires_grad_()], "lr": rate_of(name)} for name, tensor in update.items()]
        self.part, self.steps, self._update = part, 0, update
        self.mean = copied(update)
        self._optimizer = torch.optim.Adam(groups, betas=(0.9, 0.98))
        self._rates = [group["lr"] for group in self._optimizer.param_groups]

    def step(self, share: float) -> None:
        """Step by the tensors' gradients, at a share of the learning rates."""
        self.steps += 1
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * self.part * min(1.0, self.steps / WARMING) * share
        nn.utils.clip_grad_norm_(self._update.values(), 1.0)
        self._optimizer.step()
        for name, tensor in self._update.items():
            self.mean[name].lerp_(tensor.detach(), max(MEAN_PART, 1 / (self.steps + 1)))


@dataclass(slots=True, kw_only=True)
class UpdateTraining:
    """Training of an update on windows.

    Args:
        cost: of windows with an update.
        learned, measured: windows to learn from, and to measure with.
        code_bytes: estimated bytes of all codes without an update.
        rank, coarseness: of the update, see ``choose_rank`` and ``choose_coarseness``.
        update: to train.
        steps: that it was trained for.
        rounds: in which the codes will be refined; 0: not at all.
        plain_bits, plain_cost: of the measured windows without an update, per pixel.
    """

    cost: LearnedCost
    learned: Sequence[LearningWindows]
    measured: Sequence[LearningWindows]
    code_bytes: float
    rank: int
    coarseness: float
    plain_bits: float
    plain_cost: float
    update: dict[str, Tensor]
    rounds: int
    steps: int = 0
    _refined_part: float | None = None
    _plain_refined: tuple[float, float] | None = None
    _costs: "SimpleQueue[LearnedCost]" = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        for _ in range(torch.get_num_threads()):  # one a core, because calling a network with parameters changes it
            self._costs.put(self.cost.copy())

    def gain(self, update: Mapping[str, Tensor]) -> float:
        """Return the part of the codes' bytes that an update saves at equal distortion, its own bytes not counted."""
        return (self.plain_cost - self.cost.measure(self.measured, update)[1]) / self.plain_bits

    def refined_gain(self, update: Mapping[str, Tensor]) -> float:
        """Return the same of an update as it is stored and of codes as they will be: refined, once for the networks as
        shipped and once for the updated ones."""
        stored = as_stored(update, self.coarseness)
        if not self.rounds:
            return self.gain(stored)
        if self._plain_refined is None:
            settled = self.cost.refined(self.measured, None, self.rounds)
            self._plain_refined = self.cost.measure(settled, start_update(self.cost.models, 0, 0))
        plain_bits, plain_cost = self._plain_refined
        settled = self.cost.refined(self.measured, self.payload_of(update), self.rounds)
        return (plain_cost - self.cost.measure(settled, stored)[1]) / plain_bits

    def run(
        self,
        seconds: float,
        most_steps: int | None,
        seed: int,
        progress: Callable[[float, float], None],
        checkpoint: CodesCheckpoint | None,
    ) -> bool:
        """Train until a time or a number of steps is over, or a measurement finds that it does not pay.

        Where a measurement finds less gain than the best one before, training goes on from that, more slowly.

        Args:
            progress: called with the part that is done, and the gain of the last measurement.

        Returns:
            Whether it may pay.
        """
        descent, generator = Descent(self.update), np.random.default_rng((seed, self.steps))
        begun, gain, is_measured = time.monotonic(), 0.0, False
        kept, best = copied(self.update), 0.0
        while True:
            spent = time.monotonic() - begun
            done = max(spent / seconds, 0.0 if most_steps is None else self.steps / most_steps)
            progress(min(done, 1.0), gain)
            if done >= 1:
                copy_into(self.update, descent.mean)
                return True
            if self.steps and (self.steps % MEASURED_EVERY == 0 or (not is_measured and spent >= PROBE_SECONDS)):
                gain, is_measured = self.gain(descent.mean), True
                if gain < best:
                    copy_into(self.update, kept)
                    descent, gain = Descent(self.update, descent.part * SLOWER), best
                else:
                    kept, best = copied(descent.mean), gain
                has_chance = gain <= 0 and descent.part >= SLOWEST
                if not has_chance and not self._may_pay(kept, gain):
                    copy_into(self.update, kept)
                    return False
            windows = draw_batch(self.learned, BATCH_PIXELS[self.cost.device.type], generator)
            self._differentiate(windows, seed + self.steps, rounded=done >= ROUNDED_FROM)
            descent.step((1 - done) ** 0.7)
            self.steps += 1
            if checkpoint is not None:
                arrays = {name: tensor.detach().cpu().numpy() for name, tensor in self.update.items()}
                checkpoint.keep_learning(self.steps, arrays)

    def _may_pay(self, update: Mapping[str, Tensor], gain: float) -> bool:
        """Return whether training may reach a gain that pays for the update's bytes.

        Refinement gains some of the same: most of it on photographs, a third on scans. The first time that a gain is
        large enough to ask, this measures how much remains.
        """
        needed = len(self.payload_of(update)) / GROWTH_AFTER_PROBE
        if self.bytes_worth(gain) < needed:
            return False
        if self._refined_part is None:
            self._refined_part = min(1.0, self.refined_gain(update) / gain)
        return self.bytes_worth(self._refined_part * gain) >= needed

    def finish(self, seed: int, progress: Callable[[float], None]) -> tuple[bytes, float]:
        """Train on refined codes where there will be some.

        Args:
            progress: called with the part that is done.

        Returns:
            The update as the file stores it, and its gain, see ``refined_gain``.
        """
        gain = self._run_on_refined(seed, progress) if self.rounds else self.refined_gain(self.update)
        return self.payload_of(self.update), gain

    def _run_on_refined(self, seed: int, progress: Callable[[float], None]) -> float:
        """Train decoder and context model on codes that are refined for the update, and keep that if it is better.

        Returns:
            The gain of what is kept.
        """
        kept, gain = copied(self.update), self.refined_gain(self.update)
        settled = self.cost.refined(every_nth(self.learned, REFINED_WINDOWS), self.payload_of(kept), self.rounds)
        descent, generator = Descent(self.update, SLOWER), np.random.default_rng((seed, self.steps))
        for step in range(REFINED_STEPS):
            progress(step / REFINED_STEPS)
            windows = draw_batch(settled, BATCH_PIXELS[self.cost.device.type], generator)
            self._differentiate(windows, seed + self.steps, rounded=True)
            descent.step((1 - step / REFINED_STEPS) ** 0.7)
            self.steps += 1
        copy_into(self.update, descent.mean)
        after = self.refined_gain(self.update)
        if after <= gain:
            copy_into(self.update, kept)
        return max(gain, after)

    def _differentiate(self, windows: LearningWindows, seed: int, *, rounded: bool) -> None:
        """Set the gradients of the update to those of the windows' mean cost.

        Each core works on windows of its own: on the same ones, all would wait for the slowest after every layer.

        Args:
            rounded: differentiate at the update as the file stores it (straight-through: Bengio et al., 2013).
        """
        device = self.cost.device
        current = as_stored(self.update, self.coarseness) if rounded else self.update
        together = len(windows) if device.type == "cuda" else max(1, PART_PIXELS // windows.pixels[0, 0].numel())

        def differentiate(start: int) -> tuple[Tensor, ...]:
            leaves = {name: tensor.detach().requires_grad_() for name, tensor in current.items()}
            noise = torch.Generator().manual_seed((seed << 16) + start)
            cost = self._costs.get()
            bits, worth = cost.parts(windows.some(slice(start, start + together)), leaves, noise)
            self._costs.put(cost)
            mean = (bits + worth).sum() / len(windows)
            # Where codes are settled, nothing depends on the encoder.
            return torch.autograd.grad(mean, list(leaves.values()), allow_unused=True, materialize_grads=True)

        starts = range(0, len(windows), together)
        parts = list(map_in_workers(differentiate, starts, device, pixels=PART_PIXELS))
        for tensor, *gradients in zip(self.update.values(), *parts, strict=True):
            tensor.grad = torch.stack(gradients).sum(0)

    def payload_of(self, update: Mapping[str, Tensor]) -> bytes:
        """Return an update as the file stores it."""
        return serialize_update(quantise_update(update, self.coarseness), self.rank)

    def bytes_worth(self, gain: float) -> float:
        """Return the bytes of codes that a gain saves."""
        return gain * self.code_bytes


def start_update(models: UpdatedModels, rank: int, seed: int) -> dict[str, Tensor]:
    """Return an initial update, which changes nothing."""
    generator = torch.Generator().manual_seed(seed)
    update = {}
    for name, shape in update_shapes(models.autoencoder.network, models.context_model, rank).items():
        start = torch.zeros(shape)
        if name.endswith(".right"):  # the product with ``left`` is zero all the same, but not its gradient
            start = torch.randn(shape, generator=generator) / shape[1] ** 0.5
        update[name] = start.to(models.autoencoder.device)
    return update


def copied(update: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a copy of an update."""
    return {name: tensor.detach().clone() for name, tensor in update.items()}


@torch.no_grad()
def copy_into(update: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    """Give an update the values of another one."""
    for name, tensor in update.items():
        tensor.copy_(other[name])


def as_stored(update: Mapping[str, Tensor], coarseness: float) -> dict[str, Tensor]:
    """Round an update as the file stores it."""
    rounded = quantise_update(update, coarseness)
    return {name: torch.from_numpy(rounded[name].values).to(tensor.device) for name, tensor in update.items()}


def rate_of(name: str) -> float:
    """Return the learning rate of a tensor of an update."""
    if name.startswith(CONTEXT):
        return CONTEXT_RATES[name.removeprefix(CONTEXT)]
    return RATES[name.rpartition(".")[2]] * (ENCODER_PART if name.startswith("encoder.") else 1.0)
