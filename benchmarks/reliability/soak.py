"""Pack, unpack and verify repeatedly in one process: memory and open files must not grow.

    python benchmarks/reliability/soak.py --rounds 500

Every tenth round packs into a network, the others into codes. Afterwards eight processes unpack the same file at once
and must all write the same bytes.
"""

import argparse
import gc
import hashlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from click.testing import CliRunner
from samples import draw_pictures, print_result

from unicorn_cli.main import cli

torch.set_num_threads(1)

READERS = 8
GROWTH_BYTES = 8 << 20
"""Allowed growth of the median of the last rounds over that of the first ones after the warm-up."""

NETWORK = ("--index-only", "--hidden-size", "8", "--depth", "1", "--epochs", "3")


def resident_bytes() -> int:
    """Return the memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def run_command(*arguments: str) -> None:
    """Run a command in this process. Ends the script if it fails."""
    result = CliRunner().invoke(cli, [*arguments, "--device", "cpu"])
    if result.exit_code != 0:
        sys.exit(f"unicorn {' '.join(arguments)}: {result.output}")


def one_round(number: int, pictures: Path, work: Path) -> None:
    path = str(work / "a.uni")
    run_command(
        "pack", str(pictures), path, "--overwrite", "--seed", str(number), *(NETWORK if number % 10 == 9 else ())
    )
    run_command("unpack", path, "--all", "-o", str(work / "out"), "--overwrite")
    run_command("verify", path, "--against", str(pictures))


def digest(folder: Path) -> str:
    """Return a hash of all files below a folder."""
    content = hashlib.sha256()
    for path in sorted(folder.rglob("*.png")):
        content.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return content.hexdigest()


def read_together(path: Path, work: Path) -> bool:
    """Return whether processes that unpack one file at once all write the same."""
    command = [sys.executable, "-m", "unicorn_cli", "unpack", str(path), "--all", "--device", "cpu", "-o"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    readers = [
        subprocess.Popen(
            [*command, str(work / str(n))], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for n in range(READERS)
    ]
    ended = [reader.wait() for reader in readers]
    return not any(ended) and len({digest(work / str(n)) for n in range(READERS)}) == 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="of the first round; each later one adds 1")
    args = parser.parse_args()
    memory, files = [], []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        pictures = draw_pictures(work / "pictures")
        for number in range(args.rounds):
            one_round(args.seed + number, pictures, work)
            gc.collect()
            memory.append(resident_bytes())
            files.append(open_files())
        agree = read_together(work / "a.uni", work)
    warm_up = max(1, len(memory) // 5)
    part = max(1, (len(memory) - warm_up) // 4)
    growth = statistics.median(memory[-part:]) - statistics.median(memory[warm_up : warm_up + part] or memory)
    ok = growth <= GROWTH_BYTES and files[-1] <= files[min(warm_up, len(files) - 1)] and agree
    print_result(
        script="soak",
        rounds=args.rounds,
        seed=args.seed,
        memory_mb=[round(m / 1e6, 1) for m in (memory[0], memory[min(warm_up, len(memory) - 1)], memory[-1])],
        growth_mb=round(growth / 1e6, 2),
        open_files=[files[0], files[-1]],
        readers_agree=agree,
        ok=ok,
    )
    sys.exit(not ok)


if __name__ == "__main__":
    main()
