"""The command line: what it asks of the library, what it prints, and how it says no."""

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests import sample_archive
from tests.sample_network import HEADER
from unicorn_cli.main import cli
from unicorn_cli.parameters import Colour, Duration, IndexRanges
from unicorn_cli.text import duration as duration_text
from unicorn_cli.text import exact_bytes, rate, short_bytes
from unicorn_codec import archive, verification
from unicorn_codec.archive import Archive
from unicorn_codec.config import CodesOptions, Goal, Learning, PackOptions, Target
from unicorn_codec.errors import DamagedSectionWarning, Interrupted
from unicorn_codec.format.header import WeightFormat
from unicorn_codec.inspection import ArchivePart
from unicorn_codec.measurement import Measured, PictureDistortion
from unicorn_codec.metadata import PictureMetadata
from unicorn_codec.network.planning import NetworkPlan, shape_network
from unicorn_codec.network.training import Progress
from unicorn_codec.network_options import NetworkOptions, TrainConfig
from unicorn_codec.packing import pack
from unicorn_codec.packing.archive_writing import write_packed
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.packed import PackedPictures
from unicorn_codec.packing.reports import NetworkReport, PackReport
from unicorn_codec.pictures.demo_pictures import make_demo_pictures
from unicorn_codec.pictures.metrics import Distortion
from unicorn_codec.pictures.picture_files import LeftOut, OtherFile, fault
from unicorn_codec.pictures.picture_folder import Folder, Note
from unicorn_codec.pictures.picture_table import Picture, PictureTable
from unicorn_codec.verification import VerifyReport
from unicorn_codec.weights.weight_section import serialize_weights

ROOT = Path(__file__).parent.parent

ROWS = tuple(
    PictureDistortion(index=i, name=f"cats/{i}.jpg", psnr_db=20.0 + i, ms_ssim=0.8 + i / 1000) for i in range(64)
)
WORST = ROWS[:5]
MEASURED = replace(
    Measured.of(ROWS),
    psnr_db=Distortion(mean=28.5, min=20.0, p05=21.0),
    ms_ssim=Distortion(mean=0.95, min=0.8, p05=0.81),
)
REPORT = PackReport(
    pictures=64,
    file_bytes=171_234,
    pixels=1_048_576,
    bits_per_pixel=1.30641,
    bits_per_pixel_with_autoencoder=10.25,
    index_bits=6,
    latent_step=1.0,
    other_steps=(),
    rounds=0,
    wanted_bytes=None,
    seconds=603.0,
    measured=MEASURED,
    model_choice=None,
    learned=None,
    functions=None,
    network=NetworkReport(
        parameters=98_304,
        steps=2,
        ceiling_psnr_db=29.1,
        other_noise_psnr_db=28.4,
        stored_noise_psnr_db=float("inf"),
    ),
    sequence_pictures=0,
    sequence_bytes=0,
    avif_pictures=0,
    avif_bytes=0,
    taken_over=0,
    transparent=0,
    alpha_bytes=0,
    exact_pictures=3,
    exact_bytes=4_000,
    kept_files=1,
    kept_bytes=60,
    kept=(OtherFile("a.json", "not a picture"),),
    below_target=(),
    left_out=(
        LeftOut(name="notes.txt", reason="not a picture", is_picture=False, is_fault=False),
        fault("bad.png", "it is empty"),
    ),
    notes=(Note("a.png", "its HDR gain map is not kept"),),
    flattened=2,
    scaled=1,
    parts=(ArchivePart(part="latents", pictures=64, bytes=100),),
)


