"""Checkpoints: unfinished work stored next to an output, from which an interrupted or killed pack resumes."""

import hashlib
import json
import os
import struct
import time
import warnings
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from unicorn_codec.atomic_files import open_atomic
from unicorn_codec.config import PackOptions
from unicorn_codec.errors import CheckpointMismatch, CheckpointWarning, OutputError
from unicorn_codec.spool import Spool

_LEARNED, _LEARNING = "update", "learning."

SAVE_SECONDS = 20.0
"""Seconds between two checkpoints. A killed pack loses at most this much work, and the time that saving takes."""

CODES_OF_PART = 4096
"""Codes that are written together, which bounds memory."""

_FRAME = struct.Struct("<QI")
_OTHER_SETTINGS = (
    "{} was made with other pictures or settings: use the same ones, or pack without --resume to start again"
)


def checkpoint_path(output: Path) -> Path:
    """Return the path of an output's checkpoint."""
    return output.with_name(output.name + ".checkpoint")


def portions_path(output: Path) -> Path:
    """Return the path of the folder of an output's portions, while it is packed in portions."""
    return output.with_name(output.name + ".portions")


def check_checkpoint(output: Path, options: PackOptions) -> None:
    """Check that packing neither discards unfinished work unasked nor resumes from nothing.

    Raises:
        OutputError: there is a checkpoint, and neither resuming nor overwriting was asked for.
        CheckpointMismatch: resuming was asked for, and there is no checkpoint.
    """
    checkpoint = checkpoint_path(output)
    if options.resume and not checkpoint.exists():
        raise CheckpointMismatch(f"no checkpoint {checkpoint} to resume from; pack without --resume")
    if checkpoint.exists() and not (options.resume or options.overwrite):
        raise OutputError(f"{checkpoint} holds unfinished work: --resume continues it, --overwrite discards it")


def digest_settings(*settings: object) -> str:
    """Return the SHA-256 of everything that unfinished work depends on. A checkpoint stores it."""
    return hashlib.sha256(repr(settings).encode()).hexdigest()


def save_or_warn(save: Callable[[], None], work: str) -> None:
    """Save a checkpoint, or warn that the work continues without one: the disk may have room again the next time."""
    try:
        save()
    except OutputError as error:
        warnings.warn(f"{work} continues without a checkpoint: {error}", CheckpointWarning, stacklevel=3)


def write_checkpoint(path: Path, data: bytes) -> None:
    """Write a checkpoint file atomically. Raises ``OutputError`` where that fails."""
    try:
        with open_atomic(path) as file:
            file.write(data)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def read_metadata(path: Path, digest: str) -> dict[str, str]:
    """Return the metadata of a checkpoint.

    Args:
        digest: of the pictures and settings that it must have been made with.

    Raises:
        CheckpointMismatch: the file is not a checkpoint, or was made with other pictures or settings.
    """
    try:
        with safe_open(path, "np") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise CheckpointMismatch(f"{path}: not a checkpoint ({error})") from error
    if metadata.get("digest") != digest:
        raise CheckpointMismatch(_OTHER_SETTINGS.format(path))
    return metadata


