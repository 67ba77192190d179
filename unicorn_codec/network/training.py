"""Training of the denoiser on the latents of a set.

Half of the samples are pure noise (timestep 1), where x0 depends on the index alone: this is what must be learned. Half
of the noise is exactly the noise that decoding will use. Muon trains the hidden matrices, AdamW the rest. Both learning
rates warm up and then fall to zero. Where the weights will be stored as integers, the last third of the run trains for
their rounding (``weight_rounding``).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save
from torch import Tensor

from unicorn_codec.checkpoints import read_metadata, write_checkpoint
from unicorn_codec.devices import fast_arithmetic
from unicorn_codec.network.denoiser import Denoiser
from unicorn_codec.network.diffusion import add_noise
from unicorn_codec.network.weight_rounding import FREEZE_FROM, NOISE_FROM, REFIT_STEPS, ROUND_FROM, WeightRounding
from unicorn_codec.network_options import TrainConfig

_EPOCH, _STEP = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentGroup:
    """Latents of the pictures of one shape.

    Args:
        indices: (n,) int64.
        latents: (n, C, h, w) float32, normalised.
        noise: (n, C, h, w) float32, the noise that decoding will use.
    """

    indices: Tensor
    latents: Tensor
    noise: Tensor

    def __post_init__(self) -> None:
        assert self.latents.shape == self.noise.shape and len(self.indices) == len(self.latents)

    def to(self, device: torch.device) -> "LatentGroup":
        return LatentGroup(
            indices=self.indices.to(device), latents=self.latents.to(device), noise=self.noise.to(device)
        )

    def take(self, rows: Tensor) -> "LatentGroup":
        return LatentGroup(indices=self.indices[rows], latents=self.latents[rows], noise=self.noise[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """State of a training run, as reported to the caller.

    Args:
        fraction: completed part of the run, 0 to 1.
        seconds: training time so far.
        step: number of updates so far.
        loss: mean squared error of the prediction since the last report.
    """

    fraction: float
    seconds: float
    step: int
    loss: float


def is_hidden_matrix(name: str, parameter: Tensor) -> bool:
    """Return whether Muon trains a parameter.

    Its equally large steps in all directions suit neither matrices that read or write something other than hidden
    values (patches, indices) nor those that shift, scale and gate them.
    """
    return name.startswith("blocks.") and parameter.ndim == 2 and not name.endswith(".modulation")


class Optimizers:
    """Optimisers of a run: Muon for the hidden matrices and AdamW for the rest, or Adam for everything."""

    def __init__(self, denoiser: Denoiser, config: TrainConfig) -> None:
        named = list(denoiser.named_parameters())
        self.config = config
        # By kind: the optimiser and its peak learning rate.
        self.by_kind: dict[str, tuple[torch.optim.Optimizer, float]] = {}
        if config.optimizer == "adam":
            adam: torch.optim.Optimizer = torch.optim.Adam([p for _, p in named])
        else:
            hidden = [p for name, p in named if is_hidden_matrix(name, p)]
            rest = [p for name, p in named if not is_hidden_matrix(name, p)]
            self.by_kind["muon"] = torch.optim.Muon(hidden, weight_decay=0.0), config.matrix_rate
            adam = torch.optim.AdamW(rest, betas=(0.9, 0.95), weight_decay=0.0)
        self.by_kind["adam"] = adam, config.other_rate

    def step(self, number: int, fraction: float) -> None:
        """Update the parameters at step ``number``, with ``fraction`` of the run completed, and clear the gradients."""
        factor = self.rate_factor(number, fraction)
        for optimizer, rate in self.by_kind.values():
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad()

    def rate_factor(self, number: int, fraction: float) -> float:
        """Return the current fraction of the peak learning rates."""
        if self.config.optimizer == "adam":
            return 0.5 ** int(5 * fraction)
        warm = max((number + 1) / self.config.warmup, fraction / 0.1)
        return min(1.0, warm) * max(0.0, 1.0 - fraction)

    def tensors(self) -> dict[str, Tensor]:
        """Return all state as named tensors, for a checkpoint."""
        return {
            f"{kind}.{number}.{name}": value
            for kind, (optimizer, _) in self.by_kind.items()
            for number, state in optimizer.state_dict()["state"].items()
            for name, value in state.items()
        }

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Restore all state. The inverse of ``tensors``."""
        for kind, (optimizer, _) in self.by_kind.items():
            saved = optimizer.state_dict()
            for key, value in tensors.items():
                owner, number, name = key.split(".", 2)
                if owner == kind:
                    saved["state"].setdefault(int(number), {})[name] = value
            optimizer.load_state_dict(saved)


