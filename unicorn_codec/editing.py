"""Changes of archives without coding: removal of pictures, repair, and joining."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from unicorn_codec.atomic_files import open_atomic
from unicorn_codec.errors import ArchiveUnreadable, OutputError
from unicorn_codec.format.growth import growing
from unicorn_codec.format.joining import join
from unicorn_codec.format.records import OTHER_FILE
from unicorn_codec.format.repair import RepairReport, repair
from unicorn_codec.format.sources import FileBytes


def remove(path: Path | str, indices: Sequence[int]) -> int:
    """Mark pictures or files as removed, and return the number of remaining pictures. Bytes stay until compaction.

    Raises:
        ArchiveBusy: another process is writing to the archive.
        IndexOutOfRange: no picture has one of the indices; the archive is then unchanged.
        FormatError: the index page of a picture is damaged.
    """
    with growing(Path(path)) as (reader, writer):
        rows = [reader.row(index) for index in dict.fromkeys(indices)]
        writer.remove(rows)
        writer.commit()
        return reader.footer.pictures - sum(row.codec != OTHER_FILE for row in rows)


def repair_file(
    damaged: Path | str,
    output: Path | str,
    scanning: Callable[[int, int], None] = lambda *_: None,
    storing: Callable[[int, int], None] = lambda *_: None,
) -> RepairReport:
    """Write a new archive of all intact parts of a damaged one, which is not modified. Indices do not change.

    Args:
        scanning: called with the number of scanned bytes, and of all.
        storing: called with the number of stored records, and of all.

    Raises:
        ArchiveUnreadable: the file cannot be read.
        FormatError: the archive's id is lost.
        NothingToRepair: no picture can be recovered.
        OutputError: the output cannot be written.
    """
    try:
        with open(damaged, "rb") as file, open_atomic(Path(output)) as saved:
            return repair(FileBytes(file), saved, scanning, storing)
    except FileNotFoundError as error:
        raise ArchiveUnreadable(f"cannot read {damaged}: {error.strerror}") from error
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error


def join_files(
    archives: Sequence[Path | str], output: Path | str, progress: Callable[[int, int], None] = lambda *_: None
) -> tuple[int, int]:
    """Write one archive of all members of several, and return the number of its members and its bytes.

    Args:
        progress: called with the number of copied members and of all of them.

    Raises as ``format.joining.join``.
    """
    parts = join([Path(path) for path in archives], Path(output), progress)
    return sum(part.footer.members for part in parts), os.path.getsize(output)
