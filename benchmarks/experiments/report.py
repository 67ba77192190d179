"""Tables, sentences and figures of the finished measurements, in Markdown."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from benchmarks.experiments.questions import SIZES, Question, questions, shrunk
from benchmarks.experiments.results import Results, Row

NAME = "README.md"
START, END = "<!-- experiments: start -->", "<!-- experiments: end -->"
EQUALLY_GOOD_DB = 0.1
"""Differences in dB below this count as none, where bits or steps are saved."""

COLUMNS = (
    "variant",
    "PSNR (dB)",
    "latents (dB)",
    "MS-SSIM",
    "bytes",
    "bits per pixel",
    "width x depth",
    "steps",
    "ms",
    "epochs",
)
SEEDS_OF_A_SPREAD = 2
SHOWN_BELOW_CEILING_DB = 2.0


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation over seeds."""

    mean: float
    deviation: float

    def text(self, digits: int = 2) -> str:
        return f"{self.mean:.{digits}f} ± {self.deviation:.{digits}f}"


def mean_and_deviation(values: Sequence[float]) -> Spread:
    """Return mean and standard deviation of one or more values. The deviation of a single value is 0."""
    return Spread(mean(values), stdev(values) if len(values) >= SEEDS_OF_A_SPREAD else 0.0)


def write_report(folder: Path) -> None:
    """Write the figures, and the text between the markers of ``README.md``. The rest of it is kept."""
    results = Results(folder / "experiments.json")
    parts = ["## The paper's choices, measured\n", "Written by `python -m benchmarks.experiments --report`.\n"]
    for circumstances in distinct([row["circumstances"] for row in results.rows]):
        rows = [row for row in results.rows if row["circumstances"] == circumstances]
        parts.append(f"### {setting_text(circumstances, rows)}\n")
        size = shrunk(SIZES[circumstances["size"]], circumstances["pictures"])
        for number, question in questions(size).items():
            of_question = [row for row in rows if row["question"] == number]
            if of_question:
                parts.append(question_text(number, question, of_question, folder, circumstances))
    page = folder / NAME
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    before, _, rest = text.partition(START)
    after = rest.partition(END)[2] or "\n"
    page.write_text("".join([before, START, "\n\n", "\n".join(parts), "\n", END, after]), encoding="utf-8")


def distinct(values: Sequence[Any]) -> list[Any]:
    """Return the values in order of first appearance, without repetitions."""
    return [json.loads(text) for text in dict.fromkeys(json.dumps(value) for value in values)]


def setting_text(circumstances: Row, rows: Sequence[Row]) -> str:
    """Return a sentence on what all measurements have in common."""
    size = SIZES[circumstances["size"]]
    torch = ", ".join(sorted({row["torch"] for row in rows}))
    return (
        f"{size.side}x{size.side} pictures of {' and '.join(circumstances['data'])}, "
        f"latents of {circumstances['autoencoder']}, "
        f"{circumstances['epochs']} to {circumstances['most_epochs']} epochs, "
        f"device {circumstances['device']}, torch {torch}"
    )


def question_text(number: int, question: Question, rows: Sequence[Row], folder: Path, circumstances: Row) -> str:
    """Return one question: title, what the paper says, what was measured, its table, its figure."""
    by_variant = {name: [row for row in rows if row["variant"] == name] for name in question.variants}
    by_variant = {name: found for name, found in by_variant.items() if found}
    pictures = sorted({row["work"]["pictures"] for row in rows})
    seeds = len({row["seed"] for row in rows})
    spread_text = f"mean ± standard deviation of {seeds} seeds" if seeds > 1 else "one seed, so the spread is unknown"
    sentence = sentence_of(question, by_variant)
    on_what = f"M = {', '.join(map(str, pictures))}; {spread_text}."
    command = f"python -m benchmarks.experiments {rows[0]['command']}"
    figure = draw_figure(number, question, by_variant, folder, circumstances)
    lines = [
        f"#### {number}. {question.title}\n",
        f"{question.paper} {sentence} {on_what}\n",
        f"`{command}`\n",
        "| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|",
        *(table_row(name, found) for name, found in by_variant.items()),
        f"\n![{question.title}]({figure})\n",
    ]
    return "\n".join(lines)


