"""Kill ``unicorn add``, ``remove`` and ``compact`` (as kill -9 does) at every named moment and at random times.

    python benchmarks/reliability/crash_growth.py --kills 200

Moments are those of ``crash_pack.py``. After each death the archive is exactly as before or as after: the same
indices, names, sizes, codes, metadata and decoders, without damage. After ``add`` and ``remove`` what was in the file
still stands at its beginning, byte for byte. The next run of the command ends well, or is refused by name because all
is done, and leaves nothing else behind. Besides, while each command waits in the middle of its first write, each
command is refused, and works afterwards. POSIX only: each run is a fork.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from moments import Act, Moments, die, end_of_fork, forked, start_fork
from PIL import Image
from samples import draw_pictures, print_result

from unicorn_cli.main import cli
from unicorn_codec.config import CodesOptions, ReadOptions
from unicorn_codec.editing import remove
from unicorn_codec.errors import DamagedSectionWarning, UnicornError
from unicorn_codec.format.integrity import problems_of
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.sources import FileSource
from unicorn_codec.model_registry import default_name
from unicorn_codec.packing.pack import pack
from unicorn_codec.transform.autoencoder import load_autoencoder

torch.set_num_threads(1)

State = dict[str, Any]
"""All that an archive holds, by index."""

REMOVED = (0, 5)
"""Indices that are removed before the attack, so that ``compact`` has something to forget: one is of a sequence."""


@dataclass(frozen=True, slots=True)
class Case:
    """A command that changes an archive.

    Args:
        is_refused: what the message says when it is run on what it left.
        appends: whether the file begins as before afterwards.
    """

    name: str
    arguments: tuple[str, ...]
    is_refused: str | None
    appends: bool


def cases(archive: Path, pictures: Path) -> tuple[Case, ...]:
    add = ("add", str(archive), str(pictures), "--effort", "0", "--seed", "3", "--device", "cpu")
    return (
        Case("add", add, "the archive has these names already", True),
        Case("remove", ("remove", str(archive), "--index", "1,6"), "was removed", True),
        Case("compact", ("compact", str(archive)), None, False),
    )


def make_archive(work: Path) -> bytes:
    """Return an archive of drawn pictures and of stills, of which some were removed."""
    folder = draw_pictures(work / "first", 4)
    still = np.asarray(Image.open(folder / "mug-000.png").convert("RGB").resize((64, 64))).astype(int)
    for number in range(4):
        Image.fromarray(np.clip(still + number, 0, 255).astype(np.uint8)).save(folder / f"still-{number}.png")
    pack(folder, work / "first.uni", CodesOptions(device="cpu", seed=7, effort=0, read=ReadOptions()))
    remove(work / "first.uni", REMOVED)
    return (work / "first.uni").read_bytes()


def state_of(path: Path) -> State:
    """Return all that an archive holds. Raises ``UnicornError``, or ``ValueError`` for damage."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedSectionWarning)  # an unfinished generation may follow
        reader = ContainerReader(FileSource(path))
    try:
        found: State = {"generation": reader.footer.generation, "decoders": reader.footer.decoders}
        for leaf in reader.leaves():
            for index in map(int, leaf.living):
                row = reader.row(index)
                chain = [reader.record(one).code for one in reader.chain(row)]
                record = reader.record(row)
                blobs = [(place.kind, reader.blob(place)) for place in record.metadata]
                found[str(index)] = reader.name(index), record.width, record.height, record.code, chain, blobs
        # An unfinished generation is a problem to a verifier, not to what was there before.
        if problems := [one for one in problems_of(reader) if "follow the archive's last complete" not in one]:
            raise ValueError(problems[0])
        return found
    finally:
        reader.source.close()


