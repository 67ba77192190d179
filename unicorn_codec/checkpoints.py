"""Checkpoints: unfinished work stored next to an output, from which an interrupted or killed pack resumes."""

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

_LEARNED, _LEARNING = "update", "learning."

SAVE_SECONDS = 20.0
"""Seconds between two checkpoints. A killed pack loses at most this much work, and the time that saving takes."""


def checkpoint_path(output: Path) -> Path:
    """Return the path of an output's checkpoint."""
    return output.with_name(output.name + ".checkpoint")


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
        raise CheckpointMismatch(
            f"{path} was made with other pictures or settings: "
            "use the same ones, or pack without --resume to start again"
        )
    return metadata


class CodesCheckpoint:
    """Refined codes of a folder's pictures, as a checkpoint keeps them.

    All codes belong to one refinement method at a time.

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
        self._method, self.codes = "", dict[int, bytes]()
        self.rounds: int | None = None
        self.learned: bytes | None = None
        self.learning, self.learning_steps = dict[str, np.ndarray](), 0
        self._saved_at = time.monotonic()
        if resume:
            metadata = read_metadata(path, digest)
            self._method = metadata["method"]
            self.rounds = int(metadata["rounds"]) if "rounds" in metadata else None
            self.learning_steps = int(metadata.get("learning_steps", "0"))
            tensors = load_file(path)
            if _LEARNED in tensors:
                self.learned = tensors[_LEARNED].tobytes()
            named = ((name.removeprefix(_LEARNING), tensor) for name, tensor in tensors.items())
            self.learning = {name: tensor for name, tensor in named if _LEARNING + name in tensors}
            ends = np.cumsum(tensors["lengths"])
            *pieces, _ = np.split(tensors["codes"], ends)
            self.codes = {p: piece.tobytes() for p, piece in zip(tensors["positions"].tolist(), pieces, strict=True)}

    def begin(self, method: str) -> None:
        """Set the refinement method: a text of everything that determines the codes.

        Codes of another method are dropped.
        """
        if method != self._method:
            self._method, self.codes = method, {}

    def add(self, position: int, code: bytes) -> None:
        """Keep the code of the picture at a position. Writes the checkpoint every ``SAVE_SECONDS``."""
        self.codes[position] = code
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
        """Write the checkpoint. Raises ``OutputError`` where that fails."""
        tensors: dict[str, np.ndarray] = {
            "positions": np.array(list(self.codes), np.int64),
            "lengths": np.array(list(map(len, self.codes.values())), np.int64),
            "codes": np.frombuffer(b"".join(self.codes.values()), np.uint8),
        }
        if self.learned is not None:
            tensors[_LEARNED] = np.frombuffer(self.learned, np.uint8)
        tensors |= {_LEARNING + name: tensor for name, tensor in self.learning.items()}
        metadata = {"digest": self._digest, "method": self._method, "learning_steps": str(self.learning_steps)}
        if self.rounds is not None:
            metadata["rounds"] = str(self.rounds)
        write_checkpoint(self.path, save(tensors, metadata))
