"""Coverage-guided fuzzing of the container reader and of code decoding (needs the package's ``fuzz`` extra).

    python benchmarks/reliability/fuzz_reader.py --target reader --seconds 7200
    python benchmarks/reliability/fuzz_reader.py --target codes --runs 1000000

The corpus starts with the format's vectors. A mutator that knows sections, and repairs CRC and SHA-256 afterwards, gets
past the checksums. An execution must end in a value or in a ``FormatError``, within one second of processor time and 64
MB of memory above the input. Inputs that break a bound are stored in --finds.
"""

import argparse
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
from contextlib import contextmanager
from pathlib import Path

import zstandard
from samples import PREAMBLE_BYTES, VECTORS, LooseSection, cut, join, print_result, tiny_context_model

MAX_INPUT_BYTES = 4096
MAX_SECONDS = 1.0
MAX_BYTES_ABOVE_INPUT = 64 << 20
LARGE_SIDE = 250
RAW_SHARE = 0.05
"""Fraction of the mutations that do not repair the checksums."""

PROCESS_SECONDS = 1200

TYPES = (b"HEAD", b"IMGS", b"DENO", b"WGHT", b"CODE", b"TUNE", b"name", b"qual", b"cnry", b"zzzz", b"MORE")
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


def reader_target() -> Callable[[bytes], None]:
    """Read everything in a file, as unpacking and verifying do."""
    from unicorn_codec.errors import FormatError
    from unicorn_codec.format.container import Container, parse, serialize
    from unicorn_codec.format.index_map import position_of_index
    from unicorn_codec.weights.weight_section import parse_weights, split_tensors

    def read(data: bytes, strict: bool) -> Container | None:
        try:
            container = parse(data, strict=strict)
            if container.weights is not None:
                split_tensors(parse_weights(container.weights)[1], container.header)
            position_of_index(container.header.seed, container.header.pictures)
        except FormatError:
            return None
        return container

    def one(data: bytes) -> None:
        with bounded(len(data)):
            loose = read(data, strict=False)
        with bounded(len(data)):
            strict = read(data, strict=True)
        assert strict is None or loose is not None, "who unpacks refuses what who verifies accepts"
        if strict is not None and sum(data[-8:]) % 8 == 0:  # only sometimes, since compressing again is slow
            again = parse(serialize(strict), strict=True)
            assert (again.header, again.names, again.codes) == (strict.header, strict.names, strict.codes)
            assert (again.sizes == strict.sizes).all() and again.weights == strict.weights

    return one


def codes_target() -> Callable[[bytes], None]:
    """Decode what follows three bytes for level, kind of code and grid, with a tiny model."""
    from unicorn_codec.codes.latent_coding import LARGEST_SYMBOL, decode_symbols, encode_symbols
    from unicorn_codec.errors import FormatError
    from unicorn_codec.format.code_table import SHORT
    from unicorn_codec.format.header import MAX_LEVEL

    model = tiny_context_model(0)

    def one(data: bytes) -> None:
        if len(data) < 4:
            return
        level, height, width = data[0] % MAX_LEVEL, side_of(data[1]), side_of(data[2])
        short = data[0] >= SHORT
        with bounded(len(data)):
            try:
                symbols = decode_symbols(model, level, [data[3:]], height, width, short=short)
            except FormatError:
                return
        assert abs(symbols).max() <= LARGEST_SYMBOL
        if sum(data) % 8:  # not always, since encoding again takes longer than everything else
            return
        codes = encode_symbols(model, level, symbols, short=short)
        again = decode_symbols(model, level, codes, height, width, short=short)
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

    from unicorn_codec.codes.latent_coding import LARGEST_SYMBOL, encode_symbols
    from unicorn_codec.format.code_table import SHORT
    from unicorn_codec.format.header import MAX_LEVEL

    model, rng = tiny_context_model(0), np.random.default_rng(seed)
    for number in range(40):
        level, *sides = rng.integers((0, 0, 0), (MAX_LEVEL, 256, 256)).tolist()
        shape = (1, 3, *map(side_of, sides))
        symbols = np.rint(rng.laplace(0, rng.choice([0.1, 2, 400]), shape)).astype(np.int64)
        short = number % 2 == 1
        (code,) = encode_symbols(model, level, symbols.clip(-LARGEST_SYMBOL, LARGEST_SYMBOL), short=short)
        (folder / str(number)).write_bytes(bytes([level + SHORT * short, *sides]) + code)


