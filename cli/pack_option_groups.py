"""Groups of options of ``unicorn pack``."""

import click

from unicorn_codec.config import GOALS, MEASURED_PICTURES, METRICS, CodesOptions
from unicorn_codec.effort import (
    DEFAULT_EFFORT,
    DEFAULT_ROUND_PIXELS,
    LEAST_EFFORT,
    MAX_EFFORT,
    RANDOM_EFFORT,
    SHORT_EFFORT,
)
from unicorn_codec.format.header import (
    CONDITIONS,
    INDEX_EMBEDDINGS,
    MAX_DEPTH,
    MAX_HIDDEN_SIZE,
    MAX_STEPS,
)
from unicorn_codec.format.limits import MAX_SEQUENCE
from unicorn_codec.network_options import WEIGHT_FORMATS
from unicorn_codec.quality import DEFAULT_QUALITY

from .grouped import grouped, option
from .options import (
    a_path,
    checksums_settings,
    device_settings,
    json_settings,
    log_settings,
    overwrite_settings,
    read_options,
    self_contained_settings,
    strip_settings,
)
from .parameters import ByteSize, Duration, LearningBudget, RegionOfPicture
from .whole_files import exact_settings, keep_others_settings


def _default_effort(device: str) -> str:
    """Describe the default of ``--effort`` on a kind of device."""
    rounds, most = DEFAULT_EFFORT[device], DEFAULT_ROUND_PIXELS[device] // 10**6
    return f"{rounds}, fewer above {most // rounds} megapixels in all, at least {LEAST_EFFORT}"


target_options = grouped(
    "Target",
    option(
        "--quality",
        type=click.FloatRange(0, 100),
        help="Quality, roughly the SSIMULACRA2 of photographs: 30 is low, 50 medium, 70 high, 90 hard to distinguish "
        f"from the original. Where codes do not reach it, pictures are stored as AVIF.  [default: {DEFAULT_QUALITY:g}]",
    ),
    option("--bpp", type=float, help="Target rate of the file in bits per pixel, instead of a quality."),
    option("--size", type=ByteSize(), help="Target size of the file, such as 300kB or 3MB, instead of a quality."),
    option(
        "--min-psnr",
        "min_psnr_db",
        type=float,
        help="Minimum PSNR in dB. Pictures below it are stored as AVIF at the lowest quality that reaches it.",
    ),
    option("--min-ms-ssim", type=float, advanced=True, help="Minimum MS-SSIM, 0 to 1, enforced like --min-psnr."),
    option("--step", type=click.FloatRange(1), advanced=True, help="Quantisation step of the codes; 1 is the finest."),
    option(
        "--lambda",
        "rd_lambda",
        type=click.FloatRange(0, min_open=True),
        advanced=True,
        help="Lagrange multiplier: squared error per bit per pixel. 50 gives the finest step, 28800 the coarsest.",
    ),
)

effort_options = grouped(
    "Effort",
    option(
        "--effort",
        type=click.IntRange(0, MAX_EFFORT),
        help="Rounds of refinement of each picture's code; docs/effort.md lists times and savings. From "
        f"{RANDOM_EFFORT} on, the search is wider; counts between hardly gain more than {SHORT_EFFORT}.  "
        f"[default: {_default_effort('cpu')}; on a GPU {_default_effort('cuda')}]",
    ),
    option(
        "--overfit",
        is_flag=True,
        advanced=True,
        help="Overfit a function to each picture's latents and store it, as in CLRIC, with any autoencoder; --effort "
        "is then the percentage of the full training. Takes minutes a picture.",
    ),
    option("--time", "seconds", type=Duration(), help="Time budget, such as 90s or 10m. Lowers the effort to fit."),
    option("--device", advanced=True, **device_settings),
    option(
        "--no-sequences",
        "sequences",
        is_flag=True,
        default=True,
        flag_value=False,
        advanced=True,
        help="Code every picture independently; do not group near-duplicates into sequences.",
    ),
    option(
        "--no-avif",
        "avif",
        is_flag=True,
        default=True,
        flag_value=False,
        advanced=True,
        help="Code every picture as latents; do not store those as AVIF that it codes better, such as print.",
    ),
    option(
        "--goal",
        type=click.Choice(GOALS),
        advanced=True,
        help="Spread the same bytes over the pictures by this goal: the best mean SSIMULACRA2 (mean), the same "
        "SSIMULACRA2 for all (worst), or the best mean PSNR (psnr).  [default: the same quantisation step for all]",
    ),
    option(
        "--importance",
        metavar="FOLDER|TABLE.csv",
        type=a_path,
        advanced=True,
        help="What counts more. A folder: gray masks of pictures, with the same names; white parts count 16 times, "
        "black ones a quarter. A table: weights of pictures, a line each: a name or pattern, a comma, 1/64 to 64. "
        "Errors of weight 4 count four times, which halves the quantisation step.",
    ),
    option(
        "--roi",
        type=RegionOfPicture(),
        advanced=True,
        help="Region of each picture that counts more, as if its mask were white there and black elsewhere: from the "
        "left, from the top, width, height, in pixels or per cent, such as 25%,25%,50%,50%.",
    ),
    option(
        "--metric",
        type=click.Choice(METRICS),
        advanced=True,
        help="Measure that refinement improves at the others' cost: psnr, ms-ssim, or perceptual (SSIMULACRA2).  "
        "[default: squared error and structure together]",
    ),
    option(
        "--no-reuse",
        "reuse",
        is_flag=True,
        default=True,
        flag_value=False,
        advanced=True,
        help="Code every picture anew; do not take over the codes that unpacked files carry.",
    ),
    option(
        "--depends-on",
        type=click.IntRange(1, MAX_SEQUENCE - 1),
        advanced=True,
        help="Number of other near-duplicates that one may depend on, and that are read with it. Fewer of them make "
        f"larger files.  [default: {CodesOptions().depends_on}]",
    ),
    option(
        "--learn",
        "learning",
        type=LearningBudget(),
        default="auto",
        show_default=True,
        help="Train the networks on the pictures, and store what they learned where it saves more than its bytes: "
        "auto probes for a minute at most and then trains for minutes at most, off does not, a time such as 20m is "
        "spent on it.",
    ),
)

