"""Parts of a side with margins, which are cropped afterwards."""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Span:
    """A part [start, stop) of a side, in cells of a grid, and what it is computed from, [input_start, input_stop)."""

    start: int
    stop: int
    input_start: int
    input_stop: int

    def output(self, scale: int) -> slice:
        """Return the part's output within the whole. A cell is ``scale`` places long."""
        return slice(self.start * scale, self.stop * scale)

    def input(self, scale: int) -> slice:
        """Return the part's input within the whole."""
        return slice(self.input_start * scale, self.input_stop * scale)

    def cropped(self, scale: int) -> slice:
        """Return the part's output within the result for its input: the margin is cropped."""
        return slice((self.start - self.input_start) * scale, (self.stop - self.input_start) * scale)


def spans(length: int, longest: int, margin: int) -> list[Span]:
    """Divide a side into about equal parts, each with a margin where the side has one."""
    count = -(-length // longest)
    edges = [length * number // count for number in range(count + 1)]
    return [Span(start, stop, max(0, start - margin), min(length, stop + margin)) for start, stop in pairwise(edges)]
