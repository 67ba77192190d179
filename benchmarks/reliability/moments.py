"""The moments at which a process changes files, and forks that die or wait at one of them. POSIX only."""

import builtins
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

Act = Callable[[], object]


def die() -> None:
    """End this process as kill -9 does."""
    os.kill(os.getpid(), signal.SIGKILL)


class Moments:
    """Counts the calls that open, write, sync, rename or remove files below a folder, and acts at one of them.

    Args:
        chosen: number of the moment to act at. -1: none.
        act: what to do there; a write is then half done.
    """

    def __init__(self, folder: Path, chosen: int, act: Act = die) -> None:
        self.folder, self.chosen, self.act, self.names = str(folder), chosen, act, list[str]()

    def reach(self, name: str, before_act: Act = lambda: None) -> None:
        if len(self.names) == self.chosen:
            before_act()
            self.act()
        self.names.append(name)

    def install(self) -> None:
        """Start to watch this process."""
        for name in ("fsync", "replace", "rename", "unlink", "remove"):
            setattr(os, name, self._around(name, getattr(os, name)))
        builtins.open = self._open(builtins.open)

    def _around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            if name != "fsync" and not str(args[0]).startswith(self.folder):
                return call(*args, **kwargs)
            self.reach(f"before {name}")
            result = call(*args, **kwargs)
            self.reach(f"after {name}")
            return result

        return watched

    def _open(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            opened = call(file, mode, *args, **kwargs)
            if str(file).startswith(self.folder) and set(mode) & set("wxa+"):
                self.reach("after open")
                return Written(opened, self)
            return opened

        return watched


class Written:
    """A file that can stop in the middle of a write."""

    def __init__(self, file: Any, moments: Moments) -> None:
        self._file, self._moments = file, moments

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "Written":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> int:
        written = 0

        def half() -> None:
            nonlocal written
            written = self._file.write(bytes(data)[: len(data) // 2])
            self._file.flush()

        self._moments.reach("half a write", half)
        self._file.write(data[written:])
        self._moments.reach("after write")
        return len(data)


def forked(work: Act, log: Path, kill_after: float | None = None) -> int:
    """Run work in a fork and return its exit status, or minus the signal that ended it. Its output goes to ``log``."""
    child, said = start_fork(work)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    return end_of_fork(child, said, log)


def start_fork(work: Act) -> tuple[int, int]:
    """Start work in a fork. Return its process id, and a pipe with its output."""
    sys.stdout.flush()
    said, says = os.pipe()  # a pipe, since limits on files would apply to a log file too
    child = os.fork()
    if child == 0:
        os.dup2(says, 1)
        os.dup2(says, 2)
        # Streams that were opened on a file would try to seek in the pipe.
        out, err = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        vars(sys).update(stdout=out, __stdout__=out, stderr=err, __stderr__=err)
        status = 70
        try:
            work()
            status = 0
        except SystemExit as ended:
            status = int(ended.code or 0)
        except BaseException:  # noqa: BLE001 - a fork may not return into its caller's code
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    os.close(says)
    return child, said


def end_of_fork(child: int, said: int, log: Path) -> int:
    """Wait for a fork to end, and return its status as ``forked`` does."""
    with open(said, "rb") as pipe:
        log.write_bytes(pipe.read())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
