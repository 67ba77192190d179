"""Quantisation-aware training: the target entropy, finer steps for sensitive tensors, exact weights untouched."""

import numpy as np
import pytest
import torch

from unicorn_codec.format.header import NetworkConfig
from unicorn_codec.network.denoiser import Denoiser, tensors_of
from unicorn_codec.network.weight_rounding import RATE_SHARE, WeightRounding
from unicorn_codec.weights.weight_coding import encode_rows


def make_denoiser() -> Denoiser:
    torch.manual_seed(3)
    denoiser = Denoiser(NetworkConfig(hidden_size=32, depth=2, heads=1), pictures=9, seed=1, latent_channels=4)
    for weight in denoiser.parameters():
        torch.nn.init.normal_(weight, std=float(torch.rand(())) + 0.1)
    return denoiser


def set_gradients(denoiser: Denoiser, sizes: dict[str, float] | None = None) -> None:
    for name, weight in denoiser.named_parameters():
        weight.grad = torch.randn_like(weight) * (sizes or {}).get(name, 1.0)


def steps_of(rounding: WeightRounding, denoiser: Denoiser) -> dict[str, int]:
    names = [name for name, _ in denoiser.named_parameters()]
    return {name: int(rows.steps[0]) for name, rows in zip(names, rounding.quantised(), strict=True)}


@pytest.mark.parametrize("bits", [3, 5, 8])
@pytest.mark.parametrize("observed", [False, True])
def test_the_target_entropy_is_met(bits: int, observed: bool) -> None:
    denoiser = make_denoiser()
    rounding = WeightRounding(denoiser, bits)
    if observed:
        set_gradients(denoiser)
        rounding.observe()
    matrices = rounding.quantised()
    count = sum(matrix.integers.size for matrix in matrices)
    assert 8 * len(encode_rows(matrices)) / count == pytest.approx(bits, abs=0.15)


def test_sensitive_tensors_get_finer_steps() -> None:
    denoiser = make_denoiser()
    rounding = WeightRounding(denoiser, 5)
    set_gradients(denoiser, {"patch_in": 4.0, "patch_out": 1 / 4})
    for _ in range(3):
        rounding.observe()
    steps = steps_of(rounding, denoiser)
    assert steps["blocks.0.mlp_in"] - steps["patch_in"] == pytest.approx(16, abs=2), "two octaves of eight steps"
    assert steps["patch_out"] - steps["blocks.0.mlp_in"] == pytest.approx(16, abs=2)


def test_rounded_weights_are_used_only_within_the_context() -> None:
    denoiser = make_denoiser()
    exact = {name: tensor.copy() for name, tensor in tensors_of(denoiser).items()}
    rounding = WeightRounding(denoiser, 4)
    with pytest.raises(KeyboardInterrupt), rounding.applied():
        within = [tensor.copy() for tensor in tensors_of(denoiser).values()]
        raise KeyboardInterrupt
    stored = [rows.values.reshape(tensor.shape) for rows, tensor in zip(rounding.quantised(), within, strict=True)]
    assert all(np.array_equal(a, b) for a, b in zip(within, stored, strict=True)), "what is trained is what is stored"
    assert all(np.array_equal(exact[name], tensor) for name, tensor in tensors_of(denoiser).items())
    assert not np.array_equal(within[0], exact["patch_in"])


def test_noise_has_the_size_of_rounding_and_is_drawn_each_time() -> None:
    denoiser = make_denoiser()
    rounding = WeightRounding(denoiser, 4)
    exact = denoiser.get_parameter("blocks.0.mlp_in").detach().clone()
    random, errors = torch.Generator().manual_seed(0), []
    for put in (rounding.applied(), rounding.with_noise(random), rounding.with_noise(random)):
        with put:
            errors.append(denoiser.get_parameter("blocks.0.mlp_in").detach() - exact)
    assert errors[1].std() == pytest.approx(float(errors[0].std()), rel=0.05)
    assert abs(float(torch.corrcoef(torch.stack(errors).flatten(1))[1, 2])) < 0.1
    assert torch.equal(denoiser.get_parameter("blocks.0.mlp_in"), exact)


def test_gradients_of_rounded_weights_pass_straight_through() -> None:
    denoiser = make_denoiser()
    rounding = WeightRounding(denoiser, 3)
    with rounding.applied():
        denoiser.patch_in.square().sum().backward()
        wanted = 2 * denoiser.patch_in.detach().clone()
    assert denoiser.patch_in.grad is not None and torch.equal(denoiser.patch_in.grad, wanted)


def test_the_rate_has_the_gradient_of_the_bits() -> None:
    denoiser = make_denoiser()
    set_gradients(denoiser, dict.fromkeys(tensors_of(denoiser), 0.0))
    WeightRounding(denoiser, 5).add_rate(torch.tensor(2.0))
    weights = {name: weight.detach().clone().requires_grad_() for name, weight in denoiser.named_parameters()}
    bits = torch.zeros(())
    for weight in weights.values():
        scale = weight.detach().abs().mean() / (2 * np.log(2))
        sizes = weight.abs() / scale
        bits = bits + (sizes + 2 * torch.log1p(torch.exp(-sizes))).sum() / np.log(2)
    (2.0 * RATE_SHARE * bits / sum(weight.numel() for weight in weights.values())).backward()
    for name, weight in denoiser.named_parameters():
        assert weight.grad is not None
        torch.testing.assert_close(weight.grad, weights[name].grad)


def test_an_untrained_network_can_be_rounded() -> None:
    denoiser = Denoiser(NetworkConfig(hidden_size=16, depth=1, heads=1), pictures=9, seed=1, latent_channels=4)
    assert len(encode_rows(WeightRounding(denoiser, 3).quantised())) > 0


def test_a_checkpoint_restores_the_state() -> None:
    denoiser = make_denoiser()
    rounding, again = WeightRounding(denoiser, 5), WeightRounding(denoiser, 5)
    set_gradients(denoiser, {"patch_in": 9.0})
    rounding.observe()
    rounding.fit()
    again.load_tensors({"denoiser.patch_in": denoiser.patch_in.data, **rounding.tensors()})
    assert again.tensors().keys() == rounding.tensors().keys()
    assert all(torch.equal(again.tensors()[name], tensor) for name, tensor in rounding.tensors().items())
    assert steps_of(again, denoiser) == steps_of(rounding, denoiser)