def run(*arguments: object) -> Result:
    """Run ``unicorn``; an exception that is no exit of it fails the test."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="unicorn")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def assert_refused(result: Result, *words: str) -> None:
    """The command failed with one line on stderr that holds the words, and said nothing else."""
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("unicorn: error: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


def assert_usage(result: Result, *words: str) -> None:
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    for word in words:
        assert word in said


@pytest.fixture
def uni(tmp_path: Path) -> Path:
    """A valid file of a network that no autoencoder fits: for commands that decode nothing."""
    weights = serialize_weights(
        np.linspace(-1, 1, 268, dtype=np.float32), WeightFormat(exponent_bits=4, mantissa_bits=3)
    )
    sizes = np.array([(16, 8), (8, 8), (16, 8)], np.int32)
    write_packed(tmp_path / "a.uni", PackedPictures(header=HEADER, sizes=sizes, names=NAMES, weights=weights))
    return tmp_path / "a.uni"


NAMES = ("a.png", "b/d.jpg", "b/\u00e7.jpg")


class FakePack:
    """Replaces ``pack``: keeps its arguments and reports a short course of events."""

    options: PackOptions
    inputs: tuple[Path, ...]
    output: Path

    def __call__(
        self, inputs: tuple[Path, ...], output: Path, options: PackOptions, observer: Observer, names: None
    ) -> PackReport:
        self.inputs, self.output, self.options = inputs, output, options
        pictures = PictureTable([Picture("a.png", 100, 50, "00" * 32), Picture("b.png", 40, 30, "00" * 32)])
        observer.stage("reading", 1, 2)
        observer.stage("reading", 2, 2)
        observer.found(
            Folder(root=inputs[0], pictures=pictures, left_out=tuple(REPORT.left_out), flattened=2, scaled=1), PLAN
        )
        observer.stage("encoding", 1, 2)
        observer.preview(23.456)
        observer.training(Progress(fraction=0.25, seconds=30.0, step=100, loss=0.01234))
        observer.training(Progress(fraction=1.0, seconds=120.0, step=400, loss=0.002))
        observer.stage("measuring", 2, 2)
        return REPORT


PLAN = NetworkPlan(
    network=shape_network(48, 4, 8),
    parameters=98_304,
    latent_values=65_536,
    pixels=6200,
    file_bytes=172_000,
    memory_bytes=900_000_000,
)


@pytest.fixture
def fake_pack(monkeypatch: pytest.MonkeyPatch) -> FakePack:
    fake = FakePack()
    monkeypatch.setattr(pack, "pack", fake)
    return fake


class FakeArchive:
    """Stands for ``archive.Archive``: twelve pictures of one colour, delivered backwards."""

    listed: tuple[str, ...] = tuple(f"{'cats' if i % 2 else 'dogs'}/{i} [x].jpg" for i in range(12))
    steps: int | None = None

    @property
    def names(self) -> dict[int, str]:
        return dict(enumerate(self.listed))

    readable_names = member_names = names

    def is_whole(self, index: int) -> bool:
        return False

    def carried_code(self, index: int, *, with_update: bool) -> None:
        return None

    def size(self, index: int) -> tuple[int, int]:
        return 4, 3

    def __enter__(self) -> "FakeArchive":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    @classmethod
    def open(
        cls, path: Path, *, device: str, autoencoder: str | None, max_pixels: int, fast: bool = False
    ) -> "FakeArchive":
        return cls()

    @property
    def index_limit(self) -> int:
        return len(self.listed)

    def __contains__(self, index: int) -> bool:
        return 0 <= index < len(self.listed)

    def find(self, name: str) -> list[int]:
        return [index for index, known in self.names.items() if known == name]

    def metadata(self, index: int) -> PictureMetadata:
        return PictureMetadata()

    def iterate_indices(self, on_lost_page: object) -> Iterator[int]:
        return iter(range(len(self.listed)))

    def iterate(
        self, indices: Iterator[int], *, steps: int | None, on_error: object = None, background: object = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        FakeArchive.steps = steps
        for index in reversed(list(indices)):
            yield index, np.full((2, 3, 3), index, np.uint8)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of a command that unpacks a faked ``out.uni``."""
    monkeypatch.setattr(archive, "Archive", FakeArchive)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# The command as a whole


def test_every_command_is_documented() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make_commands.py"))
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert page["with_help_texts"](text) == text, "run `make docs`"
    for name in cli.commands:
        assert f"## unicorn {name}\n" in text


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_option_has_a_help_text(name: str) -> None:
    for parameter in cli.commands[name].params:
        assert not isinstance(parameter, click.Option) or parameter.help


def test_version() -> None:
    assert run("--version").stdout == "unicorn-codec, version 0.1.0\n"


