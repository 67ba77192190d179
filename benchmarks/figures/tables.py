"""Tables of README and docs from the files that ``make results`` wrote, with the noise of every figure.

A figure is the difference in bytes at equal mean quality (BD-rate) from the envelope of AVIF's settings without
containers. Its noise is the standard error over the choice of pictures, by a bootstrap: the same pictures are drawn
again for both codecs, and the BD-rate is computed anew.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures.plan import SET_RESULTS, SetResult
from unicorn_codec.bench.anchors import FAMILIES, family_of
from unicorn_codec.bench.bd_rate import RatePoint, bd_rate
from unicorn_codec.bench.own_codec import OWN_NAME
from unicorn_codec.bench.quality_metrics import METRICS

ROOT = Path(__file__).parent.parent.parent
FIGURES = ROOT / "benchmarks" / "results" / "figures"
PUBLISHED = Path(__file__).parent / "published_kodak.json"
JUDGES = ("psnr_db", "ms_ssim", "ssimulacra2", "judge_distance")
ANCHOR = FAMILIES[0]
DRAWS = 100
DASH = "—"
SHARE_OF_OVERLAP = 0.5
"""Curves that share less than this of a metric's ``least_overlap`` have no BD-rate here: ours have few points."""

TITLES = {
    OWN_NAME: "unicorn",
    "avif": "AVIF, best of its settings, with containers",
    "jpeg-xl": "JPEG XL, effort 7 and 9",
    "film": "film, SVT-AV1 and x265",
    "vvc": "VVC intra (vvenc, medium)",
    "webp": "WebP",
    "jpeg": "JPEG",
}

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Columns:
    """Values of one codec at one setting, of every compared picture."""

    family: str
    setting: str
    pixels: Floats
    bytes: Floats
    bare_bytes: Floats
    qualities: Mapping[str, Floats]

    def rate_point(self, metric: str, chosen: Any, *, bare: bool) -> RatePoint:
        """Return the rate and the mean quality of some pictures."""
        size = (self.bare_bytes if bare else self.bytes)[chosen].sum()
        quality = METRICS[metric].quality(float(self.qualities[metric][chosen].mean()))
        return RatePoint(8 * float(size) / float(self.pixels[chosen].sum()), quality)


@dataclass(frozen=True)
class Measured:
    """A result's file."""

    about: SetResult
    values: Mapping[str, Any]

    @cached_property
    def columns(self) -> list[Columns]:
        """The points of all codecs, on the pictures that all of them coded."""
        places = [self.values["packed"].index(name) for name in self.values["compared"]]
        return [self._columns_of(point, places) for point in self.values["points"]]

    def _columns_of(self, point: Mapping[str, Any], places: Sequence[int]) -> Columns:
        own = point["codec"] == OWN_NAME

        def column(name: str) -> Floats:
            values = np.array(point[name], np.float64)
            return values[places] if own else values

        return Columns(
            family=OWN_NAME if own else (family_of(point["codec"]) or point["codec"]),
            setting=point["setting"],
            pixels=column("pixels"),
            bytes=column("bytes"),
            bare_bytes=column("bare_bytes"),
            qualities={metric: column(metric) for metric in JUDGES},
        )

    @property
    def own_points(self) -> list[Mapping[str, Any]]:
        """Our points on all packed pictures, by rising rate."""
        return sorted((p for p in self.values["points"] if p["codec"] == OWN_NAME), key=lambda p: sum(p["bytes"]))

    @cached_property
    def is_compared(self) -> bool:
        """Whether ours and the anchor's points overlap by any metric. Until then a result has no row."""
        everything = np.arange(len(self.values["compared"]))
        return any(self._bd_rate(OWN_NAME, metric, everything) is not None for metric in JUDGES)

    def gain(self, family: str, metric: str) -> tuple[float, float] | None:
        """Return the BD-rate of a family of settings against the anchor and its standard error, in per cent."""
        everything = np.arange(len(self.values["compared"]))
        found = self._bd_rate(family, metric, everything)
        if found is None:
            return None
        random = np.random.default_rng(0)
        draws = [self._bd_rate(family, metric, random.choice(everything, len(everything))) for _ in range(DRAWS)]
        known = [draw for draw in draws if draw is not None]
        return found, float(np.std(known)) if len(known) > 1 else float("nan")

    def _bd_rate(self, family: str, metric: str, chosen: Any) -> float | None:
        anchor = [c.rate_point(metric, chosen, bare=True) for c in self.columns if c.family == ANCHOR]
        test = [c.rate_point(metric, chosen, bare=family != ANCHOR) for c in self.columns if c.family == family]
        found = bd_rate(anchor, test, SHARE_OF_OVERLAP * METRICS[metric].least_overlap)
        return None if found is None else found.percent

    def processor_s(self, family: str) -> tuple[float, float]:
        """Return the mean processor seconds a megapixel to encode and to decode at a family's settings."""
        points = [p for p in self.values["points"] if (family_of(p["codec"]) or p["codec"]) == family]
        megapixels = [sum(point["pixels"]) / 1e6 for point in points]
        encode, decode = (
            float(np.mean([point[name] / size for point, size in zip(points, megapixels, strict=True)]))
            for name in ("encode_s", "decode_s")
        )
        return encode, decode


