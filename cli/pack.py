"""``unicorn pack``: a folder of pictures becomes one file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from unicorn_codec.config import (
    MOST_EFFORT,
    RANDOM_EFFORT,
    USUAL_EFFORT,
    USUAL_ROUND_PIXELS,
    WEIGHT_FORMATS,
    PackOptions,
    ReadOptions,
    TrainConfig,
)
from unicorn_codec.format.header import (
    CONDITIONS,
    INDEX_EMBEDDINGS,
    MAX_DEPTH,
    MAX_HIDDEN_SIZE,
    MAX_STEPS,
)
from unicorn_codec.model_registry import default_name
from unicorn_codec.quality import USUAL_QUALITY

from .options import a_path, device_option, json_option, overwrite_option, read_options, together
from .parameters import ByteSize, Duration
from .report import found_text, pack_text
from .values import pack_values, to_json

if TYPE_CHECKING:  # at run time these would load torch or Pillow
    from unicorn_codec.network.planning import Plan
    from unicorn_codec.pictures.images import Folder


def _usual_effort(device: str) -> str:
    """The default of ``--effort`` on a kind of device, in words."""
    rounds, most = USUAL_EFFORT[device], USUAL_ROUND_PIXELS[device] // 10**6
    return f"{rounds}, fewer above {most // rounds} megapixels in all, none above {most}"


target_options = together(
    click.option("--bpp", "bits_per_pixel", type=float, help="Wanted rate of the file, in bits per pixel."),
    click.option("--size", "file_bytes", type=ByteSize(), help="Wanted size of the file, such as 300kB or 3MB."),
    click.option(
        "--quality",
        type=click.FloatRange(0, 100),
        help="Wanted quality instead: about the SSIMULACRA2 that photographs reach. 30 is low, 50 medium, 70 high, 90 "
        f"hard to tell from the original. What latents do not reach is stored by AVIF.  [default: {USUAL_QUALITY:g}]",
    ),
    click.option(
        "--lambda",
        "slope",
        type=click.FloatRange(0, min_open=True),
        help="The squared error that a bit per pixel is worth instead: 50 is the finest, 28800 the coarsest.",
    ),
    click.option(
        "--step",
        "latent_step",
        type=click.FloatRange(min=1),
        help="Quantisation step of the codes instead: 1 is the finest.",
    ),
    click.option(
        "--effort",
        type=click.IntRange(0, MOST_EFFORT),
        help="Rounds in which each picture's code is refined: decoded, and changed for a better picture of fewer bits. "
        f"A round takes about as long as decoding three times. From {RANDOM_EFFORT} on they search further: 50 or 100 "
        "for what is to be as small as can be; 13 to 39 hardly gain more than a dozen.  "
        f"[default: {_usual_effort('cpu')}; on a GPU {_usual_effort('cuda')}]",
    ),
    click.option(
        "--tune",
        is_flag=True,
        help="Fit the autoencoder's decoder to the pictures, where squared errors and structure gain more than its "
        "bytes cost. Cloth and fur come out smoother. Takes many minutes, and is for files of 600 kB and more.",
    ),
    click.option(
        "--each-alone",
        is_flag=True,
        help="Store no picture as what it changes of another one. Else pictures that are nearly alike, such as stills "
        "of one camera, become sequences of up to 32, where that takes fewer bytes.",
    ),
)

quality_options = together(
    click.option(
        "--min-psnr",
        "min_psnr_db",
        type=float,
        help="Store every picture that comes back with a lower PSNR, in dB, by AVIF at the quality that it takes.",
    ),
    click.option("--min-ms-ssim", type=float, help="The same for MS-SSIM, 0 to 1."),
)

network_options = together(
    click.option(
        "--index-only",
        is_flag=True,
        help="Put everything into the weights of a network, as the paper does: minutes to hours of training, and only "
        "the index is left to be told. The options below say how, and imply it.",
    ),
    click.option(
        "--hidden-size",
        type=click.IntRange(4, MAX_HIDDEN_SIZE),
        help="Width of the network.  [default: about 1.5 parameters a latent value]",
    ),
    click.option(
        "--depth", type=click.IntRange(1, MAX_DEPTH), help="Blocks of the network.  [default: by its size, at most 12]"
    ),
    click.option(
        "--weight-format",
        type=click.Choice(WEIGHT_FORMATS),
        help="Weights as the paper's small floats, or as integers that training heeds and an entropy coder "
        "takes.  [default: float]",
    ),
    click.option(
        "--weight-bits",
        type=click.IntRange(3, 32),
        help="Bits of a stored weight: 8 to 32 of a float, 3 to 8 of an integer on average.  [default: 14, or 5]",
    ),
    click.option(
        "--exponent-bits",
        type=click.IntRange(2, 8),
        help="How many bits of a float are the exponent.  [default: 4, more above 28 bits]",
    ),
    click.option(
        "--condition",
        type=click.Choice(CONDITIONS),
        help="How the index enters the network: cross-attention with gates (cag) or without (ca), as tokens in context "
        "(icc), by adaptive norms (alnz).  [default: cag]",
    ),
    click.option(
        "--index-embedding",
        type=click.Choice(INDEX_EMBEDDINGS),
        help="What the network sees of the index: waves of random (grf) or decaying frequencies (edf), a learned row "
        "a picture (let), or an MLP of the plain number (mlp).  [default: grf]",
    ),
    click.option(
        "--latent-std",
        type=click.FloatRange(0, 1000, min_open=True),
        help="Deviation to which latents are normalised, the paper's 1/3 or 1.  [default: 1/3]",
    ),
)

training_options = together(
    click.option(
        "--steps",
        type=click.IntRange(1, MAX_STEPS),
        help="Sampling steps that the file asks for.  [default: the number that measures best]",
    ),
    click.option(
        "--time",
        "seconds",
        type=Duration(),
        help="Such as 90s, 10m or 1.5h: how long a network is trained, or, without one, how long packing may take, "
        "about: it decides the effort.",
    ),
    click.option("--epochs", type=click.IntRange(min=1), help="Visits of every picture, instead of a time."),
    click.option("--resume", is_flag=True, help="Go on from the checkpoint that Ctrl-C, or a crash, left."),
)

common_options = together(
    click.option(
        "--seed",
        type=click.IntRange(0, (1 << 64) - 1),
        default=0,
        show_default=True,
        help="Decides all that is drawn at random; stored in the file.",
    ),
    device_option,
    click.option(
        "--autoencoder",
        metavar="NAME|HUB-ID|FOLDER",
        default=default_name(),
        show_default=True,
        help="Pixels to latents: the package's own, or (with --index-only) one of diffusers.",
    ),
)


NETWORK_SETTINGS = (
    "hidden_size",
    "depth",
    "weight_format",
    "weight_bits",
    "exponent_bits",
    "steps",
    "condition",
    "index_embedding",
    "latent_std",
)


@click.command()
@click.argument("folder", type=a_path)
@click.argument("output", metavar="OUTPUT.uni", type=a_path)
@target_options
@quality_options
@network_options
@training_options
@common_options
@read_options
@overwrite_option
@json_option
def pack(folder: Path, output: Path, as_json: bool, **settings: Any) -> None:
    """Pack all pictures below FOLDER into one file.

    JPEG, PNG, WebP, AVIF, TIFF, BMP and GIF (its first frame) are read; names and sizes are kept. The file is opened
    again in the end and measured.

    Every picture gets a code of its own, which is refined; --index-only trains a network on all of them instead.
    Ctrl-C leaves a checkpoint beside the output; --resume goes on from it.
    """
    options = pack_options(**settings)

    from unicorn_codec import archive

    from .progress import Bars

    def announce(found: "Folder", plan: "Plan | None") -> None:
        click.echo(found_text(found, plan) + "\n", err=as_json)

    with Bars(announce) as bars:
        report = archive.pack(folder, output, options, bars)
    click.echo(to_json(pack_values(report)) if as_json else "\n" + pack_text(output, report))


def pack_options(
    *,
    max_side: int | None,
    background: tuple[int, int, int],
    skip_unreadable: bool,
    seconds: float | None,
    epochs: int | None,
    index_only: bool,
    **others: Any,
) -> PackOptions:
    """The library's settings from the command's; what was not given keeps the library's default."""
    if seconds is not None and epochs is not None:
        raise click.UsageError("--time and --epochs exclude each other")
    of_network = _given(**{name: others.get(name) for name in NETWORK_SETTINGS}, epochs=epochs)
    is_network = index_only or bool(of_network)
    return PackOptions(
        index_only=is_network,
        read=ReadOptions(max_side=max_side or 0, background=background, skip_unreadable=skip_unreadable),
        train=TrainConfig(**_given(seconds=seconds if is_network else None, epochs=epochs)),
        **_given(**others, seconds=None if is_network else seconds),
    )


def _given(**settings: Any) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}