@pytest.mark.parametrize("arguments", [["--help"], ["pack", "--help"], ["inspect", "{uni}"]])
def test_light_commands_load_no_torch(arguments: list[str], uni: Path) -> None:
    wanted = [argument.format(uni=uni) for argument in arguments]
    program = (
        "import sys; from unicorn_cli.main import cli\n"
        f"try: cli({wanted!r})\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "assert not {'torch', 'PIL', 'diffusers', 'tqdm'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_bug_stays_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(pack, "pack", broken)
    with pytest.raises(ZeroDivisionError):
        run("pack", "folder", "out.uni")


@pytest.mark.parametrize("error", [Interrupted("stopped at 40 %; give --resume to go on"), KeyboardInterrupt()])
def test_ctrl_c_is_one_line_and_130(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise error

    monkeypatch.setattr(pack, "pack", interrupted)
    result = run("pack", "folder", "out.uni")
    assert result.exit_code == 130
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert (str(error) or "interrupted") in result.stderr


# pack


def test_integer_weights_imply_a_network(fake_pack: FakePack) -> None:
    run("pack", "photos", "out.uni", "--weight-format", "integer")
    options = fake_pack.options
    assert isinstance(options, NetworkOptions)
    assert (options.weight_format, options.bits_per_weight, options.rounded_bits) == ("integer", 5, 5)


def test_pack_hands_all_settings_to_the_library(fake_pack: FakePack) -> None:
    run(
        "pack", "photos", "out.uni", "--hidden-size", 48, "--depth", 3, "--weight-bits", 16, "--exponent-bits", 5,
        "--train-time", "1.5h", "--seed", 9, "--device", "cpu", "--autoencoder", "folder", "--sampling-steps", 7,
        "--resume", "--overwrite", "--max-side", 64, "--background", "#0a0B0c", "--skip-unreadable",
    )  # fmt: skip
    options = fake_pack.options
    assert isinstance(options, NetworkOptions)
    assert (fake_pack.inputs, fake_pack.output) == ((Path("photos"),), Path("out.uni"))
    assert (options.hidden_size, options.depth, options.sampling_steps, options.seed) == (48, 3, 7, 9)
    assert (options.weight_format, options.bits_per_weight, options.float_bits) == ("float", 16, (5, 10))
    assert options.train.seconds == 5400
    assert (options.device, options.autoencoder, options.resume, options.overwrite) == ("cpu", "folder", True, True)
    assert options.read.max_side == 64
    assert options.read.background == (10, 11, 12)
    assert options.read.skip_unreadable


def test_pack_keeps_the_librarys_defaults(fake_pack: FakePack) -> None:
    run("pack", "photos", "out.uni")
    assert fake_pack.options == CodesOptions()


def test_an_option_of_the_network_chooses_it(fake_pack: FakePack) -> None:
    run("pack", "photos", "out.uni", "--bpp", 0.5, "--epochs", 12)
    assert fake_pack.options == NetworkOptions(target=Target(Goal.RATE, 0.5), train=TrainConfig(epochs=12))


@pytest.mark.parametrize(
    ("option", "value", "goal"),
    [
        ("--quality", 70.0, Goal.QUALITY),
        ("--bpp", 0.1, Goal.RATE),
        ("--size", 3_000_000, Goal.SIZE),
        ("--step", 2.5, Goal.STEP),
        ("--lambda", 450.0, Goal.RD_LAMBDA),
    ],
)
def test_each_target_has_an_option(option: str, value: float, goal: Goal, fake_pack: FakePack) -> None:
    run("pack", "photos", "out.uni", option, value)
    assert fake_pack.options == CodesOptions(target=Target(goal, value))


def test_two_targets_are_refused() -> None:
    result = run("pack", "photos", "out.uni", "--bpp", 0.1, "--lambda", 450)
    assert result.exit_code == 2 and "give one target, not --bpp, --lambda" in result.stderr


def test_options_of_codes_reach_the_library(fake_pack: FakePack) -> None:
    run("pack", "photos", "out.uni", "--time", "5m", "--no-sequences", "--learn", "20m", "--min-psnr", 30)
    assert fake_pack.options == CodesOptions(seconds=300, sequences=False, learning=Learning(1200), min_psnr_db=30)
    run("pack", "photos", "out.uni", "--learn", "off", "--min-ms-ssim", 0.9)
    assert fake_pack.options == CodesOptions(learning=None, min_ms_ssim=0.9)
    run("pack", "photos", "out.uni", "--depends-on", 8)
    assert fake_pack.options == CodesOptions(depends_on=8)
    assert "use auto, off or a time" in run("pack", "photos", "out.uni", "--learn", "often").stderr


@pytest.mark.parametrize(
    "option",
    [
        ("--time", "5m"),
        ("--effort", 3),
        ("--min-psnr", 30),
        ("--learn", "off"),
        ("--no-sequences",),
        ("--depends-on", 3),
    ],
)
def test_options_of_codes_are_refused_for_networks(option: tuple[object, ...]) -> None:
    result = run("pack", "photos", "out.uni", "--index-only", *option)
    assert result.exit_code == 2 and f"{option[0]} cannot be combined with --index-only" in result.stderr


def test_a_training_time_and_epochs_exclude_each_other() -> None:
    result = run("pack", "photos", "out.uni", "--train-time", "5m", "--epochs", 3)
    assert result.exit_code == 2 and "give one of --train-time, --epochs" in result.stderr


def test_a_time_and_an_effort_exclude_each_other() -> None:
    assert "not both" in run("pack", "photos", "out.uni", "--time", "5m", "--effort", 3).stderr


def test_help_shows_the_usual_options_and_help_all_the_rest() -> None:
    usual, everything = (run("pack", option).stdout for option in ("--help", "--help-all"))
    of_usual, of_all = (re.findall(r"^  (?:-\w, )?(--[a-z-]+)", text, re.MULTILINE) for text in (usual, everything))
    assert len(of_usual) <= 15 and set(of_usual) < set(of_all)
    assert {"--quality", "--effort", "--overwrite"} <= set(of_usual) and "--hidden-size" not in of_usual
    wanted = {name for parameter in cli.commands["pack"].params for name in parameter.opts if name.startswith("--")}
    assert wanted <= set(of_all)
    for heading in ("Target:", "Effort:", "Input:", "Metadata:", "Output:"):
        assert heading in usual


def test_pack_tells_before_and_after(fake_pack: FakePack) -> None:
    result = run("pack", "photos", "out.uni", "--log")
    assert result.exit_code == 0
    for words in (
        "2 pictures, 6,200 pixels, 40x30 to 100x50",
        "1 picture left out, listed below",
        "98,304 parameters (1.50 per latent value): 4 blocks, hidden size 48",
        "about 172.0 kB",
        "about 900.0 MB",
        "out.uni: 171,234 bytes (171.2 kB)",
        "1.306 bits per pixel",
        "10.25 bits per pixel with the autoencoder's weights",
        "6 bits a picture",
        "10 min 03 s",
        "29.10 dB PSNR: the autoencoder alone",
        "28.40 dB PSNR; the same pictures",
        "transparency of 2 pictures was flattened",
        "1 picture scaled down",
        "bad.png: it is empty",
        "cats/4.jpg",
    ):
        assert words in result.stdout
    for label in ("reading", "encoding", "training", "measuring"):
        assert label in result.stderr
        assert label not in result.stdout
    assert "23.46 dB" in result.stderr


def test_pack_tells_what_the_wanted_quality_took(fake_pack: FakePack, monkeypatch: pytest.MonkeyPatch) -> None:
    report = replace(
        REPORT,
        network=None,
        sequence_pictures=9,
        sequence_bytes=5678,
        avif_pictures=2,
        avif_bytes=1234,
        below_target=ROWS[:1],
        wanted_bytes=100_000.0,
    )
    monkeypatch.setattr(pack, "pack", lambda *_: report)
    said = run("pack", "photos", "out.uni", "--min-psnr", 24, "--size", "100kB").stdout
    for words in (
        "9 near-duplicates in sequences (AV1), 5,678 bytes",
        "2 pictures stored as AVIF, 1,234 bytes",
        "larger than the target of 100.0 kB: 2 pictures stored as AVIF",
        "1 picture below the quality floor",
        "which AVIF does not reach either\n  index  PSNR",
    ):
        assert words in said
    values = json.loads(run("pack", "photos", "out.uni", "--json").stdout)
    assert (values["avif_pictures"], values["avif_bytes"]) == (2, 1234)
    assert (values["sequence_pictures"], values["sequence_bytes"]) == (9, 5678)
    assert values["below_target"][0]["name"] == "cats/0.jpg"


@pytest.mark.parametrize("arguments", [["--min-psnr", "nan"], ["--min-ms-ssim", 1.5]])
def test_an_impossible_quality_floor_is_refused(arguments: list[object]) -> None:
    assert_refused(run("pack", "photos", "out.uni", *arguments), "min ")


def test_pack_json_is_alone_on_stdout(fake_pack: FakePack) -> None:
    result = run("pack", "photos", "out.uni", "--json")
    values = json.loads(result.stdout)
    assert values["file_bytes"] == 171_234
    assert values["psnr_db"] == {"mean": 28.5, "min": 20.0, "p05": 21.0}
    assert values["worst"][0]["name"] == "cats/0.jpg"
    assert values["stored_noise_psnr_db"] is None
    assert values["left_out"] == [
        {"name": "notes.txt", "reason": "not a picture", "is_picture": False, "is_fault": False},
        {"name": "bad.png", "reason": "it is empty", "is_picture": True, "is_fault": True},
    ]
    assert values["notes"] == [{"name": "a.png", "text": "its HDR gain map is not kept"}]
    assert values["parts"] == [{"part": "latents", "pictures": 64, "bytes": 100}]
    assert "2 pictures" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--time", "10"], "invalid time '10': use 90s, 10m or 1.5h"),
        (["--time", "0s"], "invalid time '0s'"),
        (["--background", "#12345"], "invalid colour '#12345'"),
        (["--weight-bits", "2"], "3<=x<=32"),
        (["--device", "tpu"], "'auto', 'cpu', 'cuda'"),
        (["--seed", str(1 << 64)], "is not in the range"),
        (["--sampling-steps", "51"], "is not in the range"),
    ],
)
def test_pack_refuses_bad_settings(arguments: list[str], words: str, fake_pack: FakePack) -> None:
    assert_usage(run("pack", "photos", "out.uni", *arguments), words)
    assert not hasattr(fake_pack, "options")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--bpp", "1", "--hidden-size", "48"],
        ["--bpp", "0"],
        ["--weight-bits", "8", "--exponent-bits", "8"],
        ["--weight-bits", "7"],
        ["--weight-format", "integer", "--weight-bits", "9"],
        ["--weight-format", "integer", "--exponent-bits", "4"],
    ],
)
def test_pack_refuses_settings_that_contradict(arguments: list[str], fake_pack: FakePack) -> None:
    assert_refused(run("pack", "photos", "out.uni", *arguments))


