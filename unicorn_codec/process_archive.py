"""An archive that follows its user into other processes."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unicorn_codec.archive import Archive
from unicorn_codec.pictures.pixels import PillowImage
from unicorn_codec.pictures.transparency import Colour


class ProcessArchive:
    """An archive that each process opens for itself when it needs it first; only its path and settings are pickled.

    Args:
        path: a file, or a URL that fsspec reads.
        device: auto, cpu or cuda; a forked process does not use a GPU by auto, because CUDA refuses that.
        background: (R, G, B) onto which transparent pictures are flattened; None: keep their transparency.
    """

    def __init__(self, path: Path | str, *, device: str, background: Colour | None) -> None:
        self.path = path
        self._device, self._background = device, background
        self._begin()

    def _begin(self) -> None:
        self._opened: Archive | None = None
        self._home = self._process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in ("path", "_device", "_background")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    @property
    def archive(self) -> Archive:
        """The archive, as this process has opened it. Raises as ``Archive.open``."""
        process = os.getpid()
        if self._opened is None or self._process != process:
            device = "cpu" if self._device == "auto" and process != self._home else self._device
            self._opened, self._process = Archive.open(self.path, device=device), process
        return self._opened

    def decode(self, indices: Sequence[int]) -> list[PillowImage]:
        """Decode some pictures together, in the order of the indices. Raises as ``Archive.decode``."""
        return self.archive.decode(indices, background=self._background)
