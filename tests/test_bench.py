"""The benchmark: figures from real files, a verdict, a table and plots."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from tests.conftest import draw
from unicorn_cli.main import cli
from unicorn_codec.bench.equal_bytes import at_equal_bytes, equal_bytes_table
from unicorn_codec.bench.learned_metrics import SOURCES, frechet_distance, learned_measures, planes_of
from unicorn_codec.bench.measuring import point_from, point_values
from unicorn_codec.bench.own_codec import Unicorn, own_settings
from unicorn_codec.bench.perceptual import LEAST_SIDE, PerceptualDistance
from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.bench.plots import STYLES, draw_plots, spread_labels
from unicorn_codec.bench.quality_metrics import METRICS, check_packages, measure_pair, set_values
from unicorn_codec.bench.report import DASH, Point, bd_table, markdown, point_table, verdict
from unicorn_codec.bench.rivals import Codec, Jpeg, Sizes, Zip
from unicorn_codec.config import CodesOptions, PackOptions
from unicorn_codec.errors import InvalidSetting, OutputError, PackageMissing
from unicorn_codec.network_options import NetworkOptions

pytest.importorskip("matplotlib")
pytest.importorskip("ssimulacra2")

from unicorn_codec.bench.comparison import DEFAULT_CODECS, BenchOptions, BenchResult, bench, rivals, select_codecs

ORIGIN = {
    "pictures": 6,
    "of_pictures": 9,
    "pixels": 1000,
    "date": "2026-01-01",
    "device": "an abacus",
    "cores": 2,
    "seed": 3,
    "command": "unicorn bench x",
    "versions": {"python": "3.11"},
}
FIRES = {3: (64, 16, 64), 4: (128, 16, 64), 6: (128, 32, 128), 7: (256, 32, 128)}


class Absent(Jpeg):
    name, title = "absent", "Absent"

    def missing(self, sizes: Sizes) -> str | None:
        return "nobody sells it"


def jpeg(**settings: object) -> Codec:
    """A JPEG codec with few settings. An instance, so that the process that runs it need not import this module."""
    codec: Codec = Jpeg()
    codec.settings = settings
    return codec


@pytest.fixture(scope="module")
def ran(
    folder: Path, tiny_options: PackOptions, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, BenchResult, list[str]]:
    """A benchmark of four pictures with this codec, two rivals, one that is missing and one that fails."""
    output, lines = tmp_path_factory.mktemp("bench"), list[str]()
    own: Codec = Unicorn(settings={"tiny": tiny_options})
    few = jpeg(low=5, high=60)
    few.name, few.title, few.most_pictures, few.note = "few", "Few", 2, "for show"
    codecs = [own, jpeg(low=5, broken="no number", high=60), few, Zip(tiny_options.read), Absent()]
    options = BenchOptions(pictures=4, seed=1, device="cpu", metrics_every=3, command="unicorn bench x --out y")
    result = bench(folder, output, codecs, options, lines.append)
    return output, result, lines


def test_bytes_are_those_of_the_files_on_disk(ran: tuple[Path, BenchResult, list[str]]) -> None:
    output, result, _ = ran
    written = json.loads((output / "bench.json").read_text())
    assert len(written["points"]) == len(result.points) == 1 + 2 + 2 + 1
    for point in written["points"]:
        files = [path for path in (output / point["files"]).rglob("*") if path.is_file()]
        assert point["bytes"] == sum(path.stat().st_size for path in files) > 0
        if point["pictures"] == written["pictures"]:
            assert point["bits_per_pixel"] == pytest.approx(8 * point["bytes"] / written["pixels"])


def test_the_json_records_results_and_provenance(ran: tuple[Path, BenchResult, list[str]]) -> None:
    output, result, _ = ran
    written = json.loads((output / "bench.json").read_text())
    assert (written["seed"], written["pictures"], written["of_pictures"]) == (1, 4, 6)
    assert written["command"] == "unicorn bench x --out y"
    assert written["device"]
    assert written["date"]
    assert {"python", "torch", "pillow"} <= set(written["versions"])
    assert written["verdict"] == result.verdict
    own, *_, lossless = [p for p in written["points"] if p["codec"] in ("unicorn", "zip")]
    assert own["bits_per_pixel_with_autoencoder"] > own["bits_per_pixel"]
    for point in written["points"]:
        assert set(point["metrics"]) == set(METRICS)
        assert point["metrics"]["ms_ssim"] <= 1
        assert point["metrics"]["perceptual_distance"] is None
        assert min(point["pack_s"], point["unpack_s"], point["peak_mb"]) > 0
    assert lossless["metrics"]["psnr_db"] is None  # infinite
    assert lossless["metrics"]["ssimulacra2"] == pytest.approx(100)


def test_points_record_the_number_of_pictures(ran: tuple[Path, BenchResult, list[str]]) -> None:
    output, result, lines = ran
    counts = {point.codec: (point.pictures, point.measured_pictures, point.note) for point in result.points}
    assert counts == {"unicorn": (4, 2, None), "jpeg": (4, 2, None), "few": (2, 2, "for show"), "zip": (4, 2, None)}
    text = (output / "table.md").read_text()
    for part in ("| Few (2 pictures) |", "Few: for show.", "Metrics are of 2 pictures, bytes of 4."):
        assert part in text
    assert sum(line.endswith(" s in total") for line in lines) == 4


def test_points_survive_json(ran: tuple[Path, BenchResult, list[str]]) -> None:
    _, result, _ = ran
    assert [point_from(json.loads(json.dumps(point_values(point)))) for point in result.points] == list(result.points)


def test_only_codecs_that_ran_appear_and_the_others_are_named(ran: tuple[Path, BenchResult, list[str]]) -> None:
    output, result, lines = ran
    assert {point.codec for point in result.points} == {"unicorn", "jpeg", "few", "zip"}
    assert "Absent: skipped, nobody sells it" in result.skipped
    assert any(line.startswith("JPEG, broken: skipped, ") for line in result.skipped)
    assert set(result.skipped) <= set(lines)
    assert all(line in (output / "table.md").read_text() for line in result.skipped)


def test_table_and_plots_are_written(ran: tuple[Path, BenchResult, list[str]]) -> None:
    output, result, _ = ran
    text = (output / "table.md").read_text()
    assert text.splitlines()[2] == result.verdict
    assert text.count("| JPEG |") == 2
    assert "∞" in text
    for metric in ("psnr_db", "ms_ssim", "ssimulacra2"):
        assert (output / f"rd-{metric}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (output / f"rd-{metric}.svg").read_text()
    assert not (output / "rd-lpips.png").exists()


def test_the_same_seed_gives_the_same_results_except_times(folder: Path, tmp_path: Path) -> None:
    def run(name: str) -> tuple[list[Point], str]:
        result = bench(folder, tmp_path / name, [jpeg(low=5, high=60)], BenchOptions(pictures=3, seed=5))
        points = [replace(point, pack_s=0, unpack_s=0, peak_mb=0) for point in result.points]
        return points, (tmp_path / name / "rd-psnr_db.svg").read_text()

    assert run("a") == run("b")


def test_results_are_replaced_only_on_request(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text("{}")
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(OutputError, match="exists already"):
        bench(folder, tmp_path, [Absent()], BenchOptions())
    bench(folder, tmp_path, [Absent()], BenchOptions(overwrite=True))
    assert (tmp_path / "mine.txt").read_text() == "kept"
    assert json.loads((tmp_path / "bench.json").read_text())["points"] == []


def test_pictures_are_decoded_in_the_order_of_their_names(
    packed: tuple[Path, object], folder: Path, tiny_options: PackOptions
) -> None:
    pictures = PictureSet.open(folder, tiny_options.read)
    own = Unicorn(settings={"tiny": tiny_options})
    decoded = list(replace_file_name(own, packed[0].name).decode(packed[0].parent, pictures.sizes))
    assert [(p.shape[1], p.shape[0]) for p in decoded] == pictures.sizes


def replace_file_name(own: Unicorn, name: str) -> Unicorn:
    class Elsewhere(Unicorn):
        file_name = name

    return Elsewhere(settings=own.settings)


def test_default_settings_are_valid_and_have_descriptive_names() -> None:
    alone = own_settings(read=CodesOptions().read, seconds=None, seed=3, device="cpu")
    assert not any(isinstance(options, NetworkOptions) for options in alone.values())
    settings = own_settings(read=CodesOptions().read, seconds=5, seed=3, device="cpu")
    assert {type(options) for options in settings.values()} == {CodesOptions, NetworkOptions}
    for name, options in settings.items():
        assert options.seed == 3
        assert isinstance(options, CodesOptions | NetworkOptions) and options.target is not None
        assert f" {options.target.value:g}" in name


def test_codecs_are_chosen_by_name() -> None:
    codecs = rivals(CodesOptions().read, 0)
    assert len({codec.name for codec in codecs}) == len(codecs)
    assert {codec.name for codec in select_codecs(codecs, [])} | {"unicorn"} == set(DEFAULT_CODECS)
    assert len(DEFAULT_CODECS) > 6
    assert select_codecs(codecs, ["all"]) == codecs
    assert [codec.name for codec in select_codecs(codecs, ["zip", "jpeg"])] == ["jpeg", "zip"]
    with pytest.raises(InvalidSetting, match=r"unknown codec 'gif'.*jpeg"):
        select_codecs(codecs, ["gif"])


def test_the_command_prints_the_verdict_first(folder: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["bench", str(folder), "--out", str(tmp_path / "o"), "--codecs", "zip"])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == "There is no verdict on unicorn: it was not among the codecs that ran."
    assert "zip of the originals, level 9:" in done.stderr


# The verdict, on invented points.


def curve(codec: str, title: str, points: list[tuple[float, float]]) -> list[Point]:
    """Return points of a codec from pairs of rate and SSIMULACRA2."""
    return [
        Point(
            codec=codec,
            title=title,
            setting=str(number),
            files="f",
            pictures=6,
            measured_pictures=6,
            note=None,
            bytes=round(1000 * rate),
            bits_per_pixel=rate,
            bits_per_pixel_with_autoencoder=None,
            metrics=dict.fromkeys(METRICS) | {"psnr_db": 20 + quality / 5, "ms_ssim": 0.9, "ssimulacra2": quality},
            pack_s=1.0,
            unpack_s=1.0,
            peak_mb=1.0,
        )
        for number, (rate, quality) in enumerate(points)
    ]


AVIF = curve("avif", "AVIF", [(0.1, 10), (0.2, 30), (0.4, 50), (0.8, 70)])
JPEG = curve("jpeg", "JPEG", [(0.2, 10), (0.4, 30), (0.8, 50), (1.6, 70)])
BARE = curve("avif-bare", "AVIF without container", [(0.01, 10), (0.02, 30), (0.04, 50), (0.08, 70)])


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        (
            [(0.29, 30), (0.25, 20)],
            "At about 0.25 bits per pixel AVIF needs 43 % fewer bytes than unicorn for the same SSIMULACRA2 (20) "
            "here: keep AVIF.",
        ),
        (
            [(0.1, 30), (0.2, 50)],
            "At about 0.1 bits per pixel unicorn needs 50 % fewer bytes than AVIF, the best rival, for the same "
            "SSIMULACRA2 (30) here: it pays.",
        ),
        (
            [(0.1, 30), (0.8, 50)],
            "At about 0.1 bits per pixel unicorn needs 50 % fewer bytes than AVIF for the same SSIMULACRA2 (30) here "
            "and pays, but at about 0.8 bits per pixel AVIF needs 50 % fewer bytes than unicorn for the same "
            "SSIMULACRA2 (50) here.",
        ),
        (
            [(0.2, 0)],
            "At about 0.2 bits per pixel AVIF needs at least 50 % fewer bytes than unicorn for the same SSIMULACRA2 "
            "(0) here: keep AVIF.",
        ),
        (
            [(0.2, 30)],
            "At about 0.2 bits per pixel AVIF needs as few bytes as unicorn for the same SSIMULACRA2 (30) here: "
            "keep AVIF.",
        ),
        (
            [(0.05, 0)],
            "No rival ran at settings as small as unicorn's 0.05 bits per pixel, nor at a quality as low: "
            "there is no verdict at equal SSIMULACRA2.",
        ),
    ],
)
def test_the_verdict_names_the_rate_the_rival_and_the_saving(own: list[tuple[float, float]], wanted: str) -> None:
    assert verdict([*curve("unicorn", "unicorn", own), *JPEG, *AVIF]) == wanted


def test_avif_without_container_is_a_rival_and_what_nobody_can_use_is_none() -> None:
    own = curve("unicorn", "unicorn", [(0.05, 30)])
    rounded = curve("latents-zstd", "rounded latents", [(0.001, 10), (0.002, 30)])
    assert "AVIF without container needs 60 % fewer bytes than unicorn" in verdict([*own, *AVIF, *BARE, *rounded])


def test_a_quality_that_no_rival_reaches_gives_no_verdict() -> None:
    assert "no verdict" in verdict([*curve("unicorn", "unicorn", [(2.0, 90)]), *AVIF])


def test_without_rivals_or_without_this_codec_there_is_no_verdict() -> None:
    assert "no rival ran" in verdict(curve("unicorn", "unicorn", [(0.1, 10)]))
    assert "not among" in verdict(AVIF)


def test_tables_show_a_dash_for_missing_values() -> None:
    row = point_table(AVIF).splitlines()[2]
    dashes = " | ".join([DASH] * (len(METRICS) - 3))
    assert row == f"| AVIF | 0 | 100 | 0.1000 | 22.00 | 0.9000 | 10.0 | {dashes} | 1.00 | 1.00 | 1 |"
    apart = curve("webp", "WebP", [(0.1, 65), (0.2, 74)])
    rows = bd_table([*AVIF, *JPEG, *apart]).splitlines()
    assert rows[2].startswith("| JPEG | +100.0 % (22.0 to 34.0; 0.10 to 0.80 bpp) |")
    assert rows[3].split(" | ")[0::3] == ["| WebP", f"{DASH} |"]


def test_bd_rates_refer_to_avif_without_containers_where_it_ran() -> None:
    both = [*AVIF, *BARE]
    assert "## BD-rate against AVIF without container" in markdown("Sentence.", both, [], ORIGIN)
    assert [row.split(" | ")[0] for row in bd_table(both).splitlines()[2:]] == ["| AVIF"]
    assert "## BD-rate against AVIF\n" in markdown("Sentence.", AVIF, [], ORIGIN)
    assert "BD-rate" not in markdown("Sentence.", JPEG, [], ORIGIN)


def test_the_report_names_its_provenance_and_skipped_codecs() -> None:
    text = markdown("Sentence.", AVIF, ["X: skipped, no X"], ORIGIN)
    for part in ("Sentence.", "6 of 9 pictures", "an abacus", "seed 3", "unicorn bench x", "- X: skipped, no X"):
        assert part in text


def test_codecs_with_another_number_of_pictures_are_not_compared() -> None:
    few = [replace(point, pictures=2) for point in JPEG]
    assert "JPEG" not in bd_table([*AVIF, *few])
    assert "no rival ran" in verdict(
        [*curve("unicorn", "unicorn", [(0.1, 10)]), *[replace(p, pictures=2) for p in AVIF]]
    )


HALF = curve("avif-half", "AVIF, half size", [(0.05, 5), (0.09, 20), (0.11, 25)])


@pytest.mark.parametrize(
    ("quality", "ms_ssim", "psnr_db", "is_won"),
    [(30, 0.95, 25.0, True), (30, 0.95, 24.4, False), (24, 0.95, 25.0, False), (30, 0.9, 25.0, False)],
)
def test_at_equal_bytes_the_smallest_files_of_at_least_this_size_count(
    quality: float, ms_ssim: float, psnr_db: float, is_won: bool
) -> None:
    """Against 0.101, AVIF's 0.2 (26 dB) and half-size AVIF's 0.11 (25 dB) count; smaller and larger files do not."""
    metrics = dict.fromkeys(METRICS) | {"psnr_db": psnr_db, "ms_ssim": ms_ssim, "ssimulacra2": quality}
    (own,) = curve("unicorn", "unicorn", [(0.101, 0)])
    avif = [
        p if p.bits_per_pixel != 0.2 else replace(p, metrics=p.metrics | {"ssimulacra2": 20, "psnr_db": 24})
        for p in AVIF
    ]
    found = at_equal_bytes([replace(own, metrics=metrics), *avif, *HALF], 0.1, ["avif", "avif-half"])
    assert found is not None
    assert [point.bits_per_pixel for point in found.rivals] == [0.2, 0.11]
    assert found.best("ssimulacra2").codec == "avif-half"
    assert found.is_won is is_won


def test_a_rate_without_a_file_is_reported() -> None:
    points = [*curve("unicorn", "unicorn", [(0.11, 10)]), *AVIF]
    assert at_equal_bytes(points, 0.1, ["avif"]) is None
    assert "no file to compare" in equal_bytes_table(points, [0.1], ["avif"])
    assert equal_bytes_table(points, [0.11], ["avif"]).splitlines()[2].endswith("| no |")


def test_every_curve_of_a_plot_has_its_own_style(tmp_path: Path) -> None:
    assert len({(style.marker, style.dashes) for style in STYLES}) == len({style.marker for style in STYLES})
    many = [p for number in range(15) for p in curve(f"c{number}", f"codec {number}", [(0.1 + number, 1), (9, 60)])]
    paths = draw_plots([*many, *AVIF], tmp_path)
    assert {path.name for path in paths} >= {"rd-psnr_db.png", "rd-ssimulacra2.svg"}


@pytest.mark.parametrize("heights", [[0.5], [0.1, 0.11, 0.12, 0.9], [0.98, 0.99, 1.0], [0, 0, 0.02, 0.5, 0.52], []])
def test_labels_keep_their_distance_and_stay_inside(heights: list[float]) -> None:
    places = spread_labels(heights, 0.05)
    assert len(places) == len(heights)
    assert all(np.diff(places) >= 0.05 - 1e-9)
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in places)


def test_labels_with_room_are_not_moved() -> None:
    assert spread_labels([0.2, 0.5, 0.8], 0.05) == pytest.approx([0.2, 0.5, 0.8])


# Metrics.


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A network of SqueezeNet's shape with random weights."""
    torch.manual_seed(0)
    shapes = {"features.0": (64, 3, 3)}
    for number, (channels, squeezed, expanded) in FIRES.items():
        shapes[f"features.{number}.squeeze"] = (squeezed, channels, 1)
        shapes[f"features.{number}.expand1x1"] = (expanded, squeezed, 1)
        shapes[f"features.{number}.expand3x3"] = (expanded, squeezed, 3)
    tensors = {f"{name}.weight": torch.randn(n, c, side, side) / c for name, (n, c, side) in shapes.items()}
    tensors |= {f"{name}.bias": torch.zeros(n) for name, (n, _, _) in shapes.items()}
    path = tmp_path_factory.mktemp("features") / "squeezenet.safetensors"
    save_file(tensors, path)
    yield path


