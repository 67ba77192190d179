"""Progress of packing, for whoever shows it."""

from collections.abc import Callable
from threading import Lock

from unicorn_codec.network.planning import NetworkPlan
from unicorn_codec.network.training import Progress
from unicorn_codec.packing.reports import Learned
from unicorn_codec.pictures.picture_folder import Folder

PIXEL_STAGES = frozenset({"coding", "probing", "sizing", "measuring"})
"""Stages whose progress is counted in pixels, because pictures may differ much in size. Others count pictures."""


class Observer:
    """Receives the progress of packing. Override any of the methods; these do nothing."""

    def found(self, folder: Folder, plan: NetworkPlan | None) -> None:
        """All pictures were read and the work starts. ``plan`` is None for an archive of codes."""

    def stage(self, name: str, done: int, total: int) -> None:
        """``done`` of ``total`` pictures, or pixels in ``PIXEL_STAGES``, went through the stage ``name``."""

    def training(self, progress: Progress) -> None:
        """Training of a network goes on; about once a second."""

    def preview(self, psnr_db: float) -> None:
        """A few pictures were decoded with the weights of this moment: their mean PSNR."""

    def learning(self, progress: float, gain: float) -> None:
        """Learning is at ``progress`` of 1; at the last measurement it saved the part ``gain`` of the codes' bytes."""

    def learned(self, learned: Learned) -> None:
        """Learning is over."""

    def of_stage(self, name: str) -> Callable[[int, int], None]:
        """Return ``stage`` with its name filled in."""
        return lambda done, total: self.stage(name, done, total)


def cumulative(progress: Callable[[int, int], None], done: int, count: int) -> Callable[[int], None]:
    """Return a function that takes how many more are done, and reports the running total to ``progress``.

    Any thread may call it.
    """
    lock = Lock()

    def add(more: int) -> None:
        nonlocal done
        with lock:
            done += more
            progress(done, count)

    return add
