"""Spools: bytes by position in a temporary file, so that the codes of a large folder take no memory."""

import tempfile
from array import array
from collections.abc import Iterator, Mapping, MutableMapping, Sequence, Set
from contextlib import contextmanager
from operator import eq
from pathlib import Path
from threading import Lock
from typing import overload
from weakref import finalize

from unicorn_codec.errors import OutputError

IN_MEMORY = 1 << 23
"""Bytes up to which a spool has no file."""


class Spool(MutableMapping[int, bytes]):
    """Bytes by position, never empty. Memory holds two numbers for each position up to the highest one.

    The file has no name: nothing is left of it, whatever ends the process. Thread-safe.

    Args:
        folder: of the file; None: the system's folder of temporary files.

    Attributes:
        total: bytes of all positions together.

    Raises ``OutputError`` where the file cannot be written or read.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder, self._lock = folder, Lock()
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=None if folder is None else str(folder))  # noqa: SIM115
        finalize(self, self._file.close)
        self._offsets, self._lengths = array("q"), array("q")
        self._end = self._count = self.total = 0

    def __setitem__(self, position: int, data: bytes) -> None:
        if not data:
            raise ValueError(f"no bytes for position {position}")
        with self._lock, self._reported():
            self._file.seek(self._end)
            self._file.write(data)
            missing = position + 1 - len(self._lengths)
            self._offsets.extend([0] * missing)
            self._lengths.extend([0] * missing)
            self._replace_length(position, len(data))
            self._offsets[position] = self._end
            self._end += len(data)

    def __getitem__(self, position: int) -> bytes:
        if position not in self:
            raise KeyError(position)
        with self._lock, self._reported():
            length = self._lengths[position]
            self._file.seek(self._offsets[position])
            data = self._file.read(length)
            if len(data) != length:
                raise OSError("it is shorter than what was written")
            return data

    def __delitem__(self, position: int) -> None:
        if position not in self:
            raise KeyError(position)
        self._replace_length(position, 0)

    def _replace_length(self, position: int, length: int) -> None:
        old, self._lengths[position] = self._lengths[position], length
        self.total += length - old
        self._count += (length > 0) - (old > 0)

    def __contains__(self, position: object) -> bool:
        return isinstance(position, int) and 0 <= position < len(self._lengths) and self._lengths[position] > 0

    def __iter__(self) -> Iterator[int]:
        """Yield the positions, ascending."""
        return (position for position, length in enumerate(self._lengths) if length)

    def __len__(self) -> int:
        return self._count

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            place = self._folder or tempfile.gettempdir()
            raise OutputError(f"cannot keep a temporary file in {place}: {error.strerror or error}") from error


class SpooledCodes(Sequence[bytes]):
    """The codes of a folder's pictures by position, read one by one.

    Args:
        codes: by position; of all pictures but the replaced ones.
        count: of the pictures.
        others: codes of the replaced ones.
        replaced: positions.
    """

    def __init__(
        self,
        codes: Mapping[int, bytes] | Sequence[bytes],
        count: int,
        others: Mapping[int, bytes],
        replaced: Set[int],
    ) -> None:
        self._codes, self._count, self._others, self._replaced = codes, count, others, replaced

    @overload
    def __getitem__(self, position: int) -> bytes: ...

    @overload
    def __getitem__(self, position: slice) -> list[bytes]: ...

    def __getitem__(self, position: int | slice) -> bytes | list[bytes]:
        if isinstance(position, slice):
            return [self[place] for place in range(*position.indices(self._count))]
        if not 0 <= position < self._count:
            raise IndexError(f"position {position} of {self._count}")
        return self._others[position] if position in self._replaced else self._codes[position]

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]