def read_results(folder: Path = FIGURES) -> list[Measured]:
    """Return the results that are there, in the plan's order."""
    found = [(result, folder / f"{result.name}.json") for result in SET_RESULTS]
    return [Measured(result, json.loads(path.read_text())) for result, path in found if path.exists()]


def gain_text(gain: tuple[float, float] | None) -> str:
    """Return a BD-rate with its standard error, in per cent, or a dash."""
    return DASH if gain is None else f"{gain[0]:+.0f}±{gain[1]:.0f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)).replace(
        "| --- ", "|---"
    )


def readme_table(results: Sequence[Measured]) -> str:
    """Return the rows of the README: ours against the anchor, and JPEG XL."""
    head = ["pictures", "count", *(METRICS[m].title.split(" (")[0] for m in JUDGES), "JPEG XL, SSIMULACRA2"]
    rows = [
        [
            result.about.title,
            str(len(result.values["compared"])),
            *(gain_text(result.gain(OWN_NAME, metric)) for metric in JUDGES),
            gain_text(result.gain("jpeg-xl", "ssimulacra2")),
        ]
        for result in results
        if result.is_compared
    ]
    return table(head, rows)


def rival_tables(results: Sequence[Measured]) -> str:
    """Return a table of every codec on every set."""
    head = ["pictures", "codec", *(METRICS[m].title.split(" (")[0] for m in JUDGES), "encode, s/MP", "decode, s/MP"]
    rows: list[list[str]] = []
    for result in (result for result in results if result.is_compared):
        seen = " (of a source that the models were trained on)" if result.about.seen else ""
        first = f"{result.about.title}{seen}: {len(result.values['compared'])}"
        families = {column.family for column in result.columns}
        for family in (name for name in TITLES if name in families):
            gains = [gain_text(result.gain(family, metric)) for metric in JUDGES]
            rows.append(
                [
                    first,
                    TITLES[family],
                    *gains,
                    *(f"{s:.0f}" if s >= 10 else f"{s:.2g}" for s in result.processor_s(family)),
                ]
            )
    return table(head, once(rows, 0))


def own_table(results: Sequence[Measured]) -> str:
    """Return every archive of this codec: rate, qualities, what it holds, and what it cost."""
    head = ["pictures", "packed", "bytes", "bits/pixel", "PSNR", "MS-SSIM", "SSIMULACRA2", "judge distance", "KID"]
    rows = []
    for result in results:
        for point in result.own_points:
            rate = 8 * point["file_bytes"] / sum(point["pixels"])
            means = [float(np.mean([value for value in point[metric] if value is not None])) for metric in JUDGES]
            qualities = [f"{mean:.{METRICS[m].decimals}f}" for m, mean in zip(JUDGES, means, strict=True)]
            kid = DASH if point["kid"] is None else f"{point['kid']:.4f}"
            stored = ", ".join(f"{count} {kind}" for kind, count in point["stored_as"].items())
            row = [result.about.title, str(len(point["pixels"])), f"{point['file_bytes']:,}", f"{rate:.3f}"]
            rows.append(
                [*row, *qualities, kid, f"{point['update_bytes']:,}" if point["update_bytes"] else DASH, stored]
            )
    return table([*head, "update, bytes", "stored as"], once(rows, 0, 1))


