"""Numbers and tables as text."""

from collections.abc import Iterable, Sequence

Row = tuple[str, str]

MAX_LINES_SHOWN = 20


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Format a number and its noun: ``1 picture``, ``1,000 pictures``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def short_bytes(number: float) -> str:
    """Format a size in powers of 1000: ``812 bytes``, ``17.3 kB``, ``1.2 GB``."""
    if number < 1000:
        return count(int(number), "byte")
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 999.95:
            return f"{number:.1f} {unit}"
    return f"{number / 1000:.1f} TB"


def exact_bytes(number: int) -> str:
    """Format a size exactly: ``17,312 bytes (17.3 kB)``."""
    exact = count(number, "byte")
    return exact if number < 1000 else f"{exact} ({short_bytes(number)})"


def rate(bits_per_pixel: float) -> str:
    """Format a rate with four significant digits and no exponent."""
    if bits_per_pixel >= 1000:
        return f"{bits_per_pixel:,.0f}"
    return f"{bits_per_pixel:.4g}" if bits_per_pixel >= 1e-4 else f"{bits_per_pixel:.7f}"


def rate_rows(bits_per_pixel: float, with_autoencoder: float) -> list[Row]:
    """Format a rate, and the rate with the autoencoder's weights; no row of it for a file that needs none."""
    rows = [("rate", f"{rate(bits_per_pixel)} bits per pixel")]
    if bits_per_pixel != with_autoencoder:
        rows.append(("", f"{rate(with_autoencoder)} bits per pixel with the autoencoder's weights"))
    return rows


def duration(seconds: float) -> str:
    """Format a duration: ``8 s``, ``4 min 10 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def labelled(rows: Iterable[Row]) -> str:
    """Format rows as lines of a label and a value, the values aligned."""
    rows = list(rows)
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:<{width}}  {value}".rstrip() for label, value in rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int] = ()) -> str:
    """Align columns under their titles: those in ``left`` to the left, the others to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def indented(block: str) -> str:
    """Indent every line by two columns."""
    return "\n".join(f"  {line}" for line in block.splitlines())


def shortened(lines: Sequence[str]) -> str:
    """Join the first ``MAX_LINES_SHOWN`` lines, and count the rest."""
    more = [f"and {len(lines) - MAX_LINES_SHOWN:,} more"] if len(lines) > MAX_LINES_SHOWN else []
    return "\n".join([*lines[:MAX_LINES_SHOWN], *more])