def test_pack_without_a_folder(tmp_path: Path) -> None:
    assert_refused_last(run("pack", tmp_path / "none", tmp_path / "out.uni"), "there is no folder")
    (tmp_path / "file").touch()
    assert_refused_last(run("pack", tmp_path / "file", tmp_path / "out.uni"), "is not a folder")
    (tmp_path / "empty").mkdir()
    assert_refused_last(run("pack", tmp_path / "empty", tmp_path / "out.uni"), "holds no pictures")
    assert files_below(tmp_path) == ["file"]


def test_pack_keeps_an_existing_output(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.uni"
    output.write_bytes(b"precious")
    assert_refused_last(run("pack", folder, output), "exist")
    assert output.read_bytes() == b"precious"


def assert_refused_last(result: Result, words: str) -> None:
    """As ``assert_refused``, after bars that may have been shown."""
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr
    assert words in result.stderr.splitlines()[-1]
    assert result.stderr.splitlines()[-1].startswith("unicorn: error: ")


# unpack


def test_one_index_goes_into_its_number(here: Path) -> None:
    result = run("unpack", "out.uni", "--index", 4, "--sampling-steps", 3)
    assert result.stdout == "written 4.png\n"
    assert files_below(here) == ["4.png"]
    assert FakeArchive.steps == 3


def test_a_folder_gets_the_pictures_own_names(here: Path) -> None:
    run("unpack", "out.uni", "--index", 4, "-o", "a/b/")
    run("unpack", "out.uni", "--index", 5, "-o", "c")
    assert files_below(here) == ["a/b/dogs/4 [x].png", "c/cats/5 [x].png"]


def test_a_file_gets_the_format_of_its_suffix(here: Path) -> None:
    run("unpack", "out.uni", "--index", 4, "-o", "new/x.bmp")
    run("unpack", "out.uni", "--name", "dogs/6*", "-o", "y.WEBP")
    assert (here / "new" / "x.bmp").read_bytes().startswith(b"BM")
    assert (here / "y.WEBP").read_bytes().startswith(b"RIFF")


def test_a_folder_with_a_suffix_is_a_folder(here: Path) -> None:
    (here / "v1.png").mkdir()
    run("unpack", "out.uni", "--index", 4, "-o", "v1.png")
    run("unpack", "out.uni", "--index", 4, "-o", "v2.png/")
    run("unpack", "out.uni", "--index", "4,6", "-o", "v3.png")
    assert files_below(here) == [
        f"v{number}.png/dogs/{index} [x].png" for number, index in ((1, 4), (2, 4), (3, 4), (3, 6))
    ]


def test_several_go_into_a_folder(here: Path) -> None:
    result = run("unpack", "out.uni", "--index", "3,5,8-10,5", "--format", "bmp", "--log")
    assert files_below(here) == [
        "out/cats/3 [x].bmp", "out/cats/5 [x].bmp", "out/cats/9 [x].bmp", "out/dogs/10 [x].bmp", "out/dogs/8 [x].bmp",
    ]  # fmt: skip
    assert result.stdout.count("written ") == 5
    assert re.search(r"^[0-9:]{8} unpacking: 5 of 5, .+/s, .+ in all$", result.stderr, re.MULTILINE)


def test_names_and_patterns(here: Path) -> None:
    run("unpack", "out.uni", "--name", "cats/*", "--name", "dogs/4 [x].jpg", "-o", "some")
    assert len(files_below(here)) == 7
    run("unpack", "out.uni", "--all", "-o", "all")
    assert len(files_below(here / "all")) == 12


def test_existing_files_are_kept(here: Path) -> None:
    (here / "4.png").write_bytes(b"precious")
    assert_refused(run("unpack", "out.uni", "--index", 4), "4.png exists; --overwrite replaces existing files")
    assert (here / "4.png").read_bytes() == b"precious"
    assert run("unpack", "out.uni", "--index", 4, "--overwrite").exit_code == 0
    assert (here / "4.png").read_bytes().startswith(b"\x89PNG")
    run("unpack", "out.uni", "--index", 3, "-o", "all/")
    assert_refused(run("unpack", "out.uni", "--all", "-o", "all"), "exists")
    assert len(files_below(here / "all")) == 1


HOSTILE_NAMES = (
    "../../x.png", "/etc/passwd", "a\0b", "NUL", "con.jpg", "x" * 5000, "A.png", "a.png", "\u00e9.png", "e\u0301.png",
    "C:\\x", "..",
)  # fmt: skip


def test_hostile_names_stay_in_the_folder_each_in_a_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeArchive, "listed", HOSTILE_NAMES)
    assert run("unpack", "out.uni", "--all", "-o", "deep/down/all").exit_code == 0
    written = files_below(here)
    assert len(written) == len({name.casefold() for name in written}) == len(HOSTILE_NAMES)
    assert all(name.startswith("deep/down/all/") for name in written)


