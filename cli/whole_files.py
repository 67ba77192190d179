"""Options for files that an archive stores whole: ``--exact``, with a pattern or without, and ``--keep-others``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from unicorn_codec.config import OriginalOptions

EXACT = "--exact"
EVERYTHING = "*"
_WILDCARDS = frozenset("*?[")

exact_settings: dict[str, Any] = {
    "multiple": True,
    "metavar": "[PATTERN]",
    "help": "Store original files, byte for byte: JPEG and PNG in fewer bytes, without loss. Of all pictures, or of "
    "those whose names match a quoted pattern, such as '*.png'; may be given more than once.",
}
keep_others_settings: dict[str, Any] = {
    "is_flag": True,
    "help": "Store byte for byte also what is no picture, hidden files too, and what cannot be shown whole: camera "
    "raw, animations, several pages, gain maps.",
}


def original_options_of(exact: Sequence[str], *, keep_others: bool) -> OriginalOptions:
    """Return the library's options from those that the settings above describe."""
    return OriginalOptions(patterns=tuple(exact), keep_others=keep_others)


def with_values(args: Sequence[str]) -> list[str]:
    """Give each bare ``--exact`` the pattern of everything.

    The next argument is its value only if it has a wildcard and is no path that exists: ``--exact photos out.uni``
    must not take the folder. ``--exact=NAME`` takes any value.
    """
    found, left = list[str](), list(args)
    while left:
        argument = left.pop(0)
        if argument == "--":
            return [*found, argument, *left]
        if argument == EXACT:
            has_value = bool(left) and bool(_WILDCARDS & set(left[0])) and not Path(left[0]).exists()
            argument = f"{EXACT}={left.pop(0) if has_value else EVERYTHING}"
        found.append(argument)
    return found


class WithExact(click.Command):
    """Command with the option ``--exact``, whose value may be left out."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_values(args))
