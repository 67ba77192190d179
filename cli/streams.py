"""The standard streams, whatever state a caller leaves them in: closed, full, or of an encoding that lacks letters."""

import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO, cast

_FULL_OR_CLOSED = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF, errno.EFBIG)


def prepare_streams() -> None:
    """Make the streams safe to write. Call it once, before any file is opened.

    A closed stream is opened on nothing: else the next file would take its descriptor, and what a library prints would
    land in it. Names that the encoding lacks are escaped. What cannot be written to stderr is lost, and ends nothing.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free descriptor is this one. Stdout refuses to be written, so that its loss is reported.
            os.open(os.devnull, os.O_RDONLY if descriptor == 1 else os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - open as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.stderr = cast("TextIO", _Forgiving(sys.stderr))


def is_lost_output(error: OSError) -> bool:
    """Return whether an error is one of writing to the standard output: errors of files name their file."""
    return error.filename is None and error.errno in _FULL_OR_CLOSED


def abandon_stdout() -> None:
    """Let nothing more be written to stdout, so that the interpreter does not fail on it when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Forgiving:
    """A text stream whose failures to write are passed over."""

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
