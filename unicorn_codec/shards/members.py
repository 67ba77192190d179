"""Members of shards, written to a private folder from which packing reads them.

Shards are untrusted: a member is written only under the folder, as a regular file, and nothing is read but its bytes.
"""

import errno
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from unicorn_codec.errors import OutputError
from unicorn_codec.pictures.output_files import output_path
from unicorn_codec.pictures.picture_files import MAX_FILE_BYTES, SUFFIXES, LeftOut, printable, reason_of

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


class BadMember(Exception):
    """Reason why a member of a shard is left out."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a shard.

    Args:
        name: as the shard has it, relative, with ``/``.
        size: bytes of the content.
        content: open until the next member is taken.
        modified_ns: time of modification in nanoseconds since 1970 UTC, if known.
        fault: why it is left out; None for a regular file.
    """

    name: str
    size: int
    content: io.RawIOBase | io.BytesIO | None
    modified_ns: int | None = None
    fault: str | None = None


@dataclass(slots=True)
class MemberFolder:
    """A folder of members of shards, each under its own name.

    A later member replaces an earlier one of its name in the same shard. Where shards have the same name, it lies in a
    folder named after the later shard.

    Args:
        left_out: members that are not written, with the reason.
    """

    root: Path
    left_out: list[LeftOut] = field(default_factory=list)
    _shard_of: dict[str, Path] = field(default_factory=dict)

    def add_all(self, members: Iterator[Member], shard: Path) -> None:
        """Write the members of a shard. Raises ``OutputError`` if the disk is full or cannot be written."""
        for member in members:
            try:
                self._add(member, shard)
            except BadMember as error:
                is_picture = os.path.splitext(member.name)[1].lower() in SUFFIXES
                shown = printable(member.name)
                self.left_out.append(LeftOut(name=shown, reason=str(error), is_picture=is_picture, is_fault=False))

    def _add(self, member: Member, shard: Path) -> None:
        if member.fault is not None or member.content is None:
            raise BadMember(member.fault or "it has no content")
        if member.size > MAX_FILE_BYTES:
            raise BadMember(f"it has {member.size} bytes; {MAX_FILE_BYTES} are allowed")
        name = inside_name(member.name)
        if self._shard_of.get(name, shard) != shard:
            name = f"{shard.name.split('.')[0]}/{name}"
        try:
            path = output_path(self.root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "wb") as file:
                shutil.copyfileobj(member.content, file)
            if member.modified_ns is not None:
                with suppress(OSError, OverflowError):  # a time that the file system does not have
                    os.utime(path, ns=(member.modified_ns, member.modified_ns))
        except OutputError as error:
            raise BadMember("its name leads outside the shard") from error
        except OSError as error:
            if error.errno in _FULL:
                raise OutputError(f"cannot unpack {shard} to {self.root.parent.parent}: {reason_of(error)}") from error
            raise BadMember(reason_of(error)) from error
        self._shard_of[name] = shard


def inside_name(name: str) -> str:
    """Return the name of a member relative to its folder, without ``.`` and empty parts.

    Raises:
        BadMember: it is absolute, or leads outside.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name or not parts:
        raise BadMember("its name leads outside the shard")
    return "/".join(parts)
