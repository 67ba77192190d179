"""Change an archive without coding any picture: remove pictures, compact, repair."""

import mmap
from collections.abc import Sequence
from pathlib import Path

from unicorn_codec.atomic_files import open_atomic
from unicorn_codec.errors import ArchiveUnreadable, OutputError
from unicorn_codec.format.growth import growing
from unicorn_codec.format.repair import RepairReport, repair


def remove(path: Path | str, indices: Sequence[int]) -> int:
    """Mark pictures as removed; the file keeps their bytes until it is compacted. Return how many are left.

    Raises:
        ArchiveBusy: another process is writing to the archive.
        IndexOutOfRange: no picture has one of the indices; the archive is then as it was.
        FormatError: the index is damaged where a picture stands.
    """
    with growing(Path(path)) as (reader, writer):
        rows = [reader.row(index) for index in dict.fromkeys(indices)]
        writer.remove(rows)
        writer.commit()
        return reader.footer.pictures - len(rows)


def repair_file(damaged: Path | str, output: Path | str) -> RepairReport:
    """Write a new archive of everything that is left of a damaged one, which stays as it is. No index changes.

    Raises:
        ArchiveUnreadable: the file cannot be read.
        FormatError: not even the archive's id is left.
        NothingToRepair: no picture is.
        OutputError: the output cannot be written.
    """
    try:
        with open(damaged, "rb") as file, open_atomic(Path(output)) as saved:
            try:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError:  # an empty file
                return repair(b"", saved)
            with data:
                return repair(data, saved)
    except FileNotFoundError as error:
        raise ArchiveUnreadable(f"cannot read {damaged}: {error.strerror}") from error
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error
