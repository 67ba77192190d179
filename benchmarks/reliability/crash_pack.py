"""Kill ``unicorn pack`` (as kill -9 does) at every named moment of its writing and at random times.

    python benchmarks/reliability/crash_pack.py --kills 100

A moment is a call that opens, writes, synchronises, renames or removes a file. A run without a kill names all of them.
Then one run dies before and one after each moment, and in the middle of each write. After each death the output is
complete or absent, an earlier file is untouched or replaced by a complete one, and nothing else is left but the
checkpoint and one unfinished file. The next run, with --resume if there is a checkpoint, succeeds and leaves nothing
else behind. POSIX only: each run is a fork.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from moments import Moments, forked
from samples import draw_pictures, print_result

from unicorn_cli.main import cli
from unicorn_codec.errors import UnicornError
from unicorn_codec.format.integrity import problems_of
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.sources import FileSource
from unicorn_codec.model_registry import default_name
from unicorn_codec.network.training import TrainingRun
from unicorn_codec.transform.autoencoder import LEADING_CHANNELS, load_autoencoder

torch.set_num_threads(1)

OLD = b"what stood there before"
CODES = ("--seed", "3", "--device", "cpu")
NETWORK = (*CODES, "--index-only", "--hidden-size", "8", "--depth", "1")


@dataclass(frozen=True, slots=True)
class Case:
    """One way to pack."""

    name: str
    arguments: tuple[str, ...]
    has_old: bool


def cases(seconds: float) -> tuple[Case, ...]:
    network = (*NETWORK, "--train-time", f"{seconds}s")
    return (
        Case("codes", CODES, False),
        Case("codes over an existing file", (*CODES, "--overwrite"), True),
        Case("network", network, False),
        Case("network over an existing file", (*network, "--overwrite"), True),
    )


class Attack:
    """Packs a folder repeatedly, and checks what each death leaves."""

    def __init__(self, pictures: Path, work: Path) -> None:
        self.pictures, self.work, self.log = pictures, work, work.parent / "log"
        self.output = work / "out.uni"
        self.checkpoint = work / "out.uni.checkpoint"
        self.problems: list[str] = []
        self.unfinished = 0

    def pack(
        self, case: Case, *more: str, fatal: int = -1, names: Path | None = None, kill_after: float | None = None
    ) -> int:
        """Run once."""

        def work() -> None:
            moments = Moments(self.work, fatal)
            moments.install()
            try:
                cli(["pack", str(self.pictures), str(self.output), *case.arguments, *more])
            finally:
                if names is not None:
                    names.write_text("\n".join(moments.names))

        return forked(work, self.log, kill_after)

    def prepare(self, case: Case) -> None:
        for path in self.work.iterdir():
            path.unlink()
        if case.has_old:
            self.output.write_bytes(OLD)

    def judge(self, case: Case, when: str) -> None:
        """Check the state after a death, run again, and check again."""
        problems = list(self._output_problems(case))
        others = [path for path in self.work.iterdir() if path not in (self.output, self.checkpoint)]
        self.unfinished += bool(others)
        if len(others) > 1:
            problems.append(f"left {sorted(path.name for path in others)}")
        more = ["--resume"] if self.checkpoint.exists() else []
        if self.output.exists() and "--overwrite" not in case.arguments:
            more.append("--overwrite")
        status = self.pack(case, *more)
        if status != 0:
            problems.append(f"the next run ({' '.join(more)}) exits with {status}: {self.log.read_text()[-300:]}")
        elif self._whole() is not None:
            problems.append("the next run's file is not whole")
        if left := sorted(path.name for path in self.work.iterdir() if path != self.output):
            problems.append(f"the next run leaves {left}")
        for problem in problems:
            self.problems.append(f"{case.name}, {when}: {problem}")
            print(self.problems[-1], file=sys.stderr, flush=True)

    def _output_problems(self, case: Case) -> list[str]:
        if not self.output.exists():
            return ["the file that stood there is gone"] if case.has_old else []
        if case.has_old and self.output.read_bytes() == OLD:
            return []
        fault = self._whole()
        return [] if fault is None else [f"the output is incomplete: {fault}"]

    def _whole(self) -> str | None:
        try:
            problems = problems_of(ContainerReader(FileSource(self.output)))
        except UnicornError as error:
            return str(error)
        return problems[0] if problems else None


def attack_case(attack: Attack, case: Case, kills: int, rng: random.Random) -> dict[str, int]:
    """Try every named moment, then random ones."""
    attack.prepare(case)
    names, started = attack.work.parent / "names", time.monotonic()
    status = attack.pack(case, names=names)
    seconds = time.monotonic() - started
    if status != 0:
        sys.exit(f"packing fails without an attack: {attack.log.read_text()}")
    moments = names.read_text().split("\n")
    for number, moment in enumerate(moments):
        attack.prepare(case)
        if attack.pack(case, fatal=number) != -signal.SIGKILL:
            continue  # training saved less often this time
        attack.judge(case, f"killed {moment} (moment {number + 1} of {len(moments)})")
    for _ in range(kills):
        attack.prepare(case)
        when = rng.uniform(0, seconds)
        if attack.pack(case, kill_after=when) == -signal.SIGKILL:
            attack.judge(case, f"killed after {when:.3f} s")
    print(f"{case.name}: {len(moments)} moments, {kills} random kills", file=sys.stderr, flush=True)
    return {"moments": len(moments), "random": kills}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--kills", type=int, default=100, help="total number of random kills, spread over the four ways to pack"
    )
    parser.add_argument("--training", type=float, default=1.0, help="training time of each network in seconds")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(arguments)
    # Several checkpoints per second of training.
    patch("unicorn_codec.packing.into_network.SAVE_SECONDS", args.training / 3).start()
    TrainingRun.run.__defaults__ = (args.training / 10,)
    shared = load_autoencoder(default_name(), torch.device("cpu"))
    few = load_autoencoder(default_name(), torch.device("cpu"), LEADING_CHANNELS)

    def loaded(name: str, device: torch.device, channels: int | None = None) -> Any:
        return few if channels == LEADING_CHANNELS else shared

    patch("unicorn_codec.packing.pack.load_autoencoder", loaded).start()  # otherwise each fork would load it again
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name) / "work"
        work.mkdir()
        attack = Attack(draw_pictures(Path(name) / "pictures"), work)
        all_cases = cases(args.training)
        done = {case.name: attack_case(attack, case, args.kills // len(all_cases), rng) for case in all_cases}
    print_result(
        script="crash_pack",
        seed=args.seed,
        cases=done,
        unfinished_files_left_by_kills=attack.unfinished,
        problems=len(attack.problems),
        ok=not attack.problems,
    )
    sys.exit(bool(attack.problems))


if __name__ == "__main__":
    main()