class SectionMutator:
    """Mutates a file section by section, and repairs its checksums."""

    def __init__(self, mutate: Mutate) -> None:
        self._mutate = mutate
        whole = [cut(path.read_bytes()) for path in sorted(VECTORS.glob("valid-*.uni"))]
        self._donors = [section for sections in whole for section in sections]

    def __call__(self, data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        sections = cut(data)
        if not sections or rng.random() < RAW_SHARE:
            return self._mutate(data, max_size)
        for _ in range(rng.choice((1, 1, 2, 4))):
            change = rng.choice((self._payload, self._payload, self._packed, self._packed, self._claim, self._frame))
            sections = change(sections, rng)
        mended = join(data[:PREAMBLE_BYTES], sections)
        return mended if len(mended) <= max_size else self._mutate(data, max_size)

    def _payload(self, sections: list[LooseSection], rng: random.Random) -> list[LooseSection]:
        """Change arbitrary bytes of a payload."""
        at = rng.randrange(len(sections))
        payload = self._mutate(sections[at].payload, len(sections[at].payload) + 64)
        return replaced(sections, at, payload)

    def _packed(self, sections: list[LooseSection], rng: random.Random) -> list[LooseSection]:
        """Change the raw bytes of packed bytes, and pack them again."""
        at = rng.randrange(len(sections))
        section = sections[at]
        start = packed_start(section)
        if start is None or len(section.payload) < start + 9:
            return sections
        raw = self._mutate(unpacked(section.payload[start:]), 2048) * rng.choice((1, 1, 1, 2, 40))
        packed = struct.pack("<BQ", 0, len(raw)) + raw
        if rng.random() < 0.7:
            packed = struct.pack("<BQ", 1, len(raw)) + zstandard.ZstdCompressor().compress(raw)
        payload = section.payload[:start] + packed
        if section.type == b"CODE":  # its table precedes the codes, and its length precedes the table
            tail = section.payload[start + struct.unpack_from("<Q", section.payload, start - 8)[0] :]
            payload = section.payload[: start - 8] + struct.pack("<Q", len(packed)) + packed + tail
        return replaced(sections, at, payload)

    def _claim(self, sections: list[LooseSection], rng: random.Random) -> list[LooseSection]:
        """Put a number that claims much, or nothing, anywhere into a payload."""
        at = rng.randrange(len(sections))
        payload, layout = bytearray(sections[at].payload), rng.choice("HIQ")
        size = struct.calcsize("<" + layout)
        if len(payload) < size:
            return sections
        offset = rng.choice((0, rng.randrange(len(payload) - size + 1)))
        struct.pack_into("<" + layout, payload, offset, rng.choice(CLAIMS) % (1 << 8 * size))
        return replaced(sections, at, bytes(payload))

    def _frame(self, sections: list[LooseSection], rng: random.Random) -> list[LooseSection]:
        """Add, remove, move and retype sections."""
        sections = list(sections)
        at = rng.randrange(len(sections))
        kind = rng.randrange(4)
        if kind == 0 and len(sections) > 1:
            del sections[at]
        elif kind == 1:
            sections.insert(at + 1, rng.choice(self._donors))
        elif kind == 2:
            sections[at] = LooseSection(rng.choice(TYPES), sections[at].payload)
        else:
            donor = rng.choice(self._donors)
            same = [i for i, section in enumerate(sections) if section.type == donor.type]
            sections[same[0] if same else at] = donor
        return sections


def replaced(sections: list[LooseSection], at: int, payload: bytes) -> list[LooseSection]:
    """Replace the payload of one section."""
    return [*sections[:at], LooseSection(sections[at].type, payload), *sections[at + 1 :]]


def packed_start(section: LooseSection) -> int | None:
    """Return where a section's packed bytes begin."""
    if section.type == b"IMGS" and len(section.payload) >= 4:
        return 4 + 8 * int(struct.unpack_from("<I", section.payload)[0])
    return {b"name": 0, b"WGHT": 13, b"CODE": 42}.get(section.type)


def unpacked(packed: bytes) -> bytes:
    """Return the raw bytes, or the nearest equivalent."""
    if packed[0] == 0:
        return packed[9:]
    frame = packed[9:]
    try:
        if zstandard.get_frame_parameters(frame).content_size > 1 << 16:
            return frame
        return zstandard.ZstdDecompressor().decompress(frame, max_output_size=1 << 16)
    except zstandard.ZstdError:
        return frame


def dictionary() -> str:
    """Return the dictionary of libFuzzer: section types, the magic of zstd, claimed numbers."""
    words = [*TYPES, b"\x28\xb5\x2f\xfd", b"\n", b"../", *(struct.pack("<Q", claim) for claim in CLAIMS)]
    return "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in words)


def work(target: str, arguments: list[str]) -> None:
    """Fuzz in this process, which libFuzzer ends."""
    import atheris

    warnings.simplefilter("ignore")
    with atheris.instrument_imports(include=["unicorn_codec"]):
        one = reader_target() if target == "reader" else codes_target()
    # Looked up at each call, since Fuzz() replaces the function.
    mutator = SectionMutator(lambda data, size: atheris.Mutate(data, size))
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
