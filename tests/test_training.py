from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from unicorn_codec.errors import CheckpointMismatch
from unicorn_codec.format.header import NetworkConfig
from unicorn_codec.network.denoiser import Denoiser
from unicorn_codec.network.training import LatentGroup, Progress, TrainingRun, denoising_loss, plan_batches
from unicorn_codec.network.weight_rounding import WeightRounding
from unicorn_codec.network_options import TrainConfig


def make_groups() -> list[LatentGroup]:
    generator = torch.Generator().manual_seed(5)
    draw = [torch.randn(2, n, 4, h, 4, generator=generator) / 3 for n, h in ((6, 4), (3, 8))]
    numbers = (torch.arange(6), torch.arange(6, 9))
    return [LatentGroup(indices=i, latents=d[0], noise=d[1]) for i, d in zip(numbers, draw, strict=True)]


def make_run(config: TrainConfig, digest: str = "d", bits: float | None = None, prediction: str = "x0") -> TrainingRun:
    torch.manual_seed(1)
    denoiser = Denoiser(NetworkConfig(hidden_size=16, depth=2, heads=1), pictures=9, seed=1, latent_channels=4)
    rounding = None if bits is None else WeightRounding(denoiser, bits)
    return TrainingRun(denoiser, make_groups(), config, prediction=prediction, seed=2, digest=digest, rounding=rounding)


def weights_of(denoiser: Denoiser) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(denoiser.parameters())


class Stop(Exception):
    pass


def stop_at(step: int) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        if progress.step == step:
            raise Stop

    return report


def test_training_learns_the_set() -> None:
    losses: list[float] = []
    make_run(TrainConfig(epochs=250)).run(lambda p: losses.append(p.loss), interval=0)
    assert losses[-1] < 0.15 * losses[0]


@pytest.mark.slow
def test_quantisation_aware_training_loses_less_by_rounding() -> None:
    losses = []
    for bits in (None, 4):
        run = make_run(TrainConfig(epochs=250), bits=bits)
        run.run(lambda p: None)
        rounding = run.rounding or WeightRounding(run.denoiser, 4)
        with rounding.applied():
            random = torch.Generator().manual_seed(0)
            losses.append(
                sum(denoising_loss(run.denoiser, group, run.config, random, "x0").item() for group in run.groups)
            )
    assert losses[1] < 0.8 * losses[0]


def test_training_learns_to_predict_the_noise() -> None:
    losses: list[float] = []
    config = TrainConfig(epochs=250, terminal_share=0.0, lowest_timestep=0.0, stored_noise_share=0.0)
    make_run(config, prediction="noise").run(lambda p: losses.append(p.loss), interval=0)
    assert losses[0] == pytest.approx(1, abs=0.2), "the noise's variance, for a fresh network gives zeros"
    assert sum(losses[-50:]) < 0.7 * 50, "what is left is at timesteps with little noise in sight"


def test_the_rate_of_adam_is_halved_at_each_fifth() -> None:
    optimizers = make_run(TrainConfig(optimizer="adam", other_rate=2e-4)).optimizers
    assert [optimizers.rate_factor(0, fraction) for fraction in (0.0, 0.19, 0.2, 0.5, 0.99)] == [
        1,
        1,
        0.5,
        0.25,
        0.0625,
    ]
    assert list(optimizers.by_kind) == ["adam"]


def test_the_same_seed_gives_the_same_weights() -> None:
    weights = []
    for _ in range(2):
        run = make_run(TrainConfig(epochs=5, latents_per_batch=200))
        run.run(lambda p: None)
        weights.append(weights_of(run.denoiser))
    assert torch.equal(*weights)


@pytest.mark.parametrize(("bits", "step"), [(None, 7), (4, 7), (4, 30), (4, 37)])
def test_a_resumed_run_ends_like_an_unbroken_one(bits: float | None, step: int, tmp_path: Path) -> None:
    config = TrainConfig(epochs=5, latents_per_batch=100)
    unbroken = make_run(config, bits=bits)
    unbroken.run(lambda p: None)
    stopped = make_run(config, bits=bits)
    with pytest.raises(Stop):
        stopped.run(stop_at(step), interval=0)
    stopped.save(tmp_path / "checkpoint")
    resumed = make_run(config, bits=bits)
    resumed.load(tmp_path / "checkpoint")
    resumed.run(lambda p: None)
    assert resumed.step == unbroken.step > step
    assert torch.equal(weights_of(resumed.denoiser), weights_of(unbroken.denoiser))


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    run = make_run(TrainConfig(epochs=2))
    run.run(lambda p: None)
    run.save(tmp_path / "checkpoint")
    with pytest.raises(CheckpointMismatch, match="other pictures or settings"):
        make_run(TrainConfig(epochs=2), digest="another").load(tmp_path / "checkpoint")
    (tmp_path / "checkpoint").write_bytes(b"no checkpoint at all")
    with pytest.raises(CheckpointMismatch, match="not a checkpoint"):
        make_run(TrainConfig(epochs=2)).load(tmp_path / "checkpoint")


def test_every_picture_is_visited_once_per_epoch() -> None:
    groups = make_groups()
    batches = plan_batches(groups, 200, torch.Generator().manual_seed(0))
    visits = sorted((g, int(row)) for batch in batches for g, rows in batch for row in rows)
    assert visits == [(0, i) for i in range(6)] + [(1, i) for i in range(3)]
    assert len(batches) > 1 and any(len(batch) == 2 for batch in batches), "several shapes meet in one step"


def test_a_time_budget_ends_the_run() -> None:
    reports: list[Progress] = []
    make_run(TrainConfig(seconds=0.5)).run(reports.append, interval=0.1)
    assert reports[-1].fraction == 1.0 and 0.5 <= reports[-1].seconds < 5
