"""The generator: streams are independent, normals exact, and nothing depends on how much is drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unicorn_codec.errors import InvalidSetting
from unicorn_codec.format import generator

seeds = st.integers(0, (1 << 64) - 1)


@given(seeds, st.integers(0, 200))
def test_a_longer_draw_starts_with_the_shorter(seed: int, count: int) -> None:
    assert np.array_equal(generator.raw(seed, 5, 200)[:count], generator.raw(seed, 5, count))
    assert np.array_equal(generator.normals(seed, 5, 200)[:count], generator.normals(seed, 5, count))


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = generator.normals(3, generator.NOISE, 1000)
    monkeypatch.setattr(generator, "_NORMALS_PER_CHUNK", 7)
    assert np.array_equal(generator.normals(3, generator.NOISE, 1000), whole)


def test_normals_are_nearly_normal() -> None:
    values = generator.normals(1, generator.NOISE, 400_000).astype(np.float64)
    assert abs(values.mean()) < 0.01
    assert abs(values.var() - 1) < 0.01
    assert abs((values**3).mean()) < 0.02
    assert abs((values**4).mean() - 2.9) < 0.05  # twelve uniforms: 3 - 6 / 5 / 12
    assert abs(values).max() < 6


def test_normals_are_multiples_of_a_65536th() -> None:
    values = generator.normals(1, generator.NOISE, 1000)
    assert values.dtype == np.float32
    assert np.array_equal(values * 65536, np.rint(values * 65536))


def test_noise_belongs_to_its_image() -> None:
    first, second = (generator.noise(9, index, (4, 2, 3)) for index in (0, 1))
    assert first.shape == (4, 2, 3)
    assert not np.array_equal(first, second)
    assert np.array_equal(second.ravel(), generator.normals(9, generator.NOISE | 1, 24))


def test_purposes_do_not_meet() -> None:
    streams = (generator.INDEX_MAP, generator.FREQUENCIES, generator.NOISE, generator.NOISE | 1)
    assert len({generator.raw(0, stream, 1)[0] for stream in streams}) == len(streams)


@pytest.mark.parametrize("seed", [-1, 1 << 64])
def test_a_seed_has_64_bits(seed: int) -> None:
    with pytest.raises(InvalidSetting):
        generator.raw(seed, 0, 1)


@pytest.mark.parametrize("index", [-1, 1 << 30])
def test_noise_has_no_other_images(index: int) -> None:
    with pytest.raises(InvalidSetting):
        generator.noise(0, index, (1,))
