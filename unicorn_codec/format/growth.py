"""Changes of an existing archive: appending a generation, or compaction.

Both are atomic: after an interruption the archive is in its previous or its new state.
"""

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from unicorn_codec.atomic_files import lock, open_atomic
from unicorn_codec.errors import ArchiveBusy, ArchiveUnreadable, DamagedSectionWarning, OutputError
from unicorn_codec.format.chunks import TOMBSTONES
from unicorn_codec.format.copying import MemberCopier
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.sources import FileSource
from unicorn_codec.format.writer import ContainerWriter


@contextmanager
def growing(path: Path) -> Iterator[tuple[ContainerReader, ContainerWriter]]:
    """Open an archive to append a generation: yield its reader, and a writer whose ``commit`` makes it visible.

    Bytes after the archive's end, left by a killed writer, are overwritten. If the block raises, the new generation is
    discarded.

    Raises:
        ArchiveBusy: another process is writing to it.
        OutputError: it cannot be written.
        FormatError: it is not an archive, or its footer is lost.
    """
    with _locked(path) as file, _reader_of(path) as reader:
        file.seek(reader.end)
        try:
            yield reader, ContainerWriter(file, reader=reader)
        except BaseException:
            with suppress(OSError):
                file.truncate(reader.end)
            raise


@contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    try:
        file = open(path, "r+b")  # noqa: SIM115
    except FileNotFoundError as error:
        raise ArchiveUnreadable(f"cannot read {path}: {error.strerror}") from error
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    with file:
        try:
            lock(file)
        except OSError as error:
            raise ArchiveBusy(f"{path}: another process is writing to it") from error
        if not os.path.samestat(os.fstat(file.fileno()), os.stat(path)):  # compacted in the meantime
            raise ArchiveBusy(f"{path}: another process has just replaced it; try again")
        try:
            yield file
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def _reader_of(path: Path) -> Iterator[ContainerReader]:
    source = FileSource(path)
    try:
        with warnings.catch_warnings():
            # An unfinished generation may be overwritten from here.
            warnings.simplefilter("ignore", DamagedSectionWarning)
            reader = ContainerReader(source)
        yield reader
    finally:
        source.close()


def compact(path: Path, progress: Callable[[int, int], None] = lambda *_: None) -> tuple[int, int]:
    """Rewrite an archive without its removed pictures, and return its bytes before and after. Indices do not change.

    Args:
        progress: called with the number of copied members and of all of them.

    Raises as ``growing``, and ``FormatError`` for a damaged record; the archive is then unchanged.
    """
    with _locked(path), _reader_of(path) as reader:
        before = os.path.getsize(path)
        try:
            with open_atomic(path) as file:
                shutil.copymode(path, file.name)
                _copy(reader, file, progress)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
        return before, os.path.getsize(path)


def _copy(reader: ContainerReader, file: IO[bytes], progress: Callable[[int, int], None]) -> None:
    footer = reader.footer
    writer = ContainerWriter(
        file,
        footer.archive_id,
        generation=footer.generation + 1,
        next_index=footer.next_index,
        drawing=reader.drawing(),
    )
    copier = MemberCopier(writer)
    decoders = copier.copy_decoders(reader)
    for copied, _ in enumerate(copier.copy_members(reader, decoders), start=1):
        progress(copied, footer.members)
    for attachment in footer.attachments:
        if attachment.letter != TOMBSTONES:
            payload = reader.payload(attachment.letter, attachment.offset, attachment.length)
            writer.attach(attachment.letter, payload)
    writer.commit(seed=footer.seed, canaries=footer.canaries, read=footer.read)
