"""The compiled kernels write the bytes and read the values of the coder in NumPy."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unicorn_codec.archive import Archive
from unicorn_codec.codes import compiled_coding, latent_coding
from unicorn_codec.codes.context_model import LARGEST_SYMBOL, ContextModel, load_context_model
from unicorn_codec.codes.latent_coding import decode_symbols, encode_symbols
from unicorn_codec.decoders.code_decoder import CodeDecoder
from unicorn_codec.errors import FormatError

pytest.importorskip("numba")

GOLDEN = Path(__file__).parent / "golden"

Choose = Callable[[bool], None]


@pytest.fixture(scope="module", params=["photo-1", "light-1"])
def model(request: pytest.FixtureRequest) -> ContextModel:
    return load_context_model(request.param)


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Choose:
    """Return a function that chooses the kernels, or NumPy."""
    return lambda compiled: monkeypatch.setattr(latent_coding, "is_compiled", lambda *_: compiled)


def draw_symbols(pictures: int, channels: int, height: int, width: int, scale: float) -> np.ndarray:
    """Draw values that get sparser from channel to channel; one picture's end early, and some are escaped."""
    rng = np.random.default_rng(height * width)
    scales = scale / (1 + np.arange(channels))[:, None, None]
    symbols = np.rint(rng.laplace(0, scales, (pictures, channels, height, width))).astype(np.int16)
    symbols[0, 2, 0, -1], symbols[-1, 0, -1, 0], symbols[0, 9, 0, 0] = LARGEST_SYMBOL, -LARGEST_SYMBOL, -1000
    symbols[-1, channels // 3 :] = 0
    return symbols


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize(
    ("pictures", "height", "width", "scale"),
    [(3, 1, 1, 6.0), (2, 1, 7, 6.0), (5, 16, 16, 1.0), (3, 17, 33, 6.0), (2, 21, 30, 200.0)],
)
def test_bytes_and_values_are_the_same(
    model: ContextModel, choose: Choose, pictures: int, height: int, width: int, scale: float, short: bool
) -> None:
    symbols, codes = draw_symbols(pictures, model.channels, height, width, scale), []
    for compiled in (False, True):
        choose(compiled)
        codes.append(encode_symbols(model, 7, symbols, short=short))
        assert np.array_equal(decode_symbols(model, 7, codes[0], height, width, short=short), symbols)
    assert codes[0] == codes[1]


@pytest.mark.parametrize("leading", [1, 12, 40])
def test_leading_channels_are_the_same(model: ContextModel, choose: Choose, leading: int) -> None:
    symbols = draw_symbols(3, model.channels, 5, 9, 3.0)
    codes = encode_symbols(model, 2, symbols)
    choose(True)
    found = decode_symbols(model, 2, codes, 5, 9, short=True, leading=leading)
    assert np.array_equal(found[:, :leading], symbols[:, :leading]) and not found[:, leading:].any()


@pytest.mark.parametrize("name", ["codes", "half-size-codes", "light-codes", "updated-codes"])
def test_golden_codes_are_the_same(choose: Choose, name: str) -> None:
    found = []
    for compiled in (False, True):
        choose(compiled)
        archive = Archive.open(GOLDEN / f"{name}.uni", device="cpu")
        assert isinstance(archive.decoder(0), CodeDecoder)
        found.append({index: pixels.tobytes() for index, pixels in archive.iterate(archive.indices)})
    assert len(found[0]) == 4 and found[0] == found[1]


def test_damage_is_found_alike(model: ContextModel, choose: Choose) -> None:
    symbols = draw_symbols(1, model.channels, 3, 3, 2.0)
    (code,) = encode_symbols(model, 4, symbols)
    lost = 0
    for place in range(1, len(code)):
        damaged, found = bytearray(code), []
        damaged[place] ^= 64
        for compiled in (False, True):
            choose(compiled)
            try:
                found.append(decode_symbols(model, 4, [bytes(damaged)], 3, 3, short=True).tobytes())
            except FormatError as error:
                found.append(str(error).encode())
                lost += compiled
        assert found[0] == found[1]
    assert lost > len(code) / 2


def test_sums_of_more_than_32_bits_are_left_to_numpy(model: ContextModel) -> None:
    many = compiled_coding.POSITIONS_WORTH_LOADING
    assert compiled_coding.is_compiled(model, many)
    wide = replace(model, earlier=model.earlier * 200)
    assert not wide.is_narrow and not compiled_coding.is_compiled(wide, many)


def test_few_pictures_do_not_load_numba_and_many_do() -> None:
    program = (
        "import sys\n"
        "from unicorn_codec.codes.compiled_coding import POSITIONS_WORTH_LOADING as many, is_compiled\n"
        "from unicorn_codec.codes.context_model import load_context_model\n"
        "model = load_context_model()\n"
        "print(is_compiled(model, many - 1), 'numba' in sys.modules, is_compiled(model, many), is_compiled(model, 1))\n"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False", "False", "True", "True"]


def test_without_numba_the_coder_is_that_in_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, compiled_coding.KERNELS, raising=False)
    compiled_coding._kernels.cache_clear()
    assert not compiled_coding.is_compiled(load_context_model(), compiled_coding.POSITIONS_WORTH_LOADING)
    compiled_coding._kernels.cache_clear()