def test_links_that_lie_in_the_folder_already_lead_nowhere(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeArchive, "listed", ("link/a.png", "b.png", "dangling/c.png"))
    for name in ("out", "outside"):
        (here / name).mkdir()
    (here / "outside" / "b.png").write_bytes(b"precious")
    (here / "out" / "b.png").symlink_to(here / "outside" / "b.png")
    (here / "out" / "link").symlink_to(here / "outside")
    (here / "out" / "dangling").symlink_to(here / "not yet")
    for index in (0, 2):
        assert_refused(run("unpack", "out.uni", "--index", index, "-o", "out/", "--overwrite"), "leads outside")
    assert_refused(run("unpack", "out.uni", "--index", 1, "-o", "out/"), "exists")
    assert run("unpack", "out.uni", "--index", 1, "-o", "out/", "--overwrite").exit_code == 0
    assert not (here / "out" / "b.png").is_symlink()
    assert files_below(here / "outside") == ["b.png"]
    assert (here / "outside" / "b.png").read_bytes() == b"precious" and not (here / "not yet").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--index", "12"], "index 12 is out of range: the archive has 0 to 11"),
        (["--index", "3-999999999999999999"], "index 12 is out of range: the archive has 0 to 11"),
        (["--name", "horses/*"], "'horses/*'"),
        (["--name", "a\x1b[2J"], "a\\x1b[2J"),
        (["--index", "4", "-o", "x.doc"], "pictures are written as"),
        (["--index", "4", "--format", "doc"], "pictures are written as"),
    ],
)
def test_unpack_refuses(arguments: list[str], words: str, here: Path) -> None:
    assert_refused(run("unpack", "out.uni", *arguments), words)
    assert files_below(here) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "one of --index, --name and --all"),
        (["--index", "1", "--all"], "one of --index, --name and --all"),
        (["--index", "5-3"], "the range 5-3 ends before it starts"),
        (["--index", "abc"], "invalid index 'abc'"),
        (["--index", ""], "invalid index ''"),
        (["--index", "-1"], "invalid index '-1'"),
        (["--index", "1,,2"], "invalid index ''"),
        (["--index", "²"], "invalid index"),
        (["--index", "9" * 5000], "invalid index"),
        (["--index", "1", "--sampling-steps", "0"], "is not in the range"),
        (["--index", "1", "-o", "a.png", "--format", "bmp"], "another format"),
    ],
)
def test_unpack_refuses_bad_usage(arguments: list[str], words: str, here: Path) -> None:
    assert_usage(run("unpack", "out.uni", *arguments), words)
    assert files_below(here) == []


