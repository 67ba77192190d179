"""The paper's choices, one question each, measured on written archives.

    python -m benchmarks.experiments --question all --data photos --size middle     # 256 pictures of 64x64
    python -m benchmarks.experiments --question 1 --data photos --size paper --device cuda
    python -m benchmarks.experiments --report

Every network is trained anew at twice the length until that gains less than 0.1 dB, so that no verdict depends on a
budget of time. Finished runs are kept in benchmarks/results/experiments.json and not repeated. --report writes
benchmarks/results/README.md and its figures. Run it from the repository's root.
"""

import argparse
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.experiments.pictures import list_sources
from benchmarks.experiments.questions import SIZES, Question, Work, questions, shrunk, within
from benchmarks.experiments.report import write_report
from benchmarks.experiments.results import Results
from benchmarks.experiments.running import Bench, run_work
from unicorn_codec.model_registry import default_name

RESULTS = Path(__file__).parent.parent / "results"

Task = tuple[int, Question, str, Work, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--question", default="all", help="1 to 9, separated by commas, or all")
    parser.add_argument("--data", type=Path, nargs="+", help="folders of pictures, taken in turn")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="of the first training of each network  [default: by size]")
    parser.add_argument("--most-epochs", type=int, help="of its last training at most  [default: by size]")
    parser.add_argument("--autoencoder", default=default_name(), help="whose latents are learned")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--pictures", type=int, help="largest number of pictures, to try the script")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--report", action="store_true", help="write the report and its figures")
    args = parser.parse_args()
    if args.data is None and not args.report:
        parser.error("--data or --report is needed")
    if args.data is not None:
        answer(args)
    if args.report:
        write_report(args.out)


def answer(args: argparse.Namespace) -> None:
    """Run all chosen work that is not done yet."""
    size = shrunk(SIZES[args.size], args.pictures)
    sources = list_sources(args.data)
    size = within(size, len(sources))
    asked = questions(size)
    numbers = sorted(asked) if args.question == "all" else [int(n) for n in args.question.split(",")]
    needed = max(work.pictures for number in numbers for work in asked[number].works.values())
    if len(sources) < needed:
        raise SystemExit(f"found {len(sources)} pictures, but {needed} are needed: reduce the size with --pictures")
    results = Results(args.out / "experiments.json")
    bench = Bench(
        size=size,
        sources=tuple(sources[:needed]),
        epochs=args.epochs or size.epochs,
        most_epochs=args.most_epochs or size.most_epochs,
        autoencoder=args.autoencoder,
        device=args.device,
    )
    circumstances = {
        "size": args.size,
        "data": [folder.name for folder in args.data],
        "epochs": bench.epochs,
        "most_epochs": bench.most_epochs,
        "autoencoder": bench.autoencoder,
        "device": args.device,
        "pictures": args.pictures,
    }
    tasks = unfinished(asked, numbers, args.seeds, results, circumstances)
    announce(tasks)
    for task in tasks:
        perform(task, bench, results, circumstances)


def unfinished(
    asked: dict[int, Question], numbers: list[int], seeds: int, results: Results, circumstances: dict[str, Any]
) -> list[Task]:
    """Return the archives of which a row is missing, seed by seed, so that an early end leaves complete comparisons."""
    tasks: list[Task] = []
    for seed in range(seeds):
        for number in numbers:
            question = asked[number]
            for name, work in question.works.items():
                rows = question.variants if len(question.works) == 1 else (name,)
                if not all(results.has(number, row, seed, circumstances) for row in rows):
                    tasks.append((number, question, name, work, seed))
    return tasks


def announce(tasks: list[Task]) -> None:
    """Print how many archives there are to train."""
    distinct = {(repr(work), seed, is_evaluated_again(question)) for _, question, _, work, seed in tasks}
    print(f"{len(tasks)} answers from {len(distinct)} archives to train", flush=True)


def is_evaluated_again(question: Question) -> bool:
    """Return whether the rows of a question are other ways to store or sample one archive."""
    return bool(question.weight_bits or question.steps)


def perform(task: Task, bench: Bench, results: Results, circumstances: dict[str, Any]) -> None:
    """Add the rows of one archive: a new one, or one that was trained for another question."""
    number, question, name, work, seed = task
    started = time.monotonic()
    again = is_evaluated_again(question)
    found = None if again else results.same_work(asdict(work), seed, circumstances)
    measured = run_work(bench, question, work, seed) if found is None else [(None, found)]
    for variant, row in measured:
        variant = variant or name
        if results.has(number, variant, seed, circumstances):
            continue
        place = {"question": number, "variant": variant, "seed": seed, "circumstances": circumstances}
        metadata = {"work": asdict(work), "again": again, "command": command_line()}
        results.add(row | place | metadata)
        took, end = time.monotonic() - started, "" if row["flat"] else " (still rising)"
        print(
            f"{number} {variant}, seed {seed}: {row['psnr_db']:.2f} dB (latents {row['latent_psnr_db']:.2f}), "
            f"{row['file_bytes']} bytes, {row['epochs']} epochs{end}, {took:.0f} s",
            flush=True,
        )


def command_line() -> str:
    """Return the arguments as given. Paths are reduced to their last part, as the rest is local to this machine."""
    return shlex.join(Path(part).name if "/" in part else part for part in sys.argv[1:])


if __name__ == "__main__":
    main()
