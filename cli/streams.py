"""Standard streams that are robust to closed descriptors, full disks and encodings without all characters."""

import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO, cast

_FULL_OR_CLOSED = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF, errno.EFBIG)


def prepare_streams() -> None:
    """Make the standard streams safe to write. Call it once, before any file is opened.

    Closed streams are redirected to the null device; otherwise the next opened file would take their descriptor, and
    printed text would end up in it. Characters that the encoding lacks are escaped. Failures to write to stderr are
    ignored.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # This is the lowest free descriptor. Stdout is read-only, so that writing to it fails and is reported.
            os.open(os.devnull, os.O_RDONLY if descriptor == 1 else os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - stays open until the process ends
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.stderr = cast("TextIO", _Forgiving(sys.stderr))


def is_lost_output(error: OSError) -> bool:
    """Return whether an error comes from a standard stream; errors of files carry a file name."""
    return error.filename is None and error.errno in _FULL_OR_CLOSED


def abandon_stdout() -> None:
    """Redirect stdout to the null device, so that the interpreter's flush at exit does not fail."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Forgiving:
    """Text stream that ignores failures to write."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
