"""Progress bars on stderr. Imported only by commands that load torch in any case."""

from collections.abc import Callable
from types import TracebackType

import click

from unicorn_codec.network.planning import NetworkPlan
from unicorn_codec.network.training import Progress
from unicorn_codec.packing.observer import PIXEL_STAGES, Observer
from unicorn_codec.packing.reports import Learned
from unicorn_codec.pictures.picture_folder import Folder

from .bars import LABEL_WIDTH, ProgressBar, bar
from .report import learned_text
from .text import duration

TRAINING_FORMAT = "{desc} {percentage:3.0f}% |{bar}| {elapsed}{postfix}"


class Bars(Observer):
    """Progress bars, one per stage: reading, encoding, training, measuring.

    Args:
        announce: called when all pictures are read and the network is planned.
    """

    def __init__(self, announce: Callable[[Folder, NetworkPlan | None], None] | None = None) -> None:
        self._announce = announce
        self._bar: ProgressBar | None = None
        self._label = ""
        self._psnr_db: float | None = None

    def __enter__(self) -> "Bars":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def found(self, folder: Folder, plan: NetworkPlan | None) -> None:
        self._close()
        if self._announce:
            self._announce(folder, plan)

    def stage(self, name: str, done: int, total: int) -> None:
        shown = self._open(name, total, in_pixels=name in PIXEL_STAGES)
        shown.update(done - shown.n)
        if done == total:
            self._close()

    def learning(self, progress: float, gain: float) -> None:
        shown = self._open("learning", 1.0, TRAINING_FORMAT)
        if gain:
            shown.set_postfix_str(f"saves {100 * gain:.1f} %", refresh=False)
        shown.update(progress - shown.n)

    def learned(self, learned: Learned) -> None:
        self._close()
        click.echo(f"{'learned'.ljust(LABEL_WIDTH)} {learned_text(learned)}", err=True)

    def training(self, progress: Progress) -> None:
        shown = self._open("training", 1.0, TRAINING_FORMAT)
        shown.set_postfix_str(self._training_state(progress), refresh=False)
        shown.update(progress.fraction - shown.n)
        if progress.fraction >= 1:
            self._close()

    def preview(self, psnr_db: float) -> None:
        self._psnr_db = psnr_db

    def _training_state(self, progress: Progress) -> str:
        left = progress.seconds * (1 / progress.fraction - 1) if progress.fraction else 0.0
        quality = "" if self._psnr_db is None else f", {self._psnr_db:.2f} dB"
        return f"{duration(left)} left, step {progress.step:,}, loss {progress.loss:.4f}{quality}"

    def _open(self, label: str, total: float, bar_format: str | None = None, *, in_pixels: bool = False) -> ProgressBar:
        if self._bar is None or self._label != label:
            self._close()
            self._bar, self._label = bar(label, total, bar_format, in_pixels=in_pixels), label
        return self._bar

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