def kodak_table(results: Sequence[Measured]) -> str:
    """Return our rows of Kodak with published ones."""
    rows = []
    for result in (result for result in results if result.about.name == "kodak"):
        for point in result.own_points:
            rate = 8 * point["file_bytes"] / sum(point["pixels"])
            qualities = [float(np.mean(point[metric])) for metric in JUDGES[:3]]
            decode = f"{point['decode_s'] / len(point['pixels']):.2f} s of a processor a picture"
            rows.append(_kodak_row(f"**unicorn**, `{point['model']}`, its defaults", rate, qualities, decode))
    for codec in json.loads(PUBLISHED.read_text())["codecs"]:
        name = f"[{codec['name']}]({codec['source']}): {codec['what']}"
        rows += [_kodak_row(name, rate, [*found, None], codec.get("decoder", DASH)) for rate, *found in codec["points"]]
    return table(["codec", "bits/pixel", "PSNR", "MS-SSIM", "SSIMULACRA2", "decoder"], once(rows, 0, 5))


def _kodak_row(name: str, rate: float, qualities: Sequence[float | None], decoder: str) -> list[str]:
    cells = [
        DASH if value is None else f"{value:.{METRICS[metric].decimals}f}"
        for metric, value in zip(JUDGES, qualities, strict=False)
    ]
    return [name, f"{rate:.3f}", *cells, decoder]


def once(rows: Sequence[Sequence[str]], *columns: int) -> list[list[str]]:
    """Return rows whose cells in some columns are empty where the row above has the same first cell and this one."""
    return [
        [
            ""
            if number and column in columns and (row[0], cell) == (rows[number - 1][0], rows[number - 1][column])
            else cell
            for column, cell in enumerate(row)
        ]
        for number, row in enumerate(rows)
    ]


def origin_text(results: Sequence[Measured]) -> str:
    """Return what made the results."""
    lines = {
        f"`{r.values['command']}`: {r.values['date'][:10]}, {r.values['device']}, {r.values['cores']} cores, "
        f"unicorn-codec {r.values['versions']['unicorn-codec']}, PyTorch {r.values['versions']['torch']}, Pillow "
        f"{r.values['versions']['pillow']}, models {r.values['models_sha256'][:12]}."
        for r in results
    }
    return "\n".join(sorted(lines))


PARTS = {
    "README.md": {"readme": readme_table},
    "docs/results.md": {"rivals": rival_tables, "archives": own_table, "kodak": kodak_table, "origin": origin_text},
}
"""Pages and their parts, each between ``<!--results:NAME-->`` and ``<!--end-->``."""


def rewritten(text: str, parts: Mapping[str, str]) -> str:
    """Return a page with its parts replaced."""
    for name, part in parts.items():
        marked = re.compile(rf"(<!--results:{name}-->\n).*?(\n<!--end-->)", re.DOTALL)
        text = marked.sub(lambda found, part=part: f"{found[1]}{part}{found[2]}", text)  # type: ignore[misc]
    return text


def pages(results: Sequence[Measured]) -> Iterator[tuple[Path, str]]:
    """Yield every page with its parts made from results."""
    for name, parts in PARTS.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        yield ROOT / name, rewritten(text, {part: make(results) for part, make in parts.items()})


def write_pages() -> Iterator[Path]:
    """Write the parts of all pages, and yield the changed pages."""
    results = read_results()
    if not results:
        return
    for path, text in pages(results):
        if text != path.read_text(encoding="utf-8"):
            path.write_text(text, encoding="utf-8")
            yield path