def test_the_output_folder_is_a_file(here: Path) -> None:
    (here / "out").write_bytes(b"precious")
    assert_refused(run("unpack", "out.uni", "--all"), "out")
    assert (here / "out").read_bytes() == b"precious"


@pytest.mark.parametrize("command", [("unpack", "--index", "0"), ("inspect",), ("verify",)])
def test_no_archive(command: tuple[str, ...], tmp_path: Path) -> None:
    name, *rest = command
    assert_refused(run(name, tmp_path / "none.uni", *rest), "none.uni")
    assert_refused(run(name, tmp_path, *rest), str(tmp_path))
    (tmp_path / "text.uni").write_text("no archive")
    assert_refused(run(name, tmp_path / "text.uni", *rest), "signature")


def test_a_real_archive(packed: tuple[Path, PackReport], folder: Path, tmp_path: Path) -> None:
    path, report = packed
    assert run("unpack", path, "--all", "-o", tmp_path, "--device", "cpu").exit_code == 0
    assert files_below(tmp_path) == files_below(folder)
    result = run("verify", path, "--against", folder, "--device", "cpu", "--json")
    values = json.loads(result.stdout)
    assert values["ok"]
    assert values["psnr_db"]["mean"] == pytest.approx(report.measured.psnr_db.mean, abs=0.2)


# inspect and verify


def test_inspect_shows_a_table(uni: Path) -> None:
    result = run("inspect", uni)
    assert result.exit_code == 0
    for words in ("3 pictures", "bits per pixel", "2 bits a picture, seed 7", "268 parameters", "photo-1", "weights"):
        assert words in result.stdout
    assert "b/d.jpg" not in result.stdout
    assert "b/d.jpg" in run("inspect", uni, "--entries").stdout


def test_inspect_json(uni: Path) -> None:
    values = json.loads(run("inspect", uni, "--json", "--entries").stdout)
    assert values["pictures"] == 3
    assert values["file_bytes"] == uni.stat().st_size
    assert {entry["name"] for entry in values["entries"]} == set(NAMES)


def test_verify_without_a_folder(uni: Path) -> None:
    assert "intact, 3 pictures" in run("verify", uni).stdout
    values = json.loads(run("verify", uni, "--json").stdout)
    assert (values["ok"], values["pictures"], values["problems"]) == (True, 3, [])


