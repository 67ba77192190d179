"""Checkpoints: unfinished work next to an output, so that an interrupted or killed pack can continue."""

import hashlib
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from unicorn_codec.atomic_files import open_atomic
from unicorn_codec.config import PackOptions
from unicorn_codec.errors import CheckpointMismatch, CheckpointWarning, OutputError

SAVE_SECONDS = 20.0
"""So much finished work, and what saving takes, is lost at most when a pack is killed."""


def checkpoint_path(output: Path) -> Path:
    """Where unfinished work of an output lies."""
    return output.with_name(output.name + ".checkpoint")


def check_checkpoint(output: Path, options: PackOptions) -> None:
    """Refuse to lose unfinished work, or to go on from none.

    Raises:
        OutputError: there is a checkpoint, and neither to go on from it nor to replace it was asked for.
        CheckpointMismatch: there is none to go on from.
    """
    checkpoint = checkpoint_path(output)
    if options.resume and not checkpoint.exists():
        raise CheckpointMismatch(f"there is no checkpoint {checkpoint} to go on from")
    if checkpoint.exists() and not (options.resume or options.overwrite):
        raise OutputError(f"{checkpoint} holds unfinished work: --resume goes on from it, --overwrite starts afresh")


def digest_settings(*settings: object) -> str:
    """SHA-256 over everything that unfinished work depends on; a checkpoint carries it."""
    return hashlib.sha256(repr(settings).encode()).hexdigest()


def save_or_warn(save: Callable[[], None], work: str) -> None:
    """Save a checkpoint, or warn that the work goes on without: the disk may have room again the next time."""
    try:
        save()
    except OutputError as error:
        warnings.warn(f"{work} goes on without a checkpoint: {error}", CheckpointWarning, stacklevel=3)


def write_checkpoint(path: Path, data: bytes) -> None:
    """Write a checkpoint, whole or not at all. Raises ``OutputError`` where that fails."""
    try:
        with open_atomic(path) as file:
            file.write(data)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def read_metadata(path: Path, digest: str) -> dict[str, str]:
    """What a checkpoint says beside its tensors.

    Args:
        digest: of the pictures and settings that it must have been made with.

    Raises:
        CheckpointMismatch: it was made with others, or is no checkpoint.
    """
    try:
        with safe_open(path, "np") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise CheckpointMismatch(f"{path}: not a checkpoint ({error})") from error
    if metadata.get("digest") != digest:
        raise CheckpointMismatch(
            f"{path} was made from other pictures or with other settings; "
            "pack with those, or without --resume to start afresh"
        )
    return metadata


class CodesCheckpoint:
    """Refined codes of a folder's pictures, all made in one way, and the rounds of refinement that were decided on.

    Args:
        path: of the checkpoint, written every ``SAVE_SECONDS``.
        digest: of pictures and settings.
        resume: continue from the codes that the checkpoint holds.

    Attributes:
        codes: by position.
        rounds: of the interrupted pack, where it did not ask for a number; None: none was decided on.

    Raises:
        CheckpointMismatch: the checkpoint belongs to other pictures or settings.
    """

    def __init__(self, path: Path, digest: str, *, resume: bool) -> None:
        self.path, self._digest = path, digest
        self._way, self.codes = "", dict[int, bytes]()
        self.rounds: int | None = None
        self._saved_at = time.monotonic()
        if resume:
            metadata = read_metadata(path, digest)
            self._way = metadata["way"]
            self.rounds = int(metadata["rounds"]) if "rounds" in metadata else None
            tensors = load_file(path)
            ends = np.cumsum(tensors["lengths"])[:-1]
            pieces = np.split(tensors["codes"], ends)
            self.codes = {p: piece.tobytes() for p, piece in zip(tensors["positions"].tolist(), pieces, strict=True)}

    def begin(self, way: str) -> None:
        """Start a pass that makes codes in a way; codes made in another way are dropped."""
        if way != self._way:
            self._way, self.codes = way, {}

    def add(self, position: int, code: bytes) -> None:
        """Keep a picture's code."""
        self.codes[position] = code
        if time.monotonic() - self._saved_at >= SAVE_SECONDS:
            save_or_warn(self.save, "packing")
            self._saved_at = time.monotonic()

    def save(self) -> None:
        """Write the checkpoint. Raises ``OutputError`` where that fails."""
        tensors: dict[str, np.ndarray] = {
            "positions": np.array(list(self.codes), np.int64),
            "lengths": np.array(list(map(len, self.codes.values())), np.int64),
            "codes": np.frombuffer(b"".join(self.codes.values()), np.uint8),
        }
        metadata = {"digest": self._digest, "way": self._way}
        if self.rounds is not None:
            metadata["rounds"] = str(self.rounds)
        write_checkpoint(self.path, save(tensors, metadata))
