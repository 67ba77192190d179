"""Rows of quantised weights: exact values, bytes near the entropy, errors from damaged bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from unicorn_codec.errors import InvalidField, InvalidSetting
from unicorn_codec.weights.weight_coding import (
    LARGEST_INTEGER,
    STEP_COUNT,
    QuantisedRows,
    choose_classes,
    decode_rows,
    encode_rows,
    nearest_steps,
    quantise_rows,
    step_sizes,
)
from unicorn_codec.weights.weight_tables import (
    CLASS_COUNT,
    ESCAPE,
    REACH,
    SYMBOL_FREQUENCIES,
    SYMBOL_STARTS,
    shift_of_class,
    table_of_class,
)

RANDOM = np.random.default_rng(5)


def rows_of(integers: NDArray[np.int64], steps: NDArray[np.int64] | None = None) -> QuantisedRows:
    return QuantisedRows(
        integers=integers.astype(np.int64), steps=np.full(len(integers), 150) if steps is None else steps
    )


def assert_equal(found: list[QuantisedRows], wanted: list[QuantisedRows]) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert np.array_equal(one.integers, other.integers) and np.array_equal(one.steps, other.steps)


def shapes_of(matrices: list[QuantisedRows]) -> list[tuple[int, int]]:
    return [(len(matrix.integers), matrix.integers.shape[1]) for matrix in matrices]


@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_round_trip(data: st.DataObject) -> None:
    shapes = data.draw(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 9)), min_size=1, max_size=4))
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    spread = data.draw(st.sampled_from([0.01, 0.5, 3, 40, 2000, 20000]))
    matrices = [
        rows_of(
            np.clip(np.rint(random.standard_cauchy(shape) * spread), -LARGEST_INTEGER, LARGEST_INTEGER),
            random.integers(0, STEP_COUNT, shape[0]),
        )
        for shape in shapes
    ]
    assert_equal(decode_rows(encode_rows(matrices), shapes), matrices)


def test_round_trip_of_several_lanes_and_the_largest_integers() -> None:
    integers = np.rint(RANDOM.normal(size=(300, 41)) * 2.0 ** RANDOM.integers(-2, 14, (300, 1)))
    integers[::50, 0], integers[25::50, 1] = LARGEST_INTEGER, -LARGEST_INTEGER
    matrices = [rows_of(np.clip(integers, -LARGEST_INTEGER, LARGEST_INTEGER)), rows_of(np.array([[0], [1]]))]
    assert_equal(decode_rows(encode_rows(matrices), shapes_of(matrices)), matrices)


def test_every_value_is_exact() -> None:
    numbers = np.arange(STEP_COUNT)
    sizes = step_sizes(numbers)
    assert sizes.dtype == np.float32
    assert [float(size).as_integer_ratio() for size in sizes[:2]] == [(1, 1 << 24), (279, 1 << 32)]
    assert np.abs(np.diff(np.log2(sizes)) - 1 / 8).max() < 0.003
    matrix = rows_of(np.tile([LARGEST_INTEGER, -LARGEST_INTEGER, 1, 0], (STEP_COUNT, 1)), numbers)
    assert np.array_equal(matrix.values, matrix.integers * sizes[:, None].astype(np.float64))
    assert np.array_equal(nearest_steps(sizes), numbers)
    assert nearest_steps(np.array([0.0, 1e30])).tolist() == [0, STEP_COUNT - 1]


def test_rounding() -> None:
    step = np.array([8 * 24])  # 1
    values = np.array([[0.5, 1.5, -2.5, 0.49, -1e30, 1e30]], np.float32)
    assert quantise_rows(values, step).integers.tolist() == [[0, 2, -2, 0, -LARGEST_INTEGER, LARGEST_INTEGER]]
    with pytest.raises(InvalidSetting, match="finite"):
        quantise_rows(np.array([[np.nan]], np.float32), step)


@pytest.mark.parametrize("deviation", [0.2, 1.0, 4.0, 30.0, 500.0])
@pytest.mark.parametrize("draw", [RANDOM.normal, RANDOM.laplace])
def test_the_size_is_near_the_entropy(draw: object, deviation: float) -> None:
    integers = np.rint(deviation * draw(size=(200, 100)))  # type: ignore[operator]
    counts = np.unique(integers, return_counts=True)[1] / integers.size
    # The entropy of a sample omits the cost of its table, about 1.5 bits for each value that occurs.
    entropy = -(counts * np.log2(counts)).sum() + 1.5 * len(counts) / integers.size
    assert 8 * len(encode_rows([rows_of(integers)])) / integers.size < entropy + 0.06


def test_rows_of_different_scale_get_different_classes() -> None:
    scales = np.repeat([0.2, 3.0, 100.0], 5)
    integers = np.rint(RANDOM.logistic(size=(15, 400)) * scales[:, None]).astype(np.int64)
    classes = choose_classes([integers])
    assert (np.diff(classes)[[4, 9]] > 8).all()
    assert np.abs(np.diff(classes.reshape(3, 5))).max() <= 1
    assert encode_rows([rows_of(integers)]) != encode_rows([rows_of(np.roll(integers, 1, axis=0))])


def test_a_constant_step_costs_almost_nothing() -> None:
    integers = RANDOM.integers(-3, 4, (400, 8))
    varied = encode_rows([rows_of(integers, RANDOM.integers(120, 140, 400))])
    assert len(varied) - len(encode_rows([rows_of(integers)])) > 150


def test_every_table_is_complete() -> None:
    assert (SYMBOL_FREQUENCIES.sum(axis=1) == 1 << 14).all() and SYMBOL_FREQUENCIES.min() >= 1
    assert np.array_equal(SYMBOL_FREQUENCIES[:, :ESCAPE], SYMBOL_FREQUENCIES[:, REACH * 2 :: -1])
    assert (SYMBOL_STARTS[:, 0] == 0).all()
    tables, shifts = table_of_class(np.arange(CLASS_COUNT)), shift_of_class(np.arange(CLASS_COUNT))
    assert tables.max() == len(SYMBOL_FREQUENCIES) - 1 and shifts.max() == 12
    assert (shifts[: len(SYMBOL_FREQUENCIES)] == 0).all() and shifts[len(SYMBOL_FREQUENCIES)] == 1
    # Zeros must cost enough for the limit of weights per byte.
    assert 8 / (14 - np.log2(SYMBOL_FREQUENCIES.max())) < 256


def test_a_million_zeros_take_few_bytes() -> None:
    matrices = [rows_of(np.zeros((100, 10_000), np.int64))]
    data = encode_rows(matrices)
    assert len(data) < 6_000
    assert not decode_rows(data, [(100, 10_000)])[0].integers.any()


def test_truncated_and_damaged_bytes_decode_or_are_refused() -> None:
    matrices = [rows_of(RANDOM.integers(-90, 90, (7, 11))), rows_of(RANDOM.integers(-2, 2, (3, 5)))]
    data, shapes = encode_rows(matrices), shapes_of(matrices)
    for length in range(len(data)):
        with pytest.raises(InvalidField):
            decode_rows(data[:length], shapes)
    with pytest.raises(InvalidField):
        decode_rows(data + b"\0\0", shapes)
    refused = 0
    for place in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        try:
            decode_rows(bytes(damaged), shapes)
        except InvalidField:
            refused += 1
    assert refused > 0.8 * 8 * len(data)


@pytest.mark.parametrize("shapes", [[(1 << 14, 1 << 14), (1, 1)], [(1 << 10, 1 << 10)], []])
def test_claimed_shapes_allocate_nothing(shapes: list[tuple[int, int]]) -> None:
    with pytest.raises(InvalidField, match="weights in"):
        decode_rows(bytes(64), shapes)


@pytest.mark.parametrize(
    ("integers", "steps"),
    [
        (np.zeros((0, 3)), None),
        (np.zeros((3, 0)), None),
        (np.zeros(3), None),
        (np.full((1, 1), LARGEST_INTEGER + 1), None),
        (np.zeros((2, 2)), np.array([0])),
        (np.zeros((1, 2)), np.array([STEP_COUNT])),
        (np.zeros((1, 2)), np.array([-1])),
    ],
)
def test_invalid_rows_are_refused(integers: NDArray[np.int64], steps: NDArray[np.int64] | None) -> None:
    with pytest.raises(InvalidSetting):
        rows_of(integers, steps)


def test_writing_no_matrix_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="1 to"):
        encode_rows([])