def table_row(name: str, rows: Sequence[Row]) -> str:
    """Return the table row of one variant over its seeds."""
    cells = [
        name,
        mean_and_deviation([row["psnr_db"] for row in rows]).text(),
        mean_and_deviation([row["latent_psnr_db"] for row in rows]).text(),
        f"{mean(row['ms_ssim'] for row in rows):.4f}",
        f"{mean(row['file_bytes'] for row in rows):.0f}",
        f"{mean(row['bits_per_pixel'] for row in rows):.3f}",
        ", ".join(sorted({f"{row['hidden_size']} x {row['depth']}" for row in rows})),
        ", ".join(str(steps) for steps in sorted({row["steps"] for row in rows})),
        f"{mean(row['sampling_ms'] for row in rows):.2f}",
        ", ".join(sorted({f"{row['epochs']}{'' if row['flat'] else '+'}" for row in rows})),
    ]
    return "| " + " | ".join(cells) + " |"


def sentence_of(question: Question, by_variant: dict[str, list[Row]]) -> str:
    """Return what was measured: a sentence for each pair of variants that differ in one thing."""
    if question.weight_bits or question.steps:
        return fewest_sentence(by_variant)
    if not question.pairs:
        return number_sentence(by_variant)
    compared = [pair_sentence(by_variant, *pair) for pair in question.pairs if all(one in by_variant for one in pair)]
    rising = sum(not row["flat"] for rows in by_variant.values() for row in rows)
    runs = sum(map(len, by_variant.values()))
    still = [f"{rising} of {runs} trainings still gained at their limit (+), so that this is open."] if rising else []
    return " ".join([*compared, *still]) or "No two variants that differ in one thing are measured yet."


def fewest_sentence(by_variant: dict[str, list[Row]]) -> str:
    """Return the first variant that is about as good as the best one."""
    psnr = {name: mean_and_deviation([row["psnr_db"] for row in rows]) for name, rows in by_variant.items()}
    best = max(psnr, key=lambda name: psnr[name].mean)
    fewest = next(name for name in psnr if psnr[name].mean >= psnr[best].mean - EQUALLY_GOOD_DB)
    return (
        f"We measured {psnr[fewest].text()} dB with {fewest}, the fewest that come within {EQUALLY_GOOD_DB} dB of "
        f"the best ({best}: {psnr[best].text()} dB)."
    )


def pair_sentence(by_variant: dict[str, list[Row]], preferred: str, other: str) -> str:
    """Return which of two variants is better, if that can be told."""
    first, second = (mean_and_deviation([row["psnr_db"] for row in by_variant[name]]) for name in (preferred, other))
    if is_apart(by_variant, preferred, other):
        verdict = "better"
    elif is_apart(by_variant, other, preferred):
        verdict = "worse"
    else:
        verdict = "not to be told apart"
    return f"{preferred} against {other}: {first.text()} and {second.text()} dB, {verdict}."


def is_apart(by_variant: dict[str, list[Row]], better: str, worse: str) -> bool:
    """Return whether the mean difference over the seeds exceeds two of its standard errors."""
    of_seed = {row["seed"]: row["psnr_db"] for row in by_variant[worse]}
    gaps = [row["psnr_db"] - of_seed[row["seed"]] for row in by_variant[better] if row["seed"] in of_seed]
    if len(gaps) < SEEDS_OF_A_SPREAD:
        return False
    return mean(gaps) > 2 * stdev(gaps) / math.sqrt(len(gaps))


Curve = list[tuple[float, float]]


