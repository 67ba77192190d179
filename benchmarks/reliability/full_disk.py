"""Check that every way in which writing can fail ends in one clear line, exit code 1 and no output.

    python benchmarks/reliability/full_disk.py

Tries a full file system and a read-only one (both need root, or are skipped with a line), a limit on file sizes, and
errors injected into opening, writing, synchronising and renaming, for packing into codes, packing into a network, and
unpacking. --rounds repeats all of it. POSIX only: each run is a fork.
"""

import argparse
import builtins
import errno
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from moments import forked
from samples import draw_pictures, pack_sample, print_result

from unicorn_cli.main import cli
from unicorn_codec.model_registry import default_name
from unicorn_codec.transform.autoencoder import load_autoencoder

torch.set_num_threads(1)

Fault = Callable[[Path], None]

NETWORK = ("--index-only", "--hidden-size", "8", "--depth", "1", "--epochs", "3")


def commands(pictures: Path, sample: Path, out: Path) -> dict[str, list[str]]:
    """Commands to try, each writing below ``out``."""
    return {
        "pack codes": ["pack", str(pictures), str(out / "a.uni"), "--device", "cpu"],
        "pack network": ["pack", str(pictures), str(out / "a.uni"), "--device", "cpu", *NETWORK],
        "unpack one": ["unpack", str(sample), "--index", "0", "-o", str(out / "a.png"), "--device", "cpu"],
        "unpack all": ["unpack", str(sample), "--all", "-o", str(out / "all"), "--device", "cpu"],
    }


def limited_size(_: Path) -> None:
    """Limit files to 500 bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))


def failing(name: str, number: int) -> Fault:
    """Make a system call fail for files below the folder."""

    def install(folder: Path) -> None:
        if name == "open":
            builtins.open = failing_open(builtins.open, folder, number)
            return
        call = getattr(os, name)

        def broken(first: Any, *args: Any, **kwargs: Any) -> Any:
            if name == "fsync" or str(first).startswith(str(folder)):
                raise OSError(number, os.strerror(number))
            return call(first, *args, **kwargs)

        setattr(os, name, broken)

    return install


def failing_open(call: Callable[..., Any], folder: Path, number: int) -> Callable[..., Any]:
    def broken(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if str(file).startswith(str(folder)) and set(mode) & set("wxa+"):
            raise OSError(number, os.strerror(number))
        return call(file, mode, *args, **kwargs)

    return broken


BALLAST = ".ballast"
KEPT = (".checkpoint", BALLAST)

FAULTS: dict[str, Fault] = {
    "file size limit": limited_size,
    "open: disk full": failing("open", errno.ENOSPC),
    "open: too many files": failing("open", errno.EMFILE),
    "fsync: I/O error": failing("fsync", errno.EIO),
    "rename: quota": failing("replace", errno.EDQUOT),
    "rename: read-only": failing("replace", errno.EROFS),
    "nothing": lambda _: None,
}


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[bool]:
    """Mount a file system without any room at a folder. Returns False if that is not possible."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
    if done.returncode == 0 and options != "ro":
        fill(folder / BALLAST)
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write to a file until there is no more room."""
    with suppress(OSError), open(path, "wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


def is_harmless(command: str, fault: str) -> bool:
    """Return whether the fault spares the command: pictures are neither synchronised nor opened by ``open``."""
    return fault == "nothing" or (command.startswith("unpack") and fault.startswith(("fsync", "open")))


def try_one(name: str, arguments: list[str], fault: Fault, out: Path, log: Path, *, may_pass: bool) -> list[str]:
    """Run a command under a fault, and return what is wrong with how it ended."""

    def work() -> None:
        fault(out)
        cli(arguments)

    status = forked(work, log)
    output = log.read_text(errors="replace")
    if may_pass and status == 0:
        return []
    problems = [] if status == 1 else [f"exit code {status}"]
    errors = [line for line in output.replace("\r", "\n").splitlines() if line.startswith("unicorn: error: ")]
    if len(errors) != 1 or "Traceback" in output:
        problems.append(f"output: {output[-300:]}")
    left = [str(p.relative_to(out)) for p in out.rglob("*") if p.is_file() and not p.name.endswith(KEPT)]
    if left:
        problems.append(f"left {left}")
    return [f"{name}: {problem}" for problem in problems]


def clear(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def try_everything(work: Path) -> tuple[int, list[str], list[str]]:
    """Try everything once. Returns runs, problems and skipped parts."""
    (work / "out").mkdir(exist_ok=True)
    runs, problems = attack_by_faults(work)
    clear(work / "out")
    more_runs, more_problems, skipped = attack_by_disks(work)
    return runs + more_runs, problems + more_problems, skipped


def attack_by_faults(work: Path) -> tuple[int, list[str]]:
    """Inject errors. Returns runs and problems."""
    out, log, runs, problems = work / "out", work / "log", 0, []
    for command, arguments in commands(work / "pictures", work / "sample.uni", out).items():
        for fault, install in FAULTS.items():
            clear(out)
            harmless = is_harmless(command, fault)
            if harmless and fault != "nothing":
                continue
            problems += try_one(f"{command}, {fault}", arguments, install, out, log, may_pass=harmless)
            runs += 1
    return runs, problems


def attack_by_disks(work: Path) -> tuple[int, list[str], list[str]]:
    """Try full and read-only file systems. Returns runs, problems and skipped ones."""
    out, log, runs = work / "out", work / "log", 0
    problems: list[str] = []
    skipped: list[str] = []
    for options, what in (("size=64k", "full disk"), ("ro", "read-only disk")):
        for command, arguments in commands(work / "pictures", work / "sample.uni", out).items():
            with mounted(out, options) as there:
                if not there:
                    skipped.append(what)
                    break
                problems += try_one(f"{command}, {what}", arguments, FAULTS["nothing"], out, log, may_pass=False)
                runs += 1
    return runs, problems, skipped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    load_autoencoder(default_name(), torch.device("cpu"))
    runs, problems, skipped = 0, list[str](), list[str]()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        pictures = draw_pictures(work / "pictures", count=4, size=64)
        pack_sample(pictures, work / "sample.uni", index_only=False)
        for _ in range(args.rounds):
            more_runs, more_problems, skipped = try_everything(work)
            runs, problems = runs + more_runs, problems + more_problems
    for what in skipped:
        print(f"skipped: {what} (mounting needs root)", file=sys.stderr)
    for problem in problems:
        print(problem, file=sys.stderr)
    print_result(script="full_disk", runs=runs, skipped=skipped, problems=len(problems), ok=not problems)
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