def test_the_perceptual_distance_needs_its_features(features: Path) -> None:
    a, b = draw(1, 64, 48), draw(2, 64, 48)
    assert measure_pair(a, b, None).values["perceptual_distance"] is None
    distance = measure_pair(a, b, features).values["perceptual_distance"]
    assert distance is not None
    assert 0 < distance < 4  # the squared difference of two unit vectors
    assert PerceptualDistance(features)(planes_of(a), planes_of(a)) == 0
    small = measure_pair(a[: LEAST_SIDE - 1], b[: LEAST_SIDE - 1], features)
    assert small.values["perceptual_distance"] is None


@pytest.mark.parametrize("content", [b"", b"not safetensors", None])
def test_invalid_feature_files_are_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "features"
    if content is None:
        save_file({"features.0.weight": torch.zeros(1)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(InvalidSetting, match="SqueezeNet"):
        check_packages(path)


def test_unavailable_metrics_are_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.hub.get_dir", lambda: "/nowhere")
    monkeypatch.setattr("pathlib.Path.expanduser", lambda path: path)
    monkeypatch.setattr("unicorn_codec.bench.learned_metrics.judge_is_here", lambda: False)
    learned_measures.cache_clear()
    assert learned_measures(None) == {}
    assert set(SOURCES) < set(METRICS)
    values = measure_pair(draw(1, 20, 20), draw(2, 20, 20), None).values
    assert [name for name, value in values.items() if value is not None] == ["psnr_db", "ms_ssim", "ssimulacra2"]
    learned_measures.cache_clear()


def test_ssimulacra2_of_identical_and_of_tiny_pictures() -> None:
    same = measure_pair(draw(1, 30, 20), draw(1, 30, 20), None)
    assert same.values["ssimulacra2"] == pytest.approx(100)
    assert same.values["psnr_db"] == math.inf
    tiny = measure_pair(draw(1, 7, 20), draw(1, 7, 20), None)
    assert tiny.values["ssimulacra2"] is None
    assert set_values([same, tiny])["ssimulacra2"] is None
    assert set_values([same, same])["ssimulacra2"] == pytest.approx(100)


def test_the_frechet_distance_of_normal_distributions() -> None:
    """For means d apart and covariances s I and t I it is d^2 + n (sqrt s - sqrt t)^2, here with n = 3."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
    scale = 8 / 7  # the variance of the corners, over count - 1
    far = frechet_distance(list(corners), list(2 * corners + [3, 0, 4]))
    assert far == pytest.approx(25 + 3 * scale * (2 - 1) ** 2)
    assert frechet_distance(list(corners), list(corners)) == pytest.approx(0, abs=1e-9)


def test_a_set_has_a_frechet_distance_where_every_picture_has_features() -> None:
    pair = measure_pair(draw(1, 30, 20), draw(2, 30, 20), None)
    rows = [replace(pair, original_features=np.eye(4)[i], decoded_features=np.eye(4)[i]) for i in range(3)]
    assert set_values(rows)["fid"] == pytest.approx(0, abs=1e-9)
    assert set_values([*rows, pair])["fid"] is None


def test_missing_packages_are_named_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PackageMissing, match=r"matplotlib, ssimulacra2.*unicorn-codec\[bench\]"):
        check_packages(None)
