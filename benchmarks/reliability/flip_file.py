"""Cut archives at every length and flip every single bit: ``verify`` and ``unpack`` must notice.

    python benchmarks/reliability/flip_file.py --sampled 20000

Two small archives with names, one of codes and one of a network, are damaged at all positions, a larger archive of
codes at random ones. ``unicorn verify`` must exit with code 1 and print one line. Reading for unpacking must raise a
``FormatError``, or warn of a named ancillary section and return exactly the same pictures.
"""

import argparse
import random
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from click.testing import CliRunner
from samples import draw_pictures, pack_sample, print_result

from unicorn_cli.main import cli
from unicorn_codec.errors import DamagedSectionWarning, FormatError
from unicorn_codec.format.container import Container, parse

torch.set_num_threads(1)


@dataclass(slots=True)
class Count:
    """Outcomes of the damages of one archive."""

    tried: int = 0
    refused: int = 0
    warned: int = 0
    problems: list[str] = field(default_factory=list)


def damages(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield all truncations, then all single bits."""
    for length in range(len(data)):
        yield f"cut at {length}", data[:length]
    for bit in range(8 * len(data)):
        yield f"bit {bit}", flipped(data, bit)


def some_damages(data: bytes, count: int, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield random damages, half of them truncations and half single bits."""
    for _ in range(count // 2):
        length, bit = rng.randrange(len(data)), rng.randrange(8 * len(data))
        yield f"cut at {length}", data[:length]
        yield f"bit {bit}", flipped(data, bit)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def attack_archive(data: bytes, damaged: Iterable[tuple[str, bytes]], path: Path) -> Count:
    """Try all damages of one archive."""
    whole, count, runner = parse(data, strict=True), Count(), CliRunner()
    for what, changed in damaged:
        path.write_bytes(changed)
        count.tried += 1
        result = runner.invoke(cli, ["verify", str(path)])
        one_line = result.stderr.count("\n") == 1 and result.stderr.startswith("unicorn: error: ")
        if result.exit_code != 1 or not one_line:
            count.problems.append(f"{what}: verify exits with {result.exit_code}: {result.output[-200:]!r}")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found = parse(changed)
            except FormatError:
                count.refused += 1
                continue
        count.warned += 1
        if [warning.category for warning in caught] != [DamagedSectionWarning] or not same_pictures(found, whole):
            count.problems.append(f"{what}: unpacked with {[str(warning.message) for warning in caught]}")
    return count


def same_pictures(a: Container, b: Container) -> bool:
    """Return whether everything that a picture depends on is equal."""
    return (a.header, a.weights, a.codes) == (b.header, b.weights, b.codes) and np.array_equal(a.sizes, b.sizes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sampled", type=int, default=20_000, help="number of damages of the larger archive")
    parser.add_argument("--every", type=int, default=1, help="try only every n-th damage of the small archives")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        few = draw_pictures(work / "few", count=2, size=16)
        many = draw_pictures(work / "many", count=24, size=64)
        for kind, index_only in (("codes", False), ("network", True)):
            data = pack_sample(few, work / f"{kind}.uni", index_only=index_only).read_bytes()
            chosen: Iterator[tuple[str, bytes]] = islice(damages(data), 0, None, args.every)
            found[f"{kind}, {len(data)} bytes"] = attack_archive(data, chosen, work / "damaged.uni")
        data = pack_sample(many, work / "large.uni", index_only=False).read_bytes()
        chosen = some_damages(data, args.sampled, random.Random(args.seed))
        found[f"codes, {len(data)} bytes"] = attack_archive(data, chosen, work / "damaged.uni")
    problems = [f"{kind}, {problem}" for kind, count in found.items() for problem in count.problems]
    for problem in problems[:50]:
        print(problem, file=sys.stderr)
    print_result(
        script="flip_file",
        seed=args.seed,
        every=args.every,
        archives={kind: {"tried": c.tried, "refused": c.refused, "warned": c.warned} for kind, c in found.items()},
        problems=len(problems),
        ok=not problems,
    )
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
