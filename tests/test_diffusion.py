import pytest
import torch

from unicorn_codec.network.diffusion import (
    LAST_TIMESTEP_WITH_SIGNAL,
    add_noise,
    latents_from_noise,
    sample_ddim,
    signal_and_noise,
)


def test_timestep_1_is_pure_noise() -> None:
    signal, sigma = signal_and_noise(torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(signal.flatten(), torch.tensor([1.0, 0.0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(sigma.flatten(), torch.tensor([0.0, 1.0]), atol=1e-6, rtol=0)


def test_the_schedule_preserves_variance() -> None:
    signal, sigma = signal_and_noise(torch.linspace(0, 1, 11))
    torch.testing.assert_close(signal**2 + sigma**2, torch.ones_like(signal))


def test_a_perfect_denoiser_samples_its_prediction_in_any_number_of_steps() -> None:
    answer, noise = torch.randn(2, 4, 3, 3), torch.randn(2, 4, 3, 3)
    for steps in (1, 2, 7, 50):
        torch.testing.assert_close(sample_ddim(lambda x, t: answer, noise, steps), answer, atol=1e-5, rtol=1e-5)


def test_sampling_visits_the_noise_levels_of_training() -> None:
    answer, noise = torch.randn(2, 4, 3, 3), torch.randn(2, 4, 3, 3)
    seen: list[float] = []

    def predict(noisy_latents: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        torch.testing.assert_close(noisy_latents, add_noise(answer, noise, timesteps), atol=1e-5, rtol=1e-5)
        seen.append(float(timesteps[0]))
        return answer

    sample_ddim(predict, noise, 4)
    assert seen == [1.0, 0.75, 0.5, 0.25]


def test_one_step_calls_the_denoiser_once() -> None:
    calls: list[torch.Tensor] = []

    def predict(x: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        calls.append(timesteps)
        return x

    sample_ddim(predict, torch.randn(1, 1, 2, 2), 1)
    assert len(calls) == 1


@pytest.mark.parametrize("steps", [1, 2, 7, 50])
def test_sampling_with_the_true_noise_gives_its_latents(steps: int) -> None:
    answer = (torch.randn(2, 4, 3, 3) / 3).clamp(-1, 1)
    noise = torch.randn(2, 4, 3, 3)
    start = add_noise(answer, noise, torch.full((2,), LAST_TIMESTEP_WITH_SIGNAL))

    def predict(noisy_latents: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        return latents_from_noise(noise, noisy_latents, timesteps, limit=4 / 3)

    found = sample_ddim(predict, start, steps, highest=LAST_TIMESTEP_WITH_SIGNAL)
    torch.testing.assert_close(found, answer, atol=1e-3, rtol=0)


def test_latents_of_a_wrong_noise_are_clamped() -> None:
    latents = latents_from_noise(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2), torch.tensor([0.999]), limit=0.5)
    assert latents.max() == 0.5
