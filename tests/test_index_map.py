"""The index map is a bijection that the seed alone decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unicorn_codec.format import index_map


@given(st.integers(0, (1 << 64) - 1), st.integers(1, 500))
def test_position_and_index_are_inverse(seed: int, pictures: int) -> None:
    indices, positions = index_map.index_of_position(seed, pictures), index_map.position_of_index(seed, pictures)
    assert indices.dtype == positions.dtype == np.int64
    assert sorted(indices.tolist()) == list(range(pictures))
    assert np.array_equal(indices[positions], np.arange(pictures))
    assert np.array_equal(positions[indices], np.arange(pictures))


def test_equal_keys_keep_the_order_of_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_map, "raw", lambda *_: np.array([5, 2, 5, 2, 1], dtype=np.uint64))
    assert index_map.index_of_position(0, 5).tolist() == [3, 1, 4, 2, 0]


def test_seeds_differ() -> None:
    assert not np.array_equal(index_map.index_of_position(0, 100), index_map.index_of_position(1, 100))
