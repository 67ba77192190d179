"""Time of entropy coding, by NumPy and by the compiled kernels of the extra ``fast``.

    python benchmarks/entropy_coding.py --data cats-1000 --count 64 --step 5.4

Latents of the first pictures of the folder, all of one size, are rounded to the step, encoded and decoded on one core.
Both ways must agree. Times are processor time for each picture, the least of three runs.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from unicorn_codec.codes import latent_coding
from unicorn_codec.codes.compiled_coding import POSITIONS_WORTH_LOADING, is_compiled
from unicorn_codec.codes.context_model import ContextModel, level_of, load_context_model
from unicorn_codec.codes.latent_coding import Symbols, decode_symbols, encode_symbols
from unicorn_codec.model_registry import AUTOENCODER, names
from unicorn_codec.packing.code_writer import quantise_latents
from unicorn_codec.transform.autoencoder import PackagedAutoencoder

RUNS = 3


def least_ms(work: Callable[[], object], count: int) -> float:
    """Return the milliseconds of processor time that a call takes for each of some pictures."""
    seconds = []
    for _ in range(RUNS + 1):  # the first compiles
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return 1000 * min(seconds[1:]) / count


def measure(model: ContextModel, level: int, symbols: Symbols, way: str, *, compiled: bool) -> list[bytes]:
    """Print the times of a way of coding, and return the codes."""
    setattr(latent_coding, "is_compiled", lambda *_: compiled)  # noqa: B010
    codes = encode_symbols(model, level, symbols)

    def decode() -> Symbols:
        return decode_symbols(model, level, codes, *symbols.shape[2:], short=True)

    assert np.array_equal(decode(), symbols)
    encoding = least_ms(lambda: encode_symbols(model, level, symbols), len(symbols))
    print(f"{way:<16} encoding {encoding:6.2f} ms, decoding {least_ms(decode, len(symbols)):6.2f} ms", flush=True)
    return codes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--step", type=float, default=5.4)
    args = parser.parse_args()
    paths = sorted(path for path in args.data.iterdir() if path.is_file())[: args.count]
    pictures = [np.array(Image.open(path).convert("RGB")) for path in paths]
    for name in names(AUTOENCODER):
        model, level = load_context_model(name), level_of(args.step)
        if not is_compiled(model, POSITIONS_WORTH_LOADING):
            parser.error("the kernels take numba: pip install 'unicorn-codec[fast]'")
        latents = PackagedAutoencoder(torch.device("cpu"), name=name).encode_pictures(pictures, 16)
        symbols, found = quantise_latents(latents, args.step), []
        for way, compiled in ((f"{name} NumPy", False), (f"{name} compiled", True)):
            found.append(measure(model, level, symbols, way, compiled=compiled))
        assert found[0] == found[1]
        print(f"{sum(map(len, found[0]))} bytes, {np.count_nonzero(symbols) / symbols.size:.1%} of the values not zero")


if __name__ == "__main__":
    main()
