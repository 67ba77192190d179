"""Joining of archives: one new archive of all their members, without coding them again."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from unicorn_codec.atomic_files import open_atomic
from unicorn_codec.errors import InvalidSetting, OutputError
from unicorn_codec.format.canary import Canary
from unicorn_codec.format.chunks import ID_BYTES, MODEL, TEXT, digest_of
from unicorn_codec.format.copying import MemberCopier
from unicorn_codec.format.fields import check
from unicorn_codec.format.footer import KNOWN_TO_WRITE, Footer
from unicorn_codec.format.limits import MAX_CANARIES, MAX_DECODERS, MAX_PICTURES
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.sources import FileSource
from unicorn_codec.format.writer import ContainerWriter

NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class JoinedPart:
    """An archive to join.

    Args:
        first: added to the index of each of its members.
    """

    path: Path
    first: int
    footer: Footer


def join(
    paths: Sequence[Path],
    output: Path,
    progress: Callable[[int, int], None] = lambda *_: None,
    *,
    attach: Callable[[ContainerWriter], None] = lambda _: None,
) -> list[JoinedPart]:
    """Write a new archive of all members of some archives, which are not modified.

    Members of the first archive keep their indices. Those of each later one are moved up by as many indices as all
    archives before it have given. Equal models, updates and blobs of metadata are written once. One archive at a time
    is open, so that their number does not matter.

    Args:
        paths: of the archives, in the order of their members in the new one.
        progress: called with the number of copied members and of all of them.
        attach: called with the writer before the index is written, to attach a model.

    Returns:
        The archives with the places of their members.

    Raises:
        InvalidSetting: there is no archive, two members have the same name, pictures were read with different options,
            or the new archive would exceed a limit of the format.
        OutputError: the output cannot be written.
        FormatError: an archive is damaged.
    """
    parts = parts_of(paths)
    _check_names(parts)
    try:
        with open_atomic(output) as file:
            _write(parts, file, progress, attach)
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error
    return parts


def parts_of(paths: Sequence[Path]) -> list[JoinedPart]:
    """Return archives with the places of their members, after checking that they can be joined.

    Raises ``InvalidSetting`` and ``FormatError`` as ``join``.
    """
    check(len(paths) > 0, "there is no archive to join")
    parts, first = list[JoinedPart](), 0
    for path in paths:
        with closing(FileSource(path)) as source:
            footer = ContainerReader(source).footer
        parts.append(JoinedPart(path, first, footer))
        first += footer.next_index
        unknown = footer.must_write & ~KNOWN_TO_WRITE
        check(not unknown, f"{path} has features that this software cannot write: use a newer version")
        if footer.read != parts[0].footer.read:
            raise InvalidSetting(
                f"{paths[0]} and {path} were packed with different --max-side or --background, of which an archive has "
                "one: pack one of them again"
            )
    check(first <= MAX_PICTURES, f"the archives have {first} indices together; {MAX_PICTURES} are allowed")
    return parts


def _check_names(parts: Sequence[JoinedPart]) -> None:
    """Raise ``InvalidSetting`` if two members have the same name."""
    seen, double = set[str](), list[str]()
    for part in parts:
        with closing(FileSource(part.path)) as source:
            reader = ContainerReader(source)
            for leaf in reader.leaves():
                for place, name in enumerate(reader.names_of(leaf) or ()):
                    row = leaf.row(leaf.first + place) if name else None
                    if row is None or not row.lives:
                        continue
                    if name in seen:
                        double.append(name)
                    seen.add(name)
    if double:
        shown = ", ".join(map(repr, double[:NAMES_SHOWN]))
        more = f" and {len(double) - NAMES_SHOWN} more" if len(double) > NAMES_SHOWN else ""
        raise InvalidSetting(f"several of the archives have these names: {shown}{more}; remove those pictures first")


@dataclass(frozen=True, slots=True)
class _Joined:
    """What is collected while members are copied.

    Args:
        canaries: by the decoder and codec of their picture.
        attached: digests of the attachments that were written.
    """

    writer: ContainerWriter
    canaries: dict[tuple[int, int], Canary] = field(default_factory=dict)
    attached: set[tuple[str, bytes]] = field(default_factory=set)

    def take_canaries(self, reader: ContainerReader, decoders: Sequence[int], first: int) -> None:
        """Keep an archive's canaries of decoders and codecs that have none so far."""
        for canary in reader.footer.canaries:
            row = reader.any_row(canary.index)
            if row is not None and row.lives:
                moved = replace(canary, index=canary.index + first)
                self.canaries.setdefault((decoders[row.decoder], row.codec), moved)

    def attach_from(self, reader: ContainerReader) -> None:
        """Copy an archive's models and texts, equal ones once."""
        for letter in (MODEL, TEXT):
            for payload in reader.attachments(letter):
                key = letter, digest_of(payload)
                if key not in self.attached:
                    self.attached.add(key)
                    self.writer.attach(letter, payload)


def _write(
    parts: Sequence[JoinedPart],
    file: IO[bytes],
    progress: Callable[[int, int], None],
    attach: Callable[[ContainerWriter], None],
) -> None:
    digest = hashlib.sha256(b"".join(part.footer.archive_id for part in parts)).digest()
    last = parts[-1]
    writer = ContainerWriter(file, digest[:ID_BYTES], next_index=last.first + last.footer.next_index)
    copier, joined, total = MemberCopier(writer), _Joined(writer), sum(part.footer.members for part in parts)
    for copied, _ in enumerate(_copy_all(parts, copier, joined), start=1):
        progress(copied, total)
    writer.flush()
    attach(writer)
    read, seed = parts[0].footer.read, parts[0].footer.seed
    writer.commit(seed=seed, canaries=list(joined.canaries.values())[:MAX_CANARIES], read=read)


def _copy_all(parts: Sequence[JoinedPart], copier: MemberCopier, joined: _Joined) -> Iterator[int]:
    for part in parts:
        with closing(FileSource(part.path)) as source:
            reader = ContainerReader(source)
            decoders = copier.copy_decoders(reader, part.first)
            known = len(copier.writer.decoders)
            check(
                known <= MAX_DECODERS, f"the archives have more than {MAX_DECODERS} models, steps and updates together"
            )
            yield from copier.copy_members(reader, decoders, part.first)
            joined.take_canaries(reader, decoders, part.first)
            joined.attach_from(reader)