def curves_of(by_variant: dict[str, list[Row]]) -> dict[int, dict[int, Curve]]:
    """Return (bytes per picture, dB) by M and seed, in ascending order."""
    curves: dict[int, dict[int, Curve]] = {}
    for row in (row for rows in by_variant.values() for row in rows):
        pictures = row["work"]["pictures"]
        point = (row["file_bytes"] / pictures, row["psnr_db"])
        curves.setdefault(pictures, {}).setdefault(row["seed"], []).append(point)
    return {m: {seed: sorted(curve) for seed, curve in by_seed.items()} for m, by_seed in sorted(curves.items())}


def number_sentence(by_variant: dict[str, list[Row]]) -> str:
    """Return the bytes per picture of each M at a quality that all reach."""
    curves = curves_of(by_variant)
    ranges = [[db for _, db in curve] for by_seed in curves.values() for curve in by_seed.values()]
    lowest, highest = max(map(min, ranges)), min(map(max, ranges))
    if lowest > highest:
        return "No quality is reached by every M at the measured sizes, so there is nothing to compare."
    target = (lowest + highest) / 2
    taken = {
        m: mean_and_deviation([bytes_at(curve, target) for curve in by_seed.values()]) for m, by_seed in curves.items()
    }
    listed = ", ".join(f"{value.text(0)} (M = {m})" for m, value in taken.items())
    change = 100 * (taken[max(taken)].mean / taken[min(taken)].mean - 1)
    verdict = "holds" if change < 0 else "does not hold"
    return (
        f"At {target:.2f} dB we measured {listed} bytes per picture, {change:+.0f} % from the fewest to the most: "
        f"it {verdict} here."
    )


def bytes_at(curve: Curve, target_db: float) -> float:
    """Return the bytes at a quality within the curve, interpolated on the logarithmic scale."""
    rising = sorted(curve, key=lambda point: point[1])
    return float(np.exp(np.interp(target_db, [db for _, db in rising], [math.log(size) for size, _ in rising])))


def draw_figure(
    number: int, question: Question, by_variant: dict[str, list[Row]], folder: Path, circumstances: Row
) -> str:
    """Write the figure of a question and return its name."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    axes = figure.add_subplot()
    axes.set_ylabel("PSNR (dB)")
    if not (question.pairs or question.weight_bits or question.steps):
        for (pictures, by_seed), marker in zip(curves_of(by_variant).items(), "osD^v", strict=False):
            for seed, curve in by_seed.items():
                label = f"M = {pictures}" if seed == min(by_seed) else None
                axes.plot(
                    *zip(*curve, strict=True), marker=marker, color="black", alpha=0.6, linewidth=0.8, label=label
                )
        axes.set_xscale("log")
        axes.set_xlabel("bytes a picture")
        axes.legend(frameon=False)
    else:
        places = range(len(by_variant))
        for place, rows in zip(places, by_variant.values(), strict=True):
            axes.plot([place] * len(rows), [row["psnr_db"] for row in rows], "o", color="grey", markersize=4)
        means = [mean(row["psnr_db"] for row in rows) for rows in by_variant.values()]
        is_scale = bool(question.weight_bits or question.steps)
        axes.plot(places, means, "_k" if not is_scale else "-k", markersize=18)
        ceiling = mean(row["ceiling_db"] for rows in by_variant.values() for row in rows)
        if ceiling - max(means) <= SHOWN_BELOW_CEILING_DB:  # otherwise it would leave no room for the differences
            axes.axhline(ceiling, linestyle=":", color="grey")
        axes.set_xticks(list(places), [name.replace(", ", ",\n") for name in by_variant], fontsize=8)
        axes.set_title(f"dots: seeds; the autoencoder alone: {ceiling:.2f} dB", fontsize=8)
    where = "-".join([circumstances["size"], *circumstances["data"]])
    name = f"experiment-{number}-{where}.png"
    figure.savefig(folder / name, dpi=150, metadata={"Software": None})
    return name
