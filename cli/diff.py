"""``unicorn diff``: list what changed from one archive to another."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .exit_codes import ExitCode
from .options import json_option, log_option
from .parameters import ArchivePath
from .text import count, table
from .values import to_json

if TYPE_CHECKING:  # most commands do without it
    from unicorn_codec.differences import Differences


@click.command()
@click.argument("old", metavar="OLD.uni|URL", type=ArchivePath())
@click.argument("new", metavar="NEW.uni|URL", type=ArchivePath())
@log_option
@json_option
@click.pass_context
def diff(ctx: click.Context, old: Path | str, new: Path | str, as_json: bool) -> None:
    """List what changed from one archive to another: pictures, and settings of the whole archive.

    Pictures are paired by index and name, else by name. Nothing is decoded: codes, sizes, decoders and metadata are
    compared. The exit code is 0 if the archives hold the same, 1 if they differ, and 2 if one cannot be read.
    """
    from unicorn_codec.differences import compare_files

    from .bars import stage

    with stage("comparing") as progress:
        found = compare_files(old, new, progress)
    click.echo(to_json(diff_values(found)) if as_json else diff_text(found))
    ctx.exit(ExitCode.DONE if found.is_empty else ExitCode.FAILED)


def diff_values(found: "Differences") -> dict[str, Any]:
    """Return the values that ``diff --json`` prints."""
    return {"identical": found.is_empty, **asdict(found)}


def diff_text(found: "Differences") -> str:
    """Format the text that ``diff`` prints: one line a difference."""
    from unicorn_codec.pictures.picture_files import printable

    def named(name: str | None) -> str:
        return "" if name is None else printable(name)

    rows = [
        *(("removed", str(member.index), named(member.name), "") for member in found.removed),
        *(("added", str(member.index), named(member.name), "") for member in found.added),
    ]
    for change in found.changed:
        moved = f" (index {change.old_index} before)" if "index" in change.changes else ""
        rows.append(("changed", str(change.index), named(change.name), ", ".join(change.changes) + moved))
    lines = [table(("", "index", "name", "what"), rows, left=(0, 2, 3))] if rows else []
    for setting in found.settings:
        if setting.setting == "decoders":
            lines.append(f"setting {setting.setting}: models, steps or learned updates differ; --json has them")
        else:
            lines.append(f"setting {setting.setting}: {setting.old} -> {setting.new}")
    lines.append(
        f"{count(len(found.added), 'picture')} added, {len(found.removed):,} removed, {len(found.changed):,} changed, "
        f"{found.same:,} the same"
    )
    return "\n".join(lines)
