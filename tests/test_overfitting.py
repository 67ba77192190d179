"""Training of overfitted functions, and their synthesis."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from unicorn_codec.format.function_table import FunctionSettings
from unicorn_codec.overfitted.fitting import FittedModel, Functions, Task, begin, losses, train
from unicorn_codec.overfitted.function_code import bits_of_integers, decode_function
from unicorn_codec.overfitted.function_fitter import Fitted, FunctionFitter
from unicorn_codec.overfitted.function_rate import laplace_bits
from unicorn_codec.overfitted.function_shape import UNIT, FunctionShape, shape_for
from unicorn_codec.overfitted.laplace_tables import laplace_tables
from unicorn_codec.overfitted.multiplications import multiplications_per_pixel
from unicorn_codec.overfitted.parameter_quantisation import search_steps
from unicorn_codec.overfitted.rounding import softly_rounded
from unicorn_codec.overfitted.schedule import MAIN_STEPS, Schedule, schedule_of
from unicorn_codec.overfitted.synthesis import double, latents_of, named_tensors, planes_of, synthesise
from unicorn_codec.overfitted.value_layout import ValueLayout
from unicorn_codec.transform.resampling import double as cubic_double

CPU = torch.device("cpu")
SHAPE = FunctionShape(4, FunctionSettings(planes=(1, 1, 1), width=6, group=4))
SHORT = Schedule(candidates=3, candidate_steps=10, kept=2, kept_steps=10, main_steps=120, common_steps=80)


def smooth_latents(count: int, rows: int = 12, columns: int = 14) -> torch.Tensor:
    """Latents (N, 4, h, w) of unit variance, in which channels and neighbours resemble each other."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:rows, :columns] / 6
    waves = [[np.sin(a * x + b * y + c + n) for n in range(4)] for a, b, c in rng.uniform(-2, 2, (count, 3))]
    latents = np.array(waves) + 0.1 * rng.standard_normal((count, 4, rows, columns))
    return torch.from_numpy((latents / latents.std()).astype(np.float32))


def fit(trade_off: float, latents: torch.Tensor | None = None) -> list[Fitted]:
    return FunctionFitter(SHAPE, SHORT, 0).fit(smooth_latents(2) if latents is None else latents, trade_off)


@pytest.fixture(scope="module")
def by_trade_off() -> dict[float, list[Fitted]]:
    return {trade_off: fit(trade_off) for trade_off in (1.0, 0.1, 0.01)}


def test_quality_rises_as_lambda_falls(by_trade_off: dict[float, list[Fitted]]) -> None:
    errors = [sum(one.error for one in fitted) for fitted in by_trade_off.values()]
    sizes = [sum(len(one.code) for one in fitted) for fitted in by_trade_off.values()]
    assert errors == sorted(errors, reverse=True) and sizes == sorted(sizes)
    assert errors[-1] < errors[0] / 2 and len(set(sizes)) == 3


def test_a_code_decodes_to_the_function_whose_error_was_measured(by_trade_off: dict[float, list[Fitted]]) -> None:
    latents = smooth_latents(2)
    for number, one in enumerate(by_trade_off[0.1]):
        found = decode_function(SHAPE, SHAPE.plain, (12, 14), one.code)
        assert np.array_equal(found.values, one.function.values)
        assert np.array_equal(found.parameters, one.function.parameters)
        made = latents_of(SHAPE, found.parameters, found.values, (12, 14), CPU)[0]
        assert float((made - latents[number]).square().mean()) == pytest.approx(one.error, rel=1e-4)


def test_training_is_reproducible(by_trade_off: dict[float, list[Fitted]]) -> None:
    assert [one.code for one in fit(0.1)] == [one.code for one in by_trade_off[0.1]]


def test_a_common_function_saves_bytes_of_each_code() -> None:
    latents = smooth_latents(4)
    plain = FunctionFitter(SHAPE, SHORT, 0)
    common = plain.learn_common(latents, 0.05)
    assert 0 < len(common.common) < 1000

    def cost(fitter: FunctionFitter) -> float:
        return sum(one.error * latents[0].numel() + 0.05 * 8 * len(one.code) for one in fitter.fit(latents, 0.05))

    assert cost(common) < cost(plain)
    assert np.array_equal(plain.with_common(common.common).base, common.base)


@pytest.mark.parametrize(("channels", "downsampling"), [(4, 8), (64, 16)])
def test_functions_take_at_most_thirty_multiplications_a_pixel(channels: int, downsampling: int) -> None:
    """512x768 pixels. Torch counts those of the synthesis as it runs; those of the context model follow from sizes."""
    shape, rows, columns = shape_for(channels), 512 // downsampling, 768 // downsampling
    layout = ValueLayout(rows, columns, shape.settings.planes)
    parameters = named_tensors(shape, torch.from_numpy(shape.plain).float()[None] / UNIT)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        synthesise(parameters, planes_of(torch.zeros(1, layout.count), layout))
    gains = shape.planes * rows * columns
    counted = counter.get_total_flops() / 2 + gains + layout.count * (8 * 8 + 8 * 8 + 8 * 2)
    stated = multiplications_per_pixel(shape, downsampling, (rows, columns))
    assert stated <= counted / (512 * 768) <= 30
    assert stated == pytest.approx(counted / (512 * 768), rel=0.05), "upsampling multiplies two of ten taps by zero"


def test_plain_kernels_double_by_cubic_convolution() -> None:
    planes = torch.randn(1, 2, 5, 6, generator=torch.Generator().manual_seed(1))
    kernels = torch.from_numpy(SHAPE.named(SHAPE.plain)["kernels"][:1]).float() / UNIT
    torch.testing.assert_close(double(planes, kernels), cubic_double(planes))


