"""Exit codes of ``unicorn``; docs/scripting.md documents them."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    """A failure, which one line on stderr explains; of ``verify``, damage or a missed requirement; of ``diff``, a
    difference."""
    TROUBLE = 2
    """An invalid command line; of ``diff`` also every failure, as in diff(1) and cmp(1)."""
    PICTURES_LOST = 3
    """Some pictures were unpacked, rebuilt or drawn, and others are damaged."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C, as in shells, or by the signal TERM."""
