from contextlib import suppress
from itertools import product

import numpy as np
import pytest

from unicorn_codec.codes import latent_coding
from unicorn_codec.codes.context_model import LARGEST_SYMBOL, PASSES, ContextModel, level_of, load_context_model
from unicorn_codec.codes.latent_coding import decode_symbols, encode_symbols, picture_lanes
from unicorn_codec.errors import FormatError
from unicorn_codec.format.rans import PRECISION


@pytest.fixture(scope="module")
def model() -> ContextModel:
    return load_context_model()


def draw_symbols(pictures: int, channels: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Draw values that get sparser from channel to channel, like quantised latents."""
    rng = np.random.default_rng(seed)
    scale = 6.0 / (1 + np.arange(channels))[:, None, None]
    return np.rint(rng.laplace(0, scale, (pictures, channels, height, width))).astype(np.int64)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (3, 2), (16, 16), (17, 33)])
def test_round_trip(model: ContextModel, height: int, width: int) -> None:
    symbols = draw_symbols(3, model.channels, height, width)
    codes = encode_symbols(model, 5, symbols)
    assert np.array_equal(decode_symbols(model, 5, codes, height, width, short=True), symbols)


def test_large_grids_have_several_lanes(model: ContextModel) -> None:
    assert picture_lanes(16, 16) == 1 and picture_lanes(17, 33) == 3


def test_a_picture_has_the_same_code_alone_and_among_others(model: ContextModel) -> None:
    symbols = draw_symbols(5, model.channels, 6, 5)
    together = encode_symbols(model, 3, symbols)
    assert together == [encode_symbols(model, 3, symbols[i : i + 1])[0] for i in range(5)]
    assert np.array_equal(decode_symbols(model, 3, [together[4], together[1]], 6, 5, short=True), symbols[[4, 1]])


def test_values_out_of_reach_are_escaped(model: ContextModel) -> None:
    symbols = np.zeros((2, model.channels, 2, 3), np.int16)
    symbols[0, 0] = [[LARGEST_SYMBOL, -LARGEST_SYMBOL, 1000], [model.reach + 1, -model.reach - 1, 0]]
    symbols[0, 7, 1, 1] = -300
    codes = encode_symbols(model, 0, symbols)
    assert np.array_equal(decode_symbols(model, 0, codes, 2, 3, short=True), symbols)


def test_a_picture_of_zeros_takes_one_byte(model: ContextModel) -> None:
    assert encode_symbols(model, 9, np.zeros((2, model.channels, 4, 4), np.int16)) == [b"\0", b"\0"]
    assert not decode_symbols(model, 9, [b"\0"], 4, 4, short=True).any()


def test_zero_channels_at_the_end_take_no_bytes(model: ContextModel) -> None:
    symbols = np.zeros((1, model.channels, 4, 4), np.int16)
    symbols[0, 2, 3, 3] = 1
    (code,) = encode_symbols(model, 9, symbols)
    assert code[0] == 3 and len(code) < 20


def test_codes_are_smaller_than_plain_integers(model: ContextModel) -> None:
    symbols = draw_symbols(4, model.channels, 16, 16)
    plain = sum(np.log2(2 * np.abs(symbols[:, c]).max() + 1) * symbols[:, c].size / 8 for c in range(model.channels))
    assert sum(map(len, encode_symbols(model, 2, symbols))) < 0.7 * plain


def test_damage_gives_other_symbols_or_a_format_error(model: ContextModel) -> None:
    symbols = draw_symbols(1, model.channels, 2, 2) * (np.arange(model.channels) < 6)[:, None, None]
    (code,) = encode_symbols(model, 4, symbols)
    unnoticed = 0
    for place, bit in product(range(len(code)), range(8)):
        damaged = bytearray(code)
        damaged[place] ^= 1 << bit
        with suppress(FormatError):
            unnoticed += np.array_equal(decode_symbols(model, 4, [bytes(damaged)], 2, 2, short=True), symbols)
    assert unnoticed == 0
    for length in range(len(code)):
        with pytest.raises(FormatError):
            decode_symbols(model, 4, [code[:length]], 2, 2, short=True)


def test_every_table_is_complete(model: ContextModel) -> None:
    assert (model.frequencies >= 0).all()
    assert (model.frequencies[..., model.escape] >= 1).all(), "the escape codes whatever has no slots"
    assert (model.frequencies.sum(-1) == 1 << PRECISION).all()


def test_weights_use_only_what_the_decoder_knows(model: ContextModel) -> None:
    for channel in range(model.channels):
        assert not model.earlier[channel, :, : channel + 1].any()
    for pass_index, (row, column) in enumerate(PASSES):
        for place in range(9):
            parity = ((row + place // 3 - 1) % 2, (column + place % 3 - 1) % 2)
            if parity not in PASSES[:pass_index]:
                assert not model.same[pass_index, :, [place, place + 9]].any()
                assert not model.linear[pass_index, :, place].any()


def test_products_are_exact_in_float64(model: ContextModel) -> None:
    features = model.magnitudes.max()
    sums = features * (np.abs(model.earlier).sum((0, 1)).max() + np.abs(model.same).sum(2).max())
    assert sums + np.abs(model.bias).max() < 2**53
    assert np.abs(model.earlier).max() < 2**24  # single weights are stored in float32


def test_levels_are_quarter_octaves() -> None:
    assert [level_of(step) for step in (1.0, 1.19, 2.0, 4.0, 12.0, 24.0, 1e9)] == [0, 1, 4, 8, 14, 18, 19]


@pytest.mark.parametrize(("pictures", "height", "width", "seed"), [(1, 5, 7, 1), (3, 16, 16, 2), (2, 33, 17, 3)])
def test_few_lanes_decode_to_the_same(
    model: ContextModel, pictures: int, height: int, width: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    symbols = draw_symbols(pictures, model.channels, height, width, seed)
    symbols[0, 2, 1, 1], symbols[-1, 0, 0, 0] = LARGEST_SYMBOL, -LARGEST_SYMBOL  # escaped
    for short in (False, True):
        codes = encode_symbols(model, 4, symbols, short=short)
        for few in (0, 1000):
            monkeypatch.setattr(latent_coding, "FEW_LANES", few)
            assert np.array_equal(decode_symbols(model, 4, codes, height, width, short=short), symbols)


def test_few_lanes_find_the_same_damage(model: ContextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    symbols = draw_symbols(2, model.channels, 3, 3) * (np.arange(model.channels) < 6)[:, None, None]
    codes = encode_symbols(model, 4, symbols)
    for place in range(len(codes[0])):
        damaged = bytearray(codes[0])
        damaged[place] ^= 64
        found = []
        for few in (0, 1000):
            monkeypatch.setattr(latent_coding, "FEW_LANES", few)
            try:
                found.append(decode_symbols(model, 4, [bytes(damaged), codes[1]], 3, 3, short=True).tobytes())
            except FormatError as error:
                found.append(str(error).encode())
        assert found[0] == found[1]