def test_every_damaged_byte_fails(uni: Path) -> None:
    data = uni.read_bytes()
    for place in range(len(data)):
        uni.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        result = run("verify", uni)
        assert result.exit_code == 1
        assert "damaged" in result.stdout or result.stderr.startswith("unicorn: error: "), place
    result = run("verify", uni, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["ok"] is False


def test_damaged_names_are_a_warning_for_others(uni: Path) -> None:
    data = uni.read_bytes()
    place = data.index(b"a.png")
    uni.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    assert run("inspect", uni).exit_code == 0
    with Archive.open(uni) as opened, pytest.warns(DamagedSectionWarning, match="called by their index"):
        assert set(opened.names.values()) == {"0", "1", "2"}
    assert "names at byte" in run("verify", uni).stdout


# Archives that grow


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A valid file of codes that nobody decodes."""
    (tmp_path / "a.uni").write_bytes(sample_archive.archive(5))
    return tmp_path / "a.uni"


def test_removing_and_compacting(records: Path) -> None:
    assert "2 pictures removed, 3 pictures left" in run("remove", records, "--index", "0-1").stdout
    assert_refused(run("remove", records, "--index", 0), "picture 0 was removed")
    assert_refused(run("remove", records, "--name", "dogs/*"), "'dogs/*'")
    assert "3 pictures" in run("inspect", records).stdout and "2 indices removed" in run("inspect", records).stdout
    before = records.stat().st_size
    assert run("compact", records).exit_code == 0
    assert records.stat().st_size < before
    assert_usage(run("remove", records), "one of --index and --name")


def test_one_picture_is_inspected_alone(records: Path) -> None:
    values = json.loads(run("inspect", records, "--index", 4, "--json").stdout)
    assert (values["name"], values["codec"], values["depends_on"]) == ("cats/0004.jpg", "avif-sequence", [3])
    assert "depends on" in run("inspect", records, "--index", 4).stdout
    assert_refused(run("inspect", records, "--index", 5), "index 5 is out of range")


def test_repairing_lists_what_is_lost(records: Path, tmp_path: Path) -> None:
    data, code = records.read_bytes(), sample_archive.code_of(1)
    records.write_bytes(data.replace(code, bytes(len(code))))
    result = run("repair", records, tmp_path / "saved.uni")
    assert result.exit_code == 3
    assert "4 pictures rebuilt" in result.stdout and "lost: picture 1 (cats/0001.jpg)" in result.stdout
    assert_refused(run("repair", records, tmp_path / "saved.uni"), "exists already")
    values = json.loads(run("repair", records, tmp_path / "saved.uni", "--overwrite", "--json").stdout)
    assert (values["pictures"], values["lost"]) == (4, [[1, "cats/0001.jpg"]])
    assert_refused(run("repair", tmp_path / "missing.uni", tmp_path / "b.uni"), "cannot read")


def test_repairing_says_that_the_index_is_lost(records: Path, tmp_path: Path) -> None:
    with Archive.open(records, device="cpu") as opened:
        end = opened.reader.row(2).offset
    records.write_bytes(records.read_bytes()[:end])
    result = run("repair", records, tmp_path / "saved.uni")
    assert result.exit_code == 3
    assert "2 pictures rebuilt" in result.stdout and "the index is lost" in result.stdout


def test_a_file_is_not_repaired_onto_itself(records: Path) -> None:
    before = records.read_bytes()
    result = run("repair", records, records, "--overwrite")
    assert result.exit_code == 2 and "same file" in result.stderr
    assert records.read_bytes() == before


def test_an_emptied_archive_is_described(records: Path) -> None:
    assert run("remove", records, "--index", "0-4").exit_code == 0
    result = run("inspect", records)
    assert result.exit_code == 0 and "0 pictures" in result.stdout and "5 indices removed" in result.stdout


def test_only_local_files_are_changed() -> None:
    for command in (("remove", "--index", "0"), ("compact",)):
        result = run(command[0], "http://localhost/a.uni", *command[1:])
        assert result.exit_code == 2 and "only a local file can be changed" in result.stderr


def test_unpacking_goes_on_past_lost_pictures(coded: tuple[Path, PackReport], folder: Path, tmp_path: Path) -> None:
    with Archive.open(coded[0], device="cpu") as opened:
        row, name = opened.reader.row(2), opened.name(2)
    data = bytearray(coded[0].read_bytes())
    data[row.offset + 5 : row.offset + 9] = b"\0\0\0\0"
    path = tmp_path / "hit.uni"
    path.write_bytes(data)
    result = run("unpack", path, "--all", "-o", tmp_path / "out", "--device", "cpu")
    assert result.exit_code == 3
    assert "lost: picture 2" in result.stderr
    assert files_below(tmp_path / "out") == [one for one in files_below(folder) if one != name]
    assert_refused(run("unpack", path, "--index", 2, "-o", tmp_path / "2.png"), "picture 2")
    result = run("verify", path)
    assert result.exit_code == 1 and f"picture 2 ({name})" in result.stdout


def test_adding_pictures(coded: tuple[Path, PackReport], folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.uni"
    path.write_bytes(coded[0].read_bytes())
    result = run("add", path, folder, "--device", "cpu")
    assert result.exit_code == 1 and "the archive has these names already" in result.stderr
    make_demo_pictures(tmp_path / "more", count=2, size=40)
    result = run("add", path, tmp_path / "more", "--device", "cpu", "--effort", 0)
    assert result.exit_code == 0 and "2 pictures added" in result.stdout and "indices 6 to 7" in result.stdout
    assert path.read_bytes().startswith(coded[0].read_bytes())
    assert "intact, 8 pictures" in run("verify", path).stdout
    values = json.loads(run("inspect", path, "--entries", "--json").stdout)
    assert {entry["name"] for entry in values["entries"][6:]} == {"mug-000.png", "mug-001.png"}
    assert all(entry["psnr_db"] > 20 for entry in values["entries"])


def test_verify_against_a_folder(uni: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def fake(path: Path, against: tuple[Path, ...], **settings: object) -> VerifyReport:
        asked.update(settings, path=path, against=against)
        return VerifyReport(pictures=3, measured=MEASURED)

    monkeypatch.setattr(verification, "verify", fake)
    result = run("verify", uni, "--against", "photos", "--skip-unreadable", "--min-psnr", 5, "--min-ms-ssim", 0.5)
    assert result.exit_code == 0
    assert (asked["path"], asked["against"], asked["skip_unreadable"]) == (uni, (Path("photos"),), True)
    assert (asked["min_psnr_db"], asked["min_ms_ssim"]) == (5, 0.5)
    for words in ("intact, 3 pictures", "28.50", "0.9500", "cats/0.jpg"):
        assert words in result.stdout
    values = json.loads(run("verify", uni, "--against", "photos", "--json").stdout)
    assert (values["ok"], values["pictures"], values["ms_ssim"]["p05"]) == (True, 3, 0.81)
    first = {"index": 0, "name": "cats/0.jpg", "psnr_db": 20.0, "ms_ssim": 0.8, "alpha_error": 0}
    assert values["worst"][0] == first


def test_verify_lists_every_picture_below_the_floor(uni: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = VerifyReport(pictures=64, measured=MEASURED, differences=("x.png: not in the archive",), below_floor=ROWS)
    monkeypatch.setattr(verification, "verify", lambda *_, **__: report)
    result = run("verify", uni, "--against", "photos", "--min-psnr", 90)
    assert result.exit_code == 1
    assert "x.png: not in the archive" in result.stdout
    assert "cats/1.jpg: below the quality floor, 21.00 dB PSNR, MS-SSIM 0.8010" in result.stdout
    assert result.stdout.count("below the quality floor") == len(ROWS)
    values = json.loads(run("verify", uni, "--against", "photos", "--json").stdout)
    assert values["ok"] is False and len(values["problems"]) == len(ROWS) + 1


def test_verify_against_nothing_in_common(uni: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = VerifyReport(pictures=3, differences=("x.png: not in the archive",))
    monkeypatch.setattr(verification, "verify", lambda *_, **__: report)
    assert run("verify", uni, "--against", "photos", "--min-psnr", 21.5).exit_code == 1
    assert json.loads(run("verify", uni, "--against", "photos", "--json").stdout)["psnr_db"] is None


@pytest.mark.parametrize("option", ["--min-psnr", "--min-ms-ssim"])
def test_a_quality_floor_needs_originals(option: str, uni: Path) -> None:
    assert_usage(run("verify", uni, option, 0.5), "--min-psnr and --min-ms-ssim need --against")


# demo, values


def test_demo_draws_pictures(tmp_path: Path) -> None:
    arguments = ("demo", tmp_path / "new", "--count", 2, "--side", 16)
    assert "2 pictures of 16x16" in run(*arguments).stdout
    assert len(files_below(tmp_path)) == 2
    assert_refused(run(*arguments), "exists")


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), (" 2M ", 120)])
def test_durations(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "-1m", "1e3s", "1 m", "nan s", "infs", "1m30s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Duration().convert(text, None, None)


def test_colours() -> None:
    assert Colour().convert("White", None, None) == (255, 255, 255)
    assert Colour().convert("#FF8000", None, None) == (255, 128, 0)
    with pytest.raises(click.BadParameter):
        Colour().convert("whitish", None, None)


def test_index_ranges_stay_ranges() -> None:
    assert IndexRanges().convert("3, 5,8-11", None, None) == (range(3, 4), range(5, 6), range(8, 12))
    assert IndexRanges().convert(f"0-{10**17}", None, None) == (range(10**17 + 1),)


def test_numbers_for_people() -> None:
    assert [short_bytes(n) for n in (1, 999, 1000, 999_960, 10**9)] == [
        "1 byte",
        "999 bytes",
        "1.0 kB",
        "1.0 MB",
        "1.0 GB",
    ]
    assert exact_bytes(17_312) == "17,312 bytes (17.3 kB)"
    assert [rate(r) for r in (0.12345, 1.5, 12345.6, 1e-5)] == ["0.1235", "1.5", "12,346", "0.0000100"]
    assert [duration_text(s) for s in (7.6, 250, 7500)] == ["8 s", "4 min 10 s", "2 h 05 min"]
