"""Coverage-guided fuzzing of the container reader and of code decoding (needs the package's ``fuzz`` extra).

    python benchmarks/reliability/fuzz_reader.py --target reader --seconds 7200
    python benchmarks/reliability/fuzz_reader.py --target codes --runs 1000000

The corpus starts with the format's vectors. A mutator that knows chunks, and repairs CRC and digests afterwards, gets
past the checksums. An execution must end in a value or in a ``FormatError``, within one second of processor time and 64
MB of memory above the input. Inputs that break a bound are stored in --finds.
"""

import argparse
import hashlib
import random
import re
import resource
import struct
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from samples import PREAMBLE_BYTES, VECTORS, LooseChunk, cut, join, print_result, tiny_context_model

MAX_INPUT_BYTES = 4096
MAX_SECONDS = 1.0
MAX_BYTES_ABOVE_INPUT = 64 << 20
LARGE_SIDE = 250
RAW_SHARE = 0.05
"""Fraction of the mutations that do not repair the checksums."""

PROCESS_SECONDS = 1200

CLAIMS = tuple(sorted({0, 1, *((1 << bits) + d for bits in (8, 16, 24, 26, 28, 31, 32, 44, 63) for d in (-1, 0, 1))}))
Mutate = Callable[[bytes, int], bytes]


class BoundBroken(Exception):
    """An execution took too long."""


