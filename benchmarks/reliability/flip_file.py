"""Cut archives at every length and flip every single bit: ``verify`` must notice, and no other picture may be lost.

    python benchmarks/reliability/flip_file.py --sampled 20000

Two small archives with names, one of codes and one of a network, are damaged at all positions, a larger archive of
codes at random ones. ``unicorn verify`` must exit with code 1. What is read of the damaged file must be what it was,
and lack only pictures whose record was hit; a repaired flip must lack none, a repaired cut those behind it.
"""

import argparse
import io
import random
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch
from click.testing import CliRunner
from samples import PREAMBLE_BYTES, draw_pictures, pack_sample, print_result

from unicorn_cli.main import cli
from unicorn_codec.errors import DamagedSectionWarning, FormatError, NothingToRepair
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.repair import repair
from unicorn_codec.format.sources import MemorySource

torch.set_num_threads(1)


@dataclass(slots=True)
class Count:
    """Outcomes of the damages of one archive."""

    tried: int = 0
    refused: int = 0
    opened: int = 0
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
    whole, count, runner = pictures_of(data), Count(), CliRunner()
    for what, changed in damaged:
        path.write_bytes(changed)
        count.tried += 1
        result = runner.invoke(cli, ["verify", str(path)])
        if result.exit_code != 1:
            count.problems.append(f"{what}: verify exits with {result.exit_code}: {result.output[-200:]!r}")
        try:
            found = pictures_of(changed)
        except FormatError:
            count.refused += 1
        else:
            count.opened += 1
            wrong = [index for index, picture in found.items() if picture != whole[index]]
            if wrong:
                count.problems.append(f"{what}: pictures {wrong} are others")
        output = io.BytesIO()
        try:
            repair(changed, output)
            saved = pictures_of(output.getvalue())
        except (FormatError, NothingToRepair):
            saved = {}
        complete = {index for index, (end, _) in whole.items() if end <= len(changed)} if what[0] == "c" else set(whole)
        if len(changed) >= PREAMBLE_BYTES and set(saved) != complete and not is_beginning(what):
            count.problems.append(f"{what}: repaired are {sorted(saved)}, complete were {sorted(complete)}")
    return count


def is_beginning(what: str) -> bool:
    """Return whether a flipped bit lies in the preamble, which a repair does not read."""
    return what.startswith("bit ") and int(what[4:]) < 8 * PREAMBLE_BYTES


def pictures_of(data: bytes) -> dict[int, tuple[int, bytes]]:
    """Return where the record of each picture ends and what it holds; of a network's, what is known of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedSectionWarning)
        reader = ContainerReader(MemorySource(data))
    found = dict[int, tuple[int, bytes]]()
    for index in range(reader.footer.next_index):
        with suppress(FormatError):
            row = reader.row(index)
            if row.length:
                found[index] = (row.offset + row.length, reader.record(row).code)
    return found


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
        archives={kind: {"tried": c.tried, "refused": c.refused, "opened": c.opened} for kind, c in found.items()},
        problems=len(problems),
        ok=not problems,
    )
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