class TrainingRun:
    """A training run of one denoiser, which can be saved and resumed.

    Args:
        denoiser: on its device.
        groups: the set, one group per latent shape.
        config: length, learning rates and sampling of the run.
        prediction: what the denoiser predicts, one of ``PREDICTIONS``.
        seed: of all random draws.
        digest: of folder and settings. A checkpoint with another digest is refused.
        rounding: of the weights as they will be stored. None: their precision is so high that training can ignore it.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        groups: Sequence[LatentGroup],
        config: TrainConfig,
        *,
        prediction: str = "x0",
        seed: int,
        digest: str,
        rounding: WeightRounding | None = None,
    ) -> None:
        self.device = next(denoiser.parameters()).device
        self.denoiser, self.config, self.seed, self.digest = denoiser, config, seed, digest
        self.prediction = prediction
        self.groups = [group.to(self.device) for group in groups]
        self.optimizers = Optimizers(denoiser, config)
        self.rounding = rounding
        self.steps_per_epoch = len(plan_batches(self.groups, config.latents_per_batch, torch.Generator()))
        # Compiling takes a minute or more, which pays only on a GPU.
        self.predict = torch.compile(denoiser) if self.device.type == "cuda" else denoiser
        self.random = torch.Generator(self.device)
        self.step, self.seconds = 0, 0.0

    @property
    def fraction(self) -> float:
        if self.config.seconds is not None:
            return min(1.0, self.seconds / self.config.seconds)
        return min(1.0, self.step / (self.config.epochs * self.steps_per_epoch))

    def stored_weights(self) -> AbstractContextManager[None]:
        """Within the context, the denoiser has the weights that it would be stored with."""
        if self.rounding is None or self.fraction < NOISE_FROM:
            return nullcontext()
        return self.rounding.applied()

    def _training_weights(self) -> AbstractContextManager[None]:
        """Within the context, the denoiser has the weights that this part of the run trains."""
        if self.rounding is None or self.fraction < NOISE_FROM:
            return nullcontext()
        return self.rounding.with_noise(self.random) if self.fraction < ROUND_FROM else self.rounding.applied()

    def run(self, report: Callable[[Progress], None], interval: float = 1.0) -> None:
        """Train to the end, calling ``report`` about every ``interval`` seconds."""
        started = time.monotonic() - self.seconds
        reported, losses = self.seconds, []
        for batch in self._batches():
            losses.append(self._update(batch))
            self.step += 1
            self.seconds = time.monotonic() - started
            done = self.fraction >= 1.0
            if done or self.seconds - reported >= interval:
                loss = float(torch.stack(losses).mean())
                report(Progress(fraction=self.fraction, seconds=self.seconds, step=self.step, loss=loss))
                # Work of the caller, such as a preview or a checkpoint, is not training time.
                started = time.monotonic() - self.seconds
                reported, losses = self.seconds, []
            if done:
                return

    def _batches(self) -> Iterator[list[LatentGroup]]:
        while True:
            epoch, start = divmod(self.step, self.steps_per_epoch)
            order = torch.Generator().manual_seed(self._seed_of(_EPOCH, epoch))
            batches = plan_batches(self.groups, self.config.latents_per_batch, order)
            for rows_of_group in batches[start:]:
                yield [self.groups[g].take(rows.to(self.device)) for g, rows in rows_of_group]

    def _seed_of(self, what: int, number: int) -> int:
        """Return a seed that depends on the number alone: a resumed run draws the numbers of an unbroken one."""
        return int(np.random.SeedSequence([self.seed, what, number]).generate_state(1, np.uint64)[0] >> 1)

    def _update(self, batch: list[LatentGroup]) -> Tensor:
        self.random.manual_seed(self._seed_of(_STEP, self.step))
        values = sum(group.latents.numel() for group in batch)
        total = torch.zeros((), device=self.device)
        with self._training_weights():
            for group in batch:
                loss = denoising_loss(self.predict, group, self.config, self.random, self.prediction)
                (loss * (group.latents.numel() / values)).backward()
                total += loss.detach() * (group.latents.numel() / values)
        if self.rounding is not None:
            self._update_rounding(self.rounding, total)
        self.optimizers.step(self.step, self.fraction)
        return total

    def _update_rounding(self, rounding: WeightRounding, loss: Tensor) -> None:
        rounding.observe()
        if self.fraction < NOISE_FROM:
            return
        if self.fraction < FREEZE_FROM and self.step % REFIT_STEPS == 0:
            rounding.fit()
        rounding.add_rate(loss)

    def save(self, path: Path) -> None:
        """Write a checkpoint atomically. Raises ``OutputError`` where that fails."""
        tensors = {f"denoiser.{k}": v for k, v in self.denoiser.state_dict().items()} | self.optimizers.tensors()
        if self.rounding is not None:
            tensors |= self.rounding.tensors()
        metadata = {"digest": self.digest, "step": str(self.step), "seconds": repr(self.seconds)}
        write_checkpoint(path, save({k: v.contiguous().cpu() for k, v in tensors.items()}, metadata))

    def load(self, path: Path) -> None:
        """Resume from a checkpoint.

        Raises:
            CheckpointMismatch: it belongs to other pictures or settings.
        """
        metadata = read_metadata(path, self.digest)
        tensors = load_file(path, str(self.device))
        of_denoiser = {k.removeprefix("denoiser."): v for k, v in tensors.items() if k.startswith("denoiser.")}
        self.denoiser.load_state_dict(of_denoiser)
        self.optimizers.load_tensors({k: v for k, v in tensors.items() if not k.startswith("denoiser.")})
        if self.rounding is not None:
            self.rounding.load_tensors(tensors)
        self.step, self.seconds = int(metadata["step"]), float(metadata["seconds"])


def plan_batches(
    groups: Sequence[LatentGroup], latents_per_batch: int, order: torch.Generator
) -> list[list[tuple[int, Tensor]]]:
    """Divide one epoch, every picture once in random order, into batches of about equal size.

    Returns:
        For each batch, the rows of each group: one step may train several shapes.
    """
    group_of = torch.cat([torch.full((len(g.indices),), i) for i, g in enumerate(groups)])
    row_of = torch.cat([torch.arange(len(g.indices)) for g in groups])
    shuffled = torch.randperm(len(group_of), generator=order)
    sizes = torch.tensor([g.latents[0].numel() for g in groups])
    total = int(sizes[group_of].sum())
    count = max(1, round(total / latents_per_batch))
    batches = []
    for chunk in shuffled.tensor_split(min(count, len(shuffled))):
        owners = group_of[chunk]
        batches.append([(int(g), row_of[chunk[owners == g]]) for g in owners.unique()])
    return batches


def denoising_loss(
    denoiser: Callable[..., Tensor], group: LatentGroup, config: TrainConfig, random: torch.Generator, prediction: str
) -> Tensor:
    """Return the mean squared error of x0 or of the noise for one batch of one shape, at random timesteps and noise."""
    count, device = len(group.indices), group.latents.device
    draws = torch.rand(3, count, generator=random, device=device)
    # Low noise is almost free to learn, so the timesteps below 1 are drawn from the noisier half.
    lowest = config.lowest_timestep
    timesteps = torch.where(draws[0] < config.terminal_share, 1.0, lowest + (1 - lowest) * draws[1])
    stored = (draws[2] < config.stored_noise_share)[:, None, None, None]
    fresh = torch.randn(group.noise.shape, generator=random, device=device)
    noise = torch.where(stored, group.noise, fresh)
    noisy_latents = add_noise(group.latents, noise, timesteps)
    with fast_arithmetic(device):
        predicted = denoiser(noisy_latents, timesteps, group.indices)
    return F.mse_loss(predicted.float(), noise if prediction == "noise" else group.latents)