class CodesCheckpoint:
    """Refined codes of a folder's pictures, as a checkpoint keeps them.

    All codes belong to one refinement method at a time. The file is a row of parts, each a safetensors file after its
    length and CRC-32: the first one with everything but codes, the others with codes. Codes are appended, so that
    saving takes as long as what is new.

    Args:
        path: of the checkpoint file.
        digest: of pictures and settings.
        resume: start from the codes that the checkpoint holds.

    Attributes:
        codes: by position.
        rounds: chosen number of refinement rounds, which must not change when packing resumes. None: not chosen yet.
        learned: update that the codes are made for; empty: none pays. None: not known yet.
        learning, learning_steps: an unfinished update, and the steps of training that it took.

    Raises:
        CheckpointMismatch: the checkpoint was made with other pictures or settings.
    """

    def __init__(self, path: Path, digest: str, *, resume: bool) -> None:
        self.path, self._digest = path, digest
        self._method, self.codes = "", Spool(path.parent)
        self._unsaved = array("q")
        self.rounds: int | None = None
        self.learned: bytes | None = None
        self.learning, self.learning_steps = dict[str, np.ndarray](), 0
        self._saved_state: tuple[object, ...] | None = None
        self._saved_bytes = 0
        self._saved_at = time.monotonic()
        if resume:
            self._load()

    def begin(self, method: str) -> None:
        """Set the refinement method: a text of everything that determines the codes.

        Codes of another method are dropped.
        """
        if method != self._method:
            self._method, self.codes, self._unsaved = method, Spool(self.path.parent), array("q")

    def add(self, position: int, code: bytes) -> None:
        """Keep the code of the picture at a position. Writes the checkpoint every ``SAVE_SECONDS``."""
        self.codes[position] = code
        self._unsaved.append(position)
        self._save_now_and_then()

    def keep_learning(self, steps: int, update: dict[str, np.ndarray]) -> None:
        """Keep an unfinished update. Writes the checkpoint every ``SAVE_SECONDS``."""
        self.learning, self.learning_steps = update, steps
        self._save_now_and_then()

    def finish_learning(self, payload: bytes) -> None:
        """Keep the update that codes will be made for; empty if none pays."""
        self.learned, self.learning = payload, {}
        self._save_now_and_then()

    @property
    def is_empty(self) -> bool:
        """Whether there is no work to keep."""
        return not self.codes and not self.learning and not self.learned

    def _save_now_and_then(self) -> None:
        if time.monotonic() - self._saved_at >= SAVE_SECONDS:
            save_or_warn(self.save, "packing")
            self._saved_at = time.monotonic()

    def save(self) -> None:
        """Write what the checkpoint file lacks. Raises ``OutputError`` where that fails."""
        state = self._state()
        try:
            if state == self._saved_state:
                with open(self.path, "r+b") as file:
                    file.truncate(self._saved_bytes)  # without what a killed process left
                    self._append(file, self._unsaved)
            else:
                with open_atomic(self.path) as file:
                    file.write(_framed(self._first_part()))
                    self._append(file, self.codes)
                self._saved_state = state
        except OSError as error:
            self._saved_state = None  # the next attempt writes a new file
            raise OutputError(f"cannot write {self.path}: {error.strerror or error}") from error
        self._unsaved = array("q")

    def _append(self, file: IO[bytes], positions: Iterable[int]) -> None:
        file.seek(0, os.SEEK_END)
        remaining = iter(positions)
        while some := list(islice(remaining, CODES_OF_PART)):
            pieces = [self.codes[position] for position in some]
            tensors: dict[str, np.ndarray] = {
                "positions": np.array(some, np.int64),
                "lengths": np.array(list(map(len, pieces)), np.int64),
                "codes": np.frombuffer(b"".join(pieces), np.uint8),
            }
            file.write(_framed(save(tensors)))
        file.flush()
        os.fsync(file.fileno())
        self._saved_bytes = file.tell()

    def _state(self) -> tuple[object, ...]:
        """Return what distinguishes first parts of the file."""
        return self._method, self.rounds, self.learned, self.learning_steps, bool(self.learning)

    def _first_part(self) -> bytes:
        tensors = {_LEARNING + name: tensor for name, tensor in self.learning.items()}
        if self.learned is not None:
            tensors[_LEARNED] = np.frombuffer(self.learned, np.uint8)
        metadata = {"digest": self._digest, "method": self._method, "learning_steps": str(self.learning_steps)}
        if self.rounds is not None:
            metadata["rounds"] = str(self.rounds)
        return save(tensors, metadata)

    def _load(self) -> None:
        try:
            with open(self.path, "rb") as file:
                metadata, tensors = _parsed(next(_parts(file), b""))
                if metadata.get("digest") != self._digest:
                    raise CheckpointMismatch(_OTHER_SETTINGS.format(self.path))
                for part in _parts(file):
                    self._take_codes(part)
                self._saved_bytes = file.tell()
        except (OSError, SafetensorError, ValueError) as error:
            raise CheckpointMismatch(f"{self.path}: not a checkpoint ({error})") from error
        self._method = metadata["method"]
        self.rounds = int(metadata["rounds"]) if "rounds" in metadata else None
        self.learning_steps = int(metadata["learning_steps"])
        if _LEARNED in tensors:
            self.learned = tensors.pop(_LEARNED).tobytes()
        self.learning = {name.removeprefix(_LEARNING): tensor for name, tensor in tensors.items()}
        self._saved_state = self._state()

    def _take_codes(self, part: bytes) -> None:
        tensors = load(part)
        pieces = np.split(tensors["codes"], np.cumsum(tensors["lengths"])[:-1])
        for position, piece in zip(tensors["positions"].tolist(), pieces, strict=True):
            self.codes[position] = piece.tobytes()


def _framed(part: bytes) -> bytes:
    """Put length and CRC-32 before a part of a checkpoint."""
    return _FRAME.pack(len(part), zlib.crc32(part)) + part


def _parts(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the parts of a checkpoint up to one that was not written completely, and leave the file there."""
    while True:
        start = file.tell()
        head = file.read(_FRAME.size)
        length, checksum = _FRAME.unpack(head) if len(head) == _FRAME.size else (0, 0)
        part = file.read(length) if 0 < length <= os.fstat(file.fileno()).st_size else b""
        if not part or len(part) != length or zlib.crc32(part) != checksum:
            file.seek(start)
            return
        yield part


def _parsed(part: bytes) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Return metadata and tensors of a part. Raises ``SafetensorError`` or ``ValueError``."""
    (length,) = struct.unpack_from("<Q", part.ljust(8, b"\0"))
    return json.loads(part[8 : 8 + length] or "{}").get("__metadata__", {}), load(part)
