"""One progress bar: on a terminal a bar with rate and remaining time, with ``--log`` lines, and otherwise nothing."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Protocol

import click
from tqdm import tqdm

from .options import is_logging
from .text import duration

LABEL_WIDTH = 10
SECONDS_BETWEEN_LINES = 10.0
"""Of the lines of ``--log`` about one piece of work; its first and last lines always come."""

PIXELS_SHOWN = 10**6
"""Pixels in the unit that is shown."""
SHARE_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]"
"""Of a bar for a share of work, which has no rate worth showing."""

SECONDS_BEFORE_RATE = 1.0
"""Before that, the rate says little."""


class ProgressBar(Protocol):
    """What progress is shown by."""

    n: float

    def __enter__(self) -> Any: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> bool | None: ...

    def update(self, n: float = 1) -> Any:
        """Add to the work that is done."""

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        """Set a remark on the state of the work."""

    def close(self) -> None:
        """End the bar."""


def bar(
    label: str, total: float, bar_format: str | None = None, *, hidden: bool = False, in_pixels: bool = False
) -> ProgressBar:
    """Return a progress bar for work of an amount ``total``; 1.0 for a share of it. Large numbers of pixels are
    shortened."""
    if is_logging() and not hidden:
        return LogLines(label, total, in_pixels=in_pixels)
    if bar_format is None and isinstance(total, float):
        bar_format = SHARE_FORMAT
    shown: ProgressBar = tqdm(
        total=total,
        desc=label.ljust(LABEL_WIDTH),
        bar_format=bar_format,
        unit="px" if in_pixels else "it",
        unit_scale=in_pixels,
        disable=hidden or not sys.stderr.isatty(),
        dynamic_ncols=True,
    )
    return shown


@contextmanager
def stage(label: str, *, as_share: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Show one stage of work, of an amount that its first report gives: ``progress(done, total)``.

    Args:
        as_share: show percents, for an amount that few people can read, such as bytes.
    """
    with ExitStack() as stack:
        shown: ProgressBar | None = None

        def progress(done: int, total: int) -> None:
            nonlocal shown
            if shown is None:
                shown = stack.enter_context(bar(label, 1.0 if as_share else total))
            shown.update((done / total if as_share else done) - shown.n)
            if done == total:
                shown.close()  # another stage may follow

        yield progress


class LogLines:
    """Progress as lines on stderr: ``12:30:05 unpacking: 40 of 200, 3.08/s, 52 s left``.

    Args:
        total: amount of work; of 1.0, percents are shown, and no rate.
        in_pixels: show megapixels.
    """

    def __init__(self, label: str, total: float, *, in_pixels: bool = False) -> None:
        self.n: float = 0
        self._in_pixels = in_pixels
        self._label, self._total = label, total
        self._start = time.monotonic()
        self._last_time, self._last_n = -SECONDS_BETWEEN_LINES, -1.0
        self._remark = ""

    def __enter__(self) -> "LogLines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def update(self, n: float = 1) -> None:
        """Add to the work that is done, and print a line if the last one is old."""
        self.n += n
        if self.n >= self._total or time.monotonic() - self._last_time >= SECONDS_BETWEEN_LINES:
            self._print()

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        """Set a remark that ends the next lines."""
        self._remark = s

    def close(self) -> None:
        """Print the state at the end, unless it has been."""
        if self.n != self._last_n:
            self._print()

    def _print(self) -> None:
        now = time.monotonic()
        self._last_time, self._last_n = now, self.n
        click.echo(f"{time.strftime('%H:%M:%S')} {self._label}: {', '.join(self._facts(now - self._start))}", err=True)

    def _amount(self) -> str:
        if self._in_pixels:
            return f"{self.n / PIXELS_SHOWN:,.1f} of {self._total / PIXELS_SHOWN:,.1f} megapixels"
        return f"{self.n:,.0f} of {self._total:,.0f}"

    def _facts(self, seconds: float) -> list[str]:
        is_share = isinstance(self._total, float)
        facts = [f"{100 * self.n / self._total:.0f} %" if is_share else self._amount()]
        is_done = self.n >= self._total
        if self.n > 0 and seconds > 0 and (is_done or seconds >= SECONDS_BEFORE_RATE):
            if not is_share:
                rate = self.n / seconds / (PIXELS_SHOWN if self._in_pixels else 1)
                facts.append(f"{rate:,.0f}/s" if rate >= 100 else f"{rate:.3g}/s")
            left = seconds * (self._total / self.n - 1)
            facts.append(f"{duration(seconds)} in all" if is_done else f"{duration(left)} left")
        return [*facts, self._remark] if self._remark else facts