def test_functions_of_a_batch_do_not_mix() -> None:
    layout = ValueLayout(6, 7, SHAPE.settings.planes)
    generator = torch.Generator().manual_seed(3)
    parameters = torch.randn(3, SHAPE.parameter_count, generator=generator) * 0.2
    values = torch.randn(3, layout.count, generator=generator).round()
    together = synthesise(named_tensors(SHAPE, parameters), planes_of(values, layout))
    alone = [
        synthesise(named_tensors(SHAPE, parameters[n : n + 1]), planes_of(values[n : n + 1], layout)) for n in range(3)
    ]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_and_cpu_make_the_same_latents(by_trade_off: dict[float, list[Fitted]]) -> None:
    function = by_trade_off[0.01][0].function
    made = [
        latents_of(SHAPE, function.parameters, function.values, (12, 14), torch.device(kind)).cpu()
        for kind in ("cpu", "cuda")
    ]
    torch.testing.assert_close(made[0], made[1], atol=1e-4, rtol=1e-4)


def test_estimated_bits_are_those_of_the_tables() -> None:
    """Tables have whole slots, so that they agree to some hundredths of a bit where a symbol has several."""
    values = torch.arange(-6, 7).float()
    for scale_class in (10, 16, 20):
        estimated = laplace_bits(values, torch.full((13,), float(scale_class)))
        stored = torch.from_numpy(laplace_tables().bits[scale_class, 25:38]).float()
        is_likely = stored < 8
        assert is_likely.sum() >= 3
        torch.testing.assert_close(estimated[is_likely], stored[is_likely], atol=0.1, rtol=0)


def test_unneeded_parameters_cost_next_to_nothing() -> None:
    assert bits_of_integers(np.zeros(1000, np.int64))[1] < 10


def test_efforts_scale_the_schedule_and_full_effort_is_that_of_the_paper() -> None:
    assert schedule_of(100) == schedule_of(1000) == Schedule(5, 400, 2, 400, MAIN_STEPS, 4000)
    assert schedule_of(50).main_steps == MAIN_STEPS // 2 and schedule_of(50).candidates == 5
    assert schedule_of(0) == Schedule(1, 0, 1, 0, 100, 100)


def test_soft_rounding_rounds_far_from_ties() -> None:
    values = torch.tensor([0.02, 1.98, -3.01, 7.0])
    torch.testing.assert_close(softly_rounded(values, 0.1), values.round(), atol=0.01, rtol=0)


def test_training_lowers_what_it_minimises() -> None:
    task = Task(smooth_latents(2), torch.tensor([0.1, 0.1]))
    model = FittedModel(SHAPE, torch.from_numpy(SHAPE.plain).float() / UNIT, task)
    generator = torch.Generator().manual_seed(0)
    functions = begin(SHAPE, SHAPE.plain, task, generator, is_plain=True)
    before = model.costs(functions.parameters, functions.values.round()).total(task.trade_offs)
    after = train(model, functions, 60, generator, is_whole=True)
    assert (model.costs(after.parameters, after.values.round()).total(task.trade_offs) < before / 2).all()


def test_more_training_never_makes_functions_worse() -> None:
    """A few steps at the full learning rate harm a trained function, unless its best state is kept."""
    task = Task(smooth_latents(3), torch.tensor([0.3, 0.1, 0.02]))
    model = FittedModel(SHAPE, torch.from_numpy(SHAPE.plain).float() / UNIT, task)
    generator = torch.Generator().manual_seed(0)
    functions = begin(SHAPE, SHAPE.plain, task, generator, is_plain=True)
    trained = train(model, functions, 150, generator, is_whole=True)
    again = train(model, trained, 6, generator, is_whole=True)
    assert (losses(model, again) <= losses(model, trained)).all()


def test_functions_with_shared_parameters_keep_the_best_state_together() -> None:
    task = Task(smooth_latents(2), torch.tensor([0.1, 0.1]))
    model = FittedModel(SHAPE, torch.from_numpy(SHAPE.plain).float() / UNIT, task)
    generator = torch.Generator().manual_seed(0)
    functions = begin(SHAPE, SHAPE.plain, task, generator, is_plain=True)
    trained = train(model, functions, 40, generator, is_whole=True, shared=True)
    assert torch.equal(trained.parameters[0], trained.parameters[1])
    alike = Functions(functions.parameters[:1].expand(2, -1), functions.values)
    assert losses(model, trained).sum() < losses(model, alike).sum()
    again = train(model, trained, 6, generator, is_whole=True, shared=True)
    assert losses(model, again).sum() <= losses(model, trained).sum()


def test_the_cost_of_quantised_parameters_is_that_of_the_code() -> None:
    task = Task(smooth_latents(2), torch.tensor([0.1, 0.1]))
    model = FittedModel(SHAPE, torch.from_numpy(SHAPE.plain).float() / UNIT, task)
    fitted = fit(0.1)
    exact = torch.from_numpy(np.stack([one.function.parameters for one in fitted])).float() / UNIT
    values = torch.from_numpy(np.stack([one.function.values for one in fitted])).float()
    costs = search_steps(model, SHAPE.plain, Functions(exact, values)).costs
    for one, cost in zip(fitted, costs.tolist(), strict=True):
        stored = one.error * task.latents[0].numel() + 0.1 * 8 * len(one.code)
        assert cost == pytest.approx(stored, rel=0.1)
