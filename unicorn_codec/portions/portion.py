"""Packing of one portion: a function of its task alone, which any process can call, and call again."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from unicorn_codec.checkpoints import checkpoint_path, write_checkpoint
from unicorn_codec.config import CodesOptions
from unicorn_codec.measurement import PictureDistortion
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.pack import load_packing_autoencoder, pack_listed
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.pictures.picture_folder import Folder, Note
from unicorn_codec.transform.autoencoder import Autoencoder


@dataclass(frozen=True, slots=True, kw_only=True)
class PortionTask:
    """A portion to pack.

    Args:
        output: its archive. A file of measured values lies next to it when it is complete.
        folder: the portion's files.
        options: with the step and the rounds that all portions share.
        update: of the models, which all portions share; None without one.
    """

    output: Path
    folder: Folder
    options: CodesOptions
    update: bytes | None

    @property
    def facts(self) -> Path:
        """Path of the measured values."""
        return self.output.with_suffix(".json")

    @property
    def files(self) -> int:
        """Number of files in the portion."""
        return len(self.folder.pictures) + len(self.folder.exact) + len(self.folder.others)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortionFacts:
    """What packing a portion measured.

    Args:
        rounds: of refinement; 0 if no picture is coded as latents.
        taken_over: pictures whose codes were taken over from their files.
        alpha_bytes: of transparent pictures.
        notes: on single pictures.
        rows: of measured pictures, with their indices in the portion.
    """

    rounds: int
    taken_over: int
    alpha_bytes: int
    notes: tuple[Note, ...]
    rows: tuple[PictureDistortion, ...]


def pack_portion(task: PortionTask) -> None:
    """Pack a portion, from its checkpoint if an earlier attempt left one.

    Raises ``UnicornError`` as ``pack``.
    """
    options = replace(task.options, resume=checkpoint_path(task.output).exists())
    autoencoder = _loaded(task.options.autoencoder, task.options.device)
    report = pack_listed(
        task.folder, task.output, options, Observer(), autoencoder, task.update, started=time.monotonic()
    )
    write_facts(task.facts, report)


@lru_cache(1)
def _loaded(name: str, device: str) -> Autoencoder:
    return load_packing_autoencoder(CodesOptions(autoencoder=name, device=device))


def write_facts(path: Path, report: PackReport) -> None:
    """Write what was measured, when the portion's archive is complete. Raises ``OutputError``."""
    rows = report.measured.rows
    values = {
        "rounds": report.rounds,
        "taken_over": report.taken_over,
        "alpha_bytes": report.alpha_bytes,
        "notes": [[note.name, note.text] for note in report.notes],
        "rows": [
            [row.index, row.name, None if math.isinf(row.psnr_db) else row.psnr_db, row.ms_ssim, row.alpha_error]
            for row in rows
        ],
    }
    write_checkpoint(path, json.dumps(values).encode())


def read_facts(path: Path) -> PortionFacts:
    """Read what ``write_facts`` wrote."""
    values = json.loads(path.read_bytes())
    return PortionFacts(
        rounds=values["rounds"],
        taken_over=values["taken_over"],
        alpha_bytes=values["alpha_bytes"],
        notes=tuple(Note(name, text) for name, text in values["notes"]),
        rows=tuple(_rows(values["rows"])),
    )


def _rows(values: list[list[Any]]) -> Iterator[PictureDistortion]:
    for index, name, psnr_db, similarity, alpha_error in values:
        yield PictureDistortion(
            index=index,
            name=name,
            psnr_db=math.inf if psnr_db is None else psnr_db,
            ms_ssim=similarity,
            alpha_error=alpha_error,
        )