@contextmanager
def bounded(input_bytes: int) -> Iterator[None]:
    """Limit time and memory within the context. Exceeding the memory raises ``MemoryError``."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + input_bytes + MAX_BYTES_ABOVE_INPUT
    started = time.process_time()
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    seconds = time.process_time() - started
    if seconds > MAX_SECONDS:
        raise BoundBroken(f"{seconds:.2f} s of processor time")


MAX_FUZZED_PIXELS = 1 << 20
"""Of a picture whose opacity is read: the limit of who unpacks."""


def reader_target() -> Callable[[bytes], None]:
    """Read everything in a file, as unpacking, verifying and repairing do."""
    import io

    from unicorn_codec.errors import FormatError, NothingToRepair
    from unicorn_codec.format.alpha_plane import parse_alpha
    from unicorn_codec.format.chunks import MODEL, TEXT
    from unicorn_codec.format.function_table import parse_functions
    from unicorn_codec.format.integrity import problems_of
    from unicorn_codec.format.network_table import parse_network, parse_update
    from unicorn_codec.format.reader import ContainerReader
    from unicorn_codec.format.repair import repair
    from unicorn_codec.format.sources import MemorySource
    from unicorn_codec.format.stored_model import parse_model, parse_text
    from unicorn_codec.weights.weight_section import parse_tensors

    def read(data: bytes) -> None:
        reader = ContainerReader(MemorySource(data))
        problems_of(reader)
        for decoder in reader.footer.decoders:
            if decoder.weights is None:
                continue
            payload = reader.weights(decoder.weights)
            if decoder.is_network:
                stored = parse_network(payload, decoder.model, decoder.latent_step)
                parse_tensors(stored.weights, stored.header)
            elif decoder.is_functions:
                parse_functions(payload, decoder.model.latent_channels)
            else:
                parse_update(payload)
        for leaf in reader.leaves():
            for index in leaf.living.tolist():
                row = reader.row(index)
                reader.name(index)
                reader.details(row)
                if row.length:
                    record = reader.record(row)
                    for place in record.metadata:
                        reader.blob(place)
                    if record.alpha is not None and row.width * row.height <= MAX_FUZZED_PIXELS:
                        parse_alpha(record.alpha, row.width, row.height)
                reader.chain(row)
        for payload in reader.attachments(MODEL):
            parse_model(payload)
        for payload in reader.attachments(TEXT):
            parse_text(payload)
        reader.find("a.png")

    def one(data: bytes) -> None:
        with bounded(len(data)), suppress(FormatError):
            read(data)
        if sum(data[-8:]) % 8:  # only sometimes, since trying every place takes long
            return
        output = io.BytesIO()
        with bounded(len(data)):
            try:
                repair(data, output)
            except (FormatError, NothingToRepair):
                return
        assert not problems_of(ContainerReader(MemorySource(output.getvalue()))), "a repaired archive is damaged"

    return one


def codes_target() -> Callable[[bytes], None]:
    """Decode what follows three bytes for level, kind of code and grid, with a tiny model."""
    from unicorn_codec.codes.context_model import LARGEST_SYMBOL
    from unicorn_codec.codes.context_predictor import Levels
    from unicorn_codec.codes.latent_coding import decode_symbols, encode_symbols
    from unicorn_codec.errors import FormatError
    from unicorn_codec.format.cell_map import cell_levels, unmark_mapped
    from unicorn_codec.format.code_kinds import is_mapped
    from unicorn_codec.format.decoder_table import SHORT
    from unicorn_codec.format.header import MAX_LEVEL

    model = tiny_context_model(0)

    def one(data: bytes) -> None:
        if len(data) < 4:
            return
        levels: Levels = data[0] % MAX_LEVEL
        height, width, code = side_of(data[1]), side_of(data[2]), data[3:]
        short = data[0] >= SHORT
        with bounded(len(data)):
            try:
                if is_mapped(code):
                    code, offsets = unmark_mapped(code, height, width)
                    levels = cell_levels(data[0] % MAX_LEVEL, offsets[None], half=False)
                symbols = decode_symbols(model, levels, [code], height, width, short=short)
            except FormatError:
                return
        assert abs(symbols).max() <= LARGEST_SYMBOL
        if sum(data) % 8:  # not always, since encoding again takes longer than everything else
            return
        codes = encode_symbols(model, levels, symbols, short=short)
        again = decode_symbols(model, levels, codes, height, width, short=short)
        assert (again == symbols).all(), "another code of the same symbols decodes to others"

    return one


def side_of(byte: int) -> int:
    """Return the side of a grid: mostly small for fast decoding, otherwise large enough for two lanes."""
    return 1 + byte % 6 if byte < LARGE_SIDE else 17


def write_seeds(target: str, folder: Path, seed: int) -> None:
    """Return the initial corpus."""
    if target == "reader":
        for path in VECTORS.glob("*.uni"):
            (folder / path.name).write_bytes(path.read_bytes())
        return
    import numpy as np

    from unicorn_codec.codes.context_model import LARGEST_SYMBOL
    from unicorn_codec.codes.latent_coding import encode_symbols
    from unicorn_codec.format.cell_map import cell_levels, mark_mapped
    from unicorn_codec.format.decoder_table import SHORT
    from unicorn_codec.format.header import MAX_LEVEL

    model, rng = tiny_context_model(0), np.random.default_rng(seed)
    for number in range(40):
        level, *sides = rng.integers((0, 0, 0), (MAX_LEVEL, 256, 256)).tolist()
        shape = (1, 3, *map(side_of, sides))
        symbols = np.rint(rng.laplace(0, rng.choice([0.1, 2, 400]), shape)).astype(np.int64)
        short = number % 2 == 1
        offsets = rng.integers(-8, 9, shape[2:]).astype(np.int8) * (number % 4 >= 2)
        levels = cell_levels(level, offsets[None], half=False)
        (code,) = encode_symbols(model, levels, symbols.clip(-LARGEST_SYMBOL, LARGEST_SYMBOL), short=short)
        code = mark_mapped(code, offsets) if offsets.any() else code
        (folder / str(number)).write_bytes(bytes([level + SHORT * short, *sides]) + code)


class ChunkMutator:
    """Mutates a file chunk by chunk, and repairs its checksums and digests."""

    def __init__(self, mutate: Mutate) -> None:
        self._mutate = mutate

    def __call__(self, data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        chunks = cut(data)
        if not chunks or rng.random() < RAW_SHARE:
            return self._mutate(data, max_size)
        for _ in range(rng.choice((1, 1, 2, 4))):
            chunk = rng.choice(chunks)
            changed = rng.choice((self._bytes, self._bytes, self._claim))(chunk.payload, rng)
            if chunk is not chunks[-1]:  # nothing behind it may move, for it is named by its place
                changed = (changed + bytes(len(chunk.payload)))[: len(chunk.payload)]
            _mend_digests(chunks, chunk, changed)
        mended = join(data[:PREAMBLE_BYTES], chunks)
        return mended if len(mended) <= max_size else self._mutate(data, max_size)

    def _bytes(self, payload: bytes, rng: random.Random) -> bytes:
        """Change arbitrary bytes."""
        return self._mutate(payload, len(payload) + 64) if payload else payload

    def _claim(self, payload: bytes, rng: random.Random) -> bytes:
        """Put a number that claims much, or nothing, anywhere."""
        changed, claim = bytearray(payload), bytearray()
        number = rng.choice(CLAIMS)
        while number >= 128:
            claim.append(number & 127 | 128)
            number >>= 7
        claim.append(number)
        at = rng.randrange(len(changed) + 1)
        changed[at : at + len(claim)] = claim
        return bytes(changed)


def _mend_digests(chunks: list[LooseChunk], chunk: LooseChunk, payload: bytes) -> None:
    """Replace a chunk's payload, and its digest in all chunks behind it, whose own digests change with it.

    A mutation may put a digest into any chunk; only those of earlier chunks are mended, or two chunks that name each
    other would be mended for ever.
    """
    old, new = (hashlib.sha256(one).digest()[:8] for one in (chunk.payload, payload))
    chunk.payload = payload
    place = next(number for number, one in enumerate(chunks) if one is chunk)
    for other in chunks[place + 1 :]:
        if old in other.payload:
            _mend_digests(chunks, other, other.payload.replace(old, new))


def dictionary() -> str:
    """Return the dictionary of libFuzzer: tags of chunks, the magic of zstd, claimed numbers."""
    words = [
        *(b"\xf5UN" + bytes([ord(c)]) for c in "HDPIFWnlmtas"),
        b"\x28\xb5\x2f\xfd",
        b"\n",
        b"../",
        *(struct.pack("<Q", claim) for claim in CLAIMS),
    ]
    return "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in words)


def work(target: str, arguments: list[str]) -> None:
    """Fuzz in this process, which libFuzzer ends."""
    import atheris

    warnings.simplefilter("ignore")
    with atheris.instrument_imports(include=["unicorn_codec"]):
        one = reader_target() if target == "reader" else codes_target()
    # Looked up at each call, since Fuzz() replaces the function.
    mutator = ChunkMutator(lambda data, size: atheris.Mutate(data, size))
    settings = {"custom_mutator": mutator} if target == "reader" else {}
    atheris.Setup([sys.argv[0], *arguments], one, **settings)
    atheris.Fuzz()


def fuzz(command: list[str], seconds: int, runs: int, seed: int) -> tuple[int, int, bool, str]:
    """Run libFuzzer until its time or executions (-1: any number) are used up, or it fails.

    Returns:
        Executions, coverage, whether it failed, and the output of the last process.
    """
    executions, coverage, failed, output = 0, 0, False, ""
    started = time.monotonic()
    while not failed and (left := seconds - int(time.monotonic() - started)) > 0 and (runs < 0 or executions < runs):
        # Tracing leaks some kilobytes per execution, so a single process for all would grow without limit.
        bounds = [f"-max_total_time={min(left, PROCESS_SECONDS)}", f"-runs={-1 if runs < 0 else runs - executions}"]
        ended = subprocess.run([*command, f"-seed={seed}", *bounds], capture_output=True, text=True, errors="replace")
        output, seed = ended.stdout + ended.stderr, seed + 1
        executed = re.search(r"number_of_executed_units: (\d+)", output)
        failed = ended.returncode != 0 or executed is None
        executions += int(executed[1]) if executed else 0
        coverage = max(coverage, *(int(found) for found in re.findall(r"cov: (\d+)", output)), 0)
    return executions, coverage, failed, output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=("reader", "codes"), default="reader")
    parser.add_argument("--seconds", type=int, default=60, help="stop after this time")
    parser.add_argument("--runs", type=int, default=-1, help="stop after this number of executions")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--finds", type=Path, default=Path("finds"), help="folder for inputs that break a bound")
    parser.add_argument("--work", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work is not None:
        work(args.target, args.work)
        return
    args.finds.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        corpus = Path(name) / "corpus"
        corpus.mkdir()
        write_seeds(args.target, corpus, args.seed)
        (Path(name) / "words").write_text(dictionary())
        common = [sys.executable, __file__, "--target", args.target, "--work", str(corpus)]
        common += [f"-max_len={MAX_INPUT_BYTES}", f"-dict={name}/words", "-timeout=60", "-rss_limit_mb=4096"]
        common += [f"-artifact_prefix={args.finds}/{args.target}-", "-print_final_stats=1"]
        executions, coverage, failed, output = fuzz(common, args.seconds, args.runs, args.seed)
        inputs = len(list(corpus.iterdir()))
    if failed:
        print("\n".join(output.splitlines()[-40:]), file=sys.stderr)
    print_result(
        script="fuzz_reader",
        target=args.target,
        seed=args.seed,
        executions=executions,
        coverage=coverage,
        corpus=inputs,
        finds=sorted(path.name for path in args.finds.glob(f"{args.target}-*")),
        ok=not failed,
    )
    sys.exit(failed)


if __name__ == "__main__":
    main()
