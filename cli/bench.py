"""``unicorn bench``: compare this codec with others on a folder."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from .grouped import grouped
from .options import a_path, device_option, json_option, overwrite_option, read_options, read_options_of
from .parameters import Duration
from .values import to_json


@click.command()
@click.argument("folder", type=a_path)
@click.option("--out", "output", metavar="FOLDER", type=a_path, required=True, help="Folder for the results.")
@click.option(
    "--pictures", type=click.IntRange(min=1), help="Maximum number of pictures, drawn at random.  [default: all]"
)
@click.option(
    "--codecs",
    metavar="NAME,...",
    help="Codecs to run, such as unicorn,avif,jpeg, or all (hours of work).  [default: eleven]",
)
@click.option(
    "--points",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Maximum number of settings of each rival codec.",
)
@click.option(
    "--metrics-every",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Measure the distortion of one picture in N. Rates always cover all pictures.",
)
@click.option(
    "--train-time", "seconds", type=Duration(), help="Also make index-only archives, each trained for this time."
)
@click.option(
    "--features", metavar="FILE", type=a_path, help="Weights of SqueezeNet 1.1's features, for the perceptual distance."
)
@click.option(
    "--seed",
    type=click.IntRange(0, (1 << 64) - 1),
    default=0,
    show_default=True,
    help="Random seed.",
)
@device_option
@grouped("Input", *read_options)
@overwrite_option
@json_option
def bench(
    folder: Path,
    output: Path,
    pictures: int | None,
    codecs: str | None,
    points: int,
    metrics_every: int,
    seconds: float | None,
    features: Path | None,
    seed: int,
    device: str,
    overwrite: bool,
    as_json: bool,
    **reading: Any,
) -> None:
    """Compare this codec with others on the pictures below FOLDER.

    Every codec writes and decodes real files; rate and distortion are measured on those. The output folder holds
    bench.json, table.md, one plot per metric (PNG, SVG) and all written files, below files/. Codecs that are not
    installed are skipped, with the reason. Requires unicorn-codec[bench]; unicorn-codec[judge] adds a perceptual
    distance and KID by features that nothing here was trained on, unicorn-codec[metrics] further metrics, whose weights
    must be present on this machine.
    """
    from unicorn_codec.bench import comparison as library
    from unicorn_codec.bench.own_codec import Unicorn, own_settings
    from unicorn_codec.pictures.transparency import WHITE

    reading["background"] = reading["background"] or WHITE  # most of the codecs have no transparency
    read = read_options_of(reading)
    own = Unicorn(settings=own_settings(read=read, seconds=seconds, seed=seed, device=device))
    options = library.BenchOptions(
        read=read,
        pictures=pictures,
        seed=seed,
        device=device,
        points=points,
        metrics_every=metrics_every,
        features=features,
        command=shlex.join(["unicorn", *sys.argv[1:]]),
        overwrite=overwrite,
    )
    names = [name.strip() for name in codecs.split(",")] if codecs else []
    chosen = library.select_codecs([own, *library.rivals(read, seed)], names)
    result = library.bench(folder, output, chosen, options, lambda line: click.echo(line, err=True))
    if as_json:
        values = {"verdict": result.verdict, "points": len(result.points), "skipped": result.skipped}
        click.echo(to_json(values | {"results": str(output / library.JSON_NAME)}))
        return
    click.echo(result.verdict)
    click.echo(f"see {output / library.TABLE_NAME}")