input_options = grouped(
    "Input",
    *read_options,
    option(
        "--files-from",
        metavar="LIST",
        type=click.File("rb"),
        advanced=True,
        help="Pack only the files that LIST names, one a line, relative to FOLDER; - reads them from stdin.",
    ),
)

worker_options = grouped(
    "Large folders",
    option(
        "--workers",
        type=click.IntRange(1),
        advanced=True,
        help="Pack in portions, in so many processes that share the cores. The file does not depend on their number. "
        "A folder next to the output holds finished portions until all are joined; --resume continues from there.",
    ),
    option(
        "--scheduler",
        metavar="ADDRESS",
        advanced=True,
        help="Pack in portions, on the Dask cluster at this address, such as tcp://host:8786. All its machines must "
        "reach the pictures and the output under the same paths.",
    ),
)

whole_file_options = grouped(
    "Originals",
    option("--exact", **exact_settings),
    option("--keep-others", advanced=True, **keep_others_settings),
)

metadata_options = grouped(
    "Metadata",
    option("--strip", **strip_settings),
    option("--checksums", advanced=True, **checksums_settings),
)

output_options = grouped(
    "Output",
    option("--overwrite", **overwrite_settings),
    option("--resume", is_flag=True, help="Continue from the checkpoint of an interrupted run."),
    option("--json", "as_json", **json_settings),
    option(
        "--measure",
        type=click.Choice(MEASURED_PICTURES),
        default="all",
        show_default=True,
        advanced=True,
        help="Pictures whose PSNR and MS-SSIM are measured on the written file, and whose PSNR is stored: all of them, "
        "the 256 with the lowest indices, which the seed draws at random, or none.",
    ),
    option("--log", advanced=True, **log_settings),
    option(
        "--report",
        "page",
        metavar="PAGE.html",
        type=a_path,
        advanced=True,
        help="Also write a page on the run: totals, distributions, the worst pictures next to their originals.",
    ),
    option(
        "--seed",
        type=click.IntRange(0, (1 << 64) - 1),
        default=0,
        show_default=True,
        advanced=True,
        help="Random seed, stored in the file.",
    ),
    option("--self-contained/--no-self-contained", "self_contained", advanced=True, **self_contained_settings),
    option(
        "--autoencoder",
        metavar="NAME|HUB-ID|FOLDER",
        advanced=True,
        help="Packaged model: photo-1, or light-1, which decodes faster. With --overfit and --index-only, one of "
        "diffusers too.  [default: the one that suits the pictures, by a sample; photo-1]",
    ),
)

network_options = grouped(
    "Index only: all pictures in the weights of one network. Each option implies --index-only",
    option(
        "--index-only",
        is_flag=True,
        advanced=True,
        help="Train one network on all pictures, as in the paper, for minutes to hours. Its weights and an index "
        "reproduce a picture. Files are many times larger than with codes.",
    ),
    option("--train-time", "train_seconds", type=Duration(), advanced=True, help="Training time, such as 10m or 1.5h."),
    option("--epochs", type=click.IntRange(min=1), advanced=True, help="Training epochs, instead of a time."),
    option(
        "--hidden-size",
        type=click.IntRange(4, MAX_HIDDEN_SIZE),
        advanced=True,
        help="Width of the network.  [default: about 1.5 parameters per latent value]",
    ),
    option(
        "--depth",
        type=click.IntRange(1, MAX_DEPTH),
        advanced=True,
        help="Number of transformer blocks.  [default: chosen by size, at most 12]",
    ),
    option(
        "--weight-format",
        type=click.Choice(WEIGHT_FORMATS),
        advanced=True,
        help="Store weights as small floats, or as entropy-coded integers with quantisation-aware training.  "
        "[default: float]",
    ),
    option(
        "--weight-bits",
        type=click.IntRange(3, 32),
        advanced=True,
        help="Bits per stored weight: 8 to 32 for floats, 3 to 8 on average for integers.  [default: 14, or 5]",
    ),
    option(
        "--exponent-bits",
        type=click.IntRange(2, 8),
        advanced=True,
        help="Exponent bits per float.  [default: 4, more above 28 bits]",
    ),
    option(
        "--condition",
        type=click.Choice(CONDITIONS),
        advanced=True,
        help="How the index enters the network: cross-attention with gates (cag) or without (ca), as tokens in context "
        "(icc), by adaptive norms (alnz).  [default: cag]",
    ),
    option(
        "--index-embedding",
        type=click.Choice(INDEX_EMBEDDINGS),
        advanced=True,
        help="Embedding of the index: random Fourier features (grf), exponentially decaying frequencies (edf), a "
        "learned table (let), or an MLP (mlp).  [default: grf]",
    ),
    option(
        "--latent-std",
        type=click.FloatRange(0, 1000, min_open=True),
        advanced=True,
        help="Standard deviation of normalised latents.  [default: 1/3, as in the paper]",
    ),
    option(
        "--sampling-steps",
        type=click.IntRange(1, MAX_STEPS),
        advanced=True,
        help="Sampling steps, stored in the file.  [default: the number with the highest PSNR]",
    ),
)
