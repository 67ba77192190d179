"""What ``make results`` measures: sets, numbers of pictures, operating points, and scripts of single questions."""

from collections.abc import Mapping
from dataclasses import dataclass

SIZES = ("smoke", "small", "medium", "full")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetResult:
    """Comparison of this codec at its defaults with its strongest rivals on one set of pictures.

    Args:
        name: of the result and of its file.
        title: of its row.
        folder: of the set, below the folder of all sets.
        packed: number of pictures in our archives by size; learning needs many. Drawn by chance.
        compared: number of those that rivals code as well, evenly spaced.
        targets: values of ``--quality``.
        qualities, slow_qualities: of AVIF at speed 4 and 0, so that its qualities enclose ours.
        judge_all: whether the quality of all packed pictures is measured, not only of those that rivals code as well.
        seen: whether pictures of the same source were among those that the shipped models were trained on.
    """

    name: str
    title: str
    folder: str
    packed: Mapping[str, int]
    compared: Mapping[str, int]
    targets: tuple[float, ...]
    qualities: tuple[int, ...] = (0, 14, 28, 44)
    slow_qualities: tuple[int, ...] = (0, 18, 38)
    judge_all: bool = False
    seen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptResult:
    """A result that a script of this folder makes, with its own tables.

    Args:
        arguments: by size, of ``python``. ``{data}`` and ``{out}`` stand for the folders of the sets and the results.
        minutes: estimated processor minutes by size.
    """

    name: str
    arguments: Mapping[str, str]
    minutes: Mapping[str, float]


def counts(smoke: int, small: int, medium: int, full: int) -> dict[str, int]:
    """Return numbers of pictures by size."""
    return dict(zip(SIZES, (smoke, small, medium, full), strict=True))


SET_RESULTS = (
    SetResult(
        name="cats",
        title="cats, 256x256",
        folder="cats-1000",
        packed=counts(3, 24, 60, 200),
        compared=counts(3, 12, 60, 200),
        targets=(10, 35, 55),
    ),
    SetResult(
        name="grocery",
        title="shop photos, 256x256",
        folder="grocery-1000",
        packed=counts(3, 24, 60, 200),
        compared=counts(3, 12, 60, 200),
        targets=(10, 35, 55),
        seen=True,
    ),
    SetResult(
        name="kodak",
        title="Kodak, 768x512",
        folder="kodak-24",
        judge_all=True,
        packed=counts(2, 24, 24, 24),
        compared=counts(2, 4, 12, 24),
        targets=(20, 50),
    ),
    SetResult(
        name="cells",
        title="blood cells, 640x480",
        folder="cells-300",
        packed=counts(2, 150, 150, 300),
        compared=counts(2, 4, 12, 40),
        targets=(10, 45),
        qualities=(0, 10, 22, 36),
        slow_qualities=(0, 15, 32),
    ),
    SetResult(
        name="xray",
        title="chest X-rays",
        folder="xray-150",
        packed=counts(2, 150, 150, 150),
        compared=counts(2, 4, 12, 40),
        targets=(10, 45),
        qualities=(0, 10, 22, 36),
        slow_qualities=(0, 15, 32),
    ),
    SetResult(
        name="receipts",
        title="scanned receipts",
        folder="receipts-120",
        packed=counts(2, 40, 60, 120),
        compared=counts(2, 4, 12, 40),
        targets=(0, 35),
        qualities=(0, 12, 26, 42),
        slow_qualities=(0, 18, 38),
    ),
)
"""The rows of the README, and what docs/results.md compares."""

SCRIPT_RESULTS = (
    ScriptResult(
        name="print",
        arguments={
            "medium": "benchmarks/print_fidelity.py --data {data}/receipts-120 --count 20 --out {out}/print.md",
            "full": "benchmarks/print_fidelity.py --data {data}/receipts-120 --count 60 --out {out}/print.md",
        },
        minutes={"medium": 12, "full": 35},
    ),
    ScriptResult(
        name="packaged-models",
        arguments={
            "full": "benchmarks/packaged_models.py --data {data}/cats-1000 {data}/kodak-24 {data}/receipts-120 "
            "{data}/xray-150 --pictures 24 --out {out}/packaged_models.json"
        },
        minutes={"full": 120},
    ),
    ScriptResult(
        name="learning",
        arguments={
            "full": "benchmarks/learning.py --data {data}/receipts-120 {data}/cells-300 {data}/xray-150 --count 100 "
            "--out {out}/learning"
        },
        minutes={"full": 150},
    ),
    ScriptResult(
        name="learning-by-count",
        arguments={
            "full": "benchmarks/learning.py --data {data}/cells-300 {data}/cats-1000 --count 25 50 100 200 "
            "--out {out}/learning-by-count"
        },
        minutes={"full": 240},
    ),
    ScriptResult(
        name="effort",
        arguments={
            "full": "benchmarks/effort_levels.py --data {data}/cats-1000 --count 24 "
            "--steps 2.4 4.5 --out {out}/effort.json"
        },
        minutes={"full": 40},
    ),
    ScriptResult(
        name="experiments",
        arguments={
            "full": "-m benchmarks.experiments --data {data}/cats-1000 --size middle --seeds 3 --device auto "
            "--out {out} --report"
        },
        minutes={"full": 2400},
    ),
)
"""Further results. Each script resumes by itself, so that an interrupted one loses little."""
