"""``unicorn pack``: pack a folder of pictures into one file."""

from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from unicorn_codec.config import CodesOptions, Goal, Learning, OverfitOptions, PackOptions, Target
from unicorn_codec.network_options import NetworkOptions, TrainConfig

from .grouped import GroupedCommand
from .options import (
    a_path,
    metadata_options_of,
    read_options_of,
)
from .pack_option_groups import (
    effort_options,
    input_options,
    metadata_options,
    network_options,
    output_options,
    target_options,
    whole_file_options,
    worker_options,
)
from .parameters import ArchivePath
from .report import found_text, pack_text
from .values import pack_values, to_json
from .whole_files import WithExact, original_options_of

if TYPE_CHECKING:  # at run time these would load torch or Pillow
    from unicorn_codec.network.planning import NetworkPlan
    from unicorn_codec.pictures.picture_folder import Folder


TARGETS = {
    "quality": Goal.QUALITY,
    "bpp": Goal.RATE,
    "size": Goal.SIZE,
    "step": Goal.STEP,
    "rd_lambda": Goal.RD_LAMBDA,
}
NETWORK_SETTINGS = (
    "hidden_size",
    "depth",
    "weight_format",
    "weight_bits",
    "exponent_bits",
    "sampling_steps",
    "condition",
    "index_embedding",
    "latent_std",
)
CODES_SETTINGS = (
    "effort",
    "seconds",
    "goal",
    "importance",
    "roi",
    "metric",
    "min_psnr_db",
    "min_ms_ssim",
    "depends_on",
)
OPTION_NAMES = {
    "rd_lambda": "--lambda",
    "seconds": "--time",
    "train_seconds": "--train-time",
    "min_psnr_db": "--min-psnr",
}
"""Names of options that differ from their parameters'."""


class PackCommand(WithExact, GroupedCommand):
    """Command with grouped options, and ``--exact``."""


@click.command(cls=PackCommand)
@click.argument("inputs", metavar="FOLDER|URL|SHARD...", nargs=-1, required=True, type=ArchivePath())
@click.argument("output", metavar="OUTPUT.uni", type=a_path)
@target_options
@effort_options
@input_options
@whole_file_options
@metadata_options
@output_options
@worker_options
@network_options
def pack(
    inputs: tuple[Path | str, ...],
    output: Path,
    as_json: bool,
    page: Path | None,
    workers: int | None,
    scheduler: str | None,
    files_from: IO[bytes] | None,
    **settings: Any,
) -> None:
    """Pack all pictures below FOLDER, or in tar and parquet files, into one file.

    Reads JPEG, PNG, WebP, AVIF, TIFF, BMP and GIF; HEIC and camera raw with the extras heif and raw. Files are
    recognised by their content. Pictures keep their names and sizes. Every file that is left out is listed with the
    reason, or kept with --keep-others. At the end, the written file is decoded and measured.

    FOLDER may be a URL such as s3://bucket/photos, whose files are fetched to a temporary folder first.

    Ctrl-C leaves a checkpoint next to the output; --resume continues from it.
    """
    options = pack_options(**settings)
    is_portioned = workers is not None or scheduler is not None
    if workers is not None and scheduler is not None:
        raise click.UsageError("give --workers or --scheduler, not both")
    if is_portioned and not isinstance(options, CodesOptions):
        raise click.UsageError("--workers and --scheduler cannot be combined with --index-only")
    names = None if files_from is None else names_in(files_from)

    from unicorn_codec.viewing.report import refuse_report_page, write_report_page

    from .progress import Bars

    if page is not None:
        refuse_report_page(page, overwrite=options.overwrite)
    originals: list[Folder] = []

    def announce(found: "Folder", plan: "NetworkPlan | None") -> None:
        originals.append(found)
        click.echo(found_text(found, plan) + "\n", err=as_json)

    with Bars(announce) as bars:
        if is_portioned and isinstance(options, CodesOptions):
            from unicorn_codec.portions.pack import pack_in_portions
            from unicorn_codec.portions.workers import executor_of

            with executor_of(workers, scheduler) as executor:
                report = pack_in_portions(inputs, output, executor, options, bars, names)
        else:
            from unicorn_codec.packing.pack import pack as pack_alone

            report = pack_alone(inputs, output, options, bars, names)
    if page is not None:
        write_report_page(page, output, originals[-1], options, report, overwrite=options.overwrite)
        click.echo(f"written {page}", err=True)
    click.echo(to_json(pack_values(report)) if as_json else "\n" + pack_text(output, report))


def names_in(file: IO[bytes]) -> list[str]:
    """Return the names of a list, one a line."""
    return [line.decode("utf-8", "surrogateescape") for line in file.read().splitlines() if line]


def pack_options(
    *,
    index_only: bool,
    overfit: bool,
    sequences: bool,
    avif: bool,
    reuse: bool,
    learning: Learning | None,
    exact: tuple[str, ...],
    keep_others: bool,
    **settings: Any,
) -> PackOptions:
    """Return the library's options for the command's; options not given keep the library's default."""
    common = {name: settings[name] for name in ("seed", "device", "resume", "overwrite", "self_contained", "measure")}
    common |= _given(settings, ("autoencoder",))
    common["read"] = read_options_of(settings)
    common["metadata"] = metadata_options_of(settings["strip"], settings["checksums"])
    targets = _given(settings, TARGETS)
    if len(targets) > 1:
        raise click.UsageError(f"give one target, not {_listed(targets)}")
    for name, value in targets.items():
        common["target"] = Target(TARGETS[name], value)
    of_network, of_codes = _given(settings, NETWORK_SETTINGS), _given(settings, CODES_SETTINGS)
    training = _given(settings, ("train_seconds", "epochs"))
    if len(training) > 1:
        raise click.UsageError(f"give one of {_listed(training)}")
    is_of_network = bool(index_only or of_network or training)
    if overfit and is_of_network:
        raise click.UsageError("--overfit cannot be combined with --index-only and its options")
    if not (overfit or is_of_network):
        originals = original_options_of(exact, keep_others=keep_others)
        return CodesOptions(
            sequences=sequences, avif=avif, reuse=reuse, learning=learning, originals=originals, **of_codes, **common
        )
    flags = {
        "learn": learning != Learning(),
        "no_sequences": not sequences,
        "no_avif": not avif,
        "no_reuse": not reuse,
        "exact": exact,
        "keep_others": keep_others,
    }
    effort = of_codes.pop("effort", None) if overfit else None
    if wrong := [*of_codes, *(name for name, is_given in flags.items() if is_given)]:
        raise click.UsageError(f"{_listed(wrong)} cannot be combined with {'--overfit' if overfit else '--index-only'}")
    if overfit:
        return OverfitOptions(effort=effort, **common)
    train = {name.removeprefix("train_"): value for name, value in training.items()}
    return NetworkOptions(train=TrainConfig(**train), **of_network, **common)


def _given(settings: dict[str, Any], names: Any) -> dict[str, Any]:
    return {name: settings[name] for name in names if settings[name] is not None}


def _listed(names: Any) -> str:
    return ", ".join(OPTION_NAMES.get(name, "--" + name.replace("_", "-")) for name in names)