class Attack:
    """Runs commands on a fresh copy of one archive, and checks what each death leaves."""

    def __init__(self, original: bytes, work: Path) -> None:
        self.original, self.work, self.log = original, work, work.parent / "log"
        self.archive = work / "a.uni"
        self.problems: list[str] = []
        self.outcomes = {"before": 0, "after": 0}
        self.unfinished = 0
        self.prepare()
        self.before = state_of(self.archive)

    def prepare(self) -> None:
        shutil.rmtree(self.work)
        self.work.mkdir()
        self.archive.write_bytes(self.original)

    def watched(self, case: Case, chosen: int, act: Act = die, names: Path | None = None) -> Act:
        """Return the work of a fork that runs a command and acts at a moment."""

        def work() -> None:
            moments = Moments(self.work, chosen, act)
            moments.install()
            try:
                cli(list(case.arguments))
            finally:
                if names is not None:
                    names.write_text("\n".join(moments.names))

        return work

    def run(self, case: Case, chosen: int = -1, names: Path | None = None, kill_after: float | None = None) -> int:
        return forked(self.watched(case, chosen, names=names), self.log, kill_after)

    def report(self, case: Case, when: str, problem: str) -> None:
        self.problems.append(f"{case.name}, {when}: {problem}")
        print(self.problems[-1], file=sys.stderr, flush=True)

    def judge(self, case: Case, when: str, after: State) -> None:
        """Check the archive after a death, run the command again, and check again."""
        others = [path.name for path in self.work.iterdir() if path != self.archive]
        self.unfinished += bool(others)
        if len(others) > 1 or (others and case.appends):
            self.report(case, when, f"left {sorted(others)}")
        if case.appends and not self.archive.read_bytes().startswith(self.original):
            self.report(case, when, "bytes that were there have changed")
        try:
            state = state_of(self.archive)
        except (UnicornError, ValueError) as error:
            self.report(case, when, f"the archive is damaged: {error}")
            return
        if state not in (self.before, after):
            self.report(case, when, "the archive is neither as before nor as after")
            return
        self.outcomes["before" if state == self.before else "after"] += 1
        self.judge_next_run(case, when, is_done=state == after, after=after)

    def judge_next_run(self, case: Case, when: str, *, is_done: bool, after: State) -> None:
        """Check that the same command completes what was not done, and is refused by name what was."""
        status, message = self.run(case), self.log.read_text()
        is_refused = is_done and case.is_refused is not None
        if status != int(is_refused) or (is_refused and str(case.is_refused) not in message):
            self.report(case, when, f"the next run exits with {status}: {message[-300:]}")
        wanted = after if not is_done or is_refused else after | {"generation": after["generation"] + 1}
        if state_of(self.archive) != wanted:
            self.report(case, when, "the next run leaves another archive")
        if left := sorted(path.name for path in self.work.iterdir() if path != self.archive):
            self.report(case, when, f"the next run leaves {left}")


def attack_case(attack: Attack, case: Case, kills: int, rng: random.Random) -> dict[str, int]:
    """Try every named moment, then random ones."""
    attack.prepare()
    names, started = attack.work.parent / "names", time.monotonic()
    status = attack.run(case, names=names)
    seconds = time.monotonic() - started
    if status != 0:
        sys.exit(f"{case.name} fails without an attack: {attack.log.read_text()}")
    moments, after = names.read_text().split("\n"), state_of(attack.archive)
    for number, moment in enumerate(moments):
        attack.prepare()
        if attack.run(case, number) != -signal.SIGKILL:
            attack.report(case, moment, "is not reached a second time")
        attack.judge(case, f"killed {moment} (moment {number + 1} of {len(moments)})", after)
    died = 0
    while died < kills:
        attack.prepare()
        when = rng.uniform(0, seconds)
        if attack.run(case, kill_after=when) == -signal.SIGKILL:  # else it had ended
            died += 1
            attack.judge(case, f"killed after {when:.4f} s", after)
    print(f"{case.name}: {len(moments)} moments, {kills} random kills", file=sys.stderr, flush=True)
    return {"moments": len(moments), "random": kills}


def attack_together(attack: Attack, first: Case, second: Case) -> None:
    """Run a command while another one waits in its first write, and again afterwards."""
    attack.prepare()
    (told, tell), (reached, reach) = os.pipe(), os.pipe()

    def wait() -> None:
        os.write(reach, b".")
        os.read(told, 1)

    child, said = start_fork(attack.watched(first, 1, wait))  # moment 0 opens the file
    os.read(reached, 1)
    when = f"while {first.name} writes"
    status, message = attack.run(second), attack.log.read_text()
    if status != 1 or "another process is writing to it" not in message:
        attack.report(second, when, f"exits with {status}: {message[-300:]}")
    if state_of(attack.archive) != attack.before:
        attack.report(second, when, "the archive has changed")
    os.write(tell, b".")
    if status := end_of_fork(child, said, attack.log):
        attack.report(first, f"in spite of {second.name}", f"exits with {status}: {attack.log.read_text()[-300:]}")
    for pipe in (told, tell, reached, reach):
        os.close(pipe)
    status, message = attack.run(second), attack.log.read_text()
    if status != (1 if second == first and first.is_refused else 0):
        attack.report(second, f"after {first.name}", f"exits with {status}: {message[-300:]}")
    state_of(attack.archive)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="random kills of each command")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(arguments)
    shared = load_autoencoder(default_name(), torch.device("cpu"))
    # Otherwise each fork would load it again.
    patch("unicorn_codec.packing.add.load_autoencoder", lambda *_: shared).start()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name) / "work"
        work.mkdir()
        attack = Attack(make_archive(Path(name)), work)
        pictures = draw_pictures(Path(name) / "second" / "new", 3).parent
        listed = cases(attack.archive, pictures)
        done = {case.name: attack_case(attack, case, args.kills, rng) for case in listed}
        for first in listed:
            for second in listed:
                attack_together(attack, first, second)
    print_result(
        script="crash_growth",
        seed=args.seed,
        cases=done,
        as_before=attack.outcomes["before"],
        as_after=attack.outcomes["after"],
        pairs_of_writers=len(listed) ** 2,
        unfinished_files_left_by_kills=attack.unfinished,
        problems=len(attack.problems),
        ok=not attack.problems,
    )
    sys.exit(bool(attack.problems))


if __name__ == "__main__":
    main()
