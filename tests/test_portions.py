"""Large folders are packed in portions: by any executor the same file, and a lost worker costs its portion alone."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.conftest import draw
from unicorn_cli.main import cli
from unicorn_codec.archive import Archive
from unicorn_codec.config import CodesOptions, Goal, OriginalOptions, ReadOptions, Target
from unicorn_codec.errors import (
    CheckpointMismatch,
    ImageFolderError,
    Interrupted,
    InvalidSetting,
    OutputError,
    PackageMissing,
    WorkerLost,
)
from unicorn_codec.format.integrity import problems_of
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.pictures.picture_folder import Folder, list_folder
from unicorn_codec.pictures.picture_table import Picture, PictureTable
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.portions import decisions, partition, survey, workers
from unicorn_codec.portions.pack import pack_in_portions
from unicorn_codec.portions.workers import WorkerProcesses, run_all

QUICK = CodesOptions(effort=0, learning=None, device="cpu")


class Here(Executor):
    """Runs everything at once, in this process."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **settings: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(work(*args, **settings))
        except Exception as error:  # noqa: BLE001
            done.set_exception(error)
        return done


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Portions of three pictures, and blocks of four files."""
    monkeypatch.setattr(partition, "PORTION_FILES", 3)
    monkeypatch.setattr(survey, "BLOCK_FILES", 4)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven pictures of two sizes, one in a subfolder."""
    root = tmp_path_factory.mktemp("many photos")
    (root / "sub").mkdir()
    for number in range(6):
        write_picture(draw(number, 48, 32), root / f"{number}.png")
    write_picture(draw(9, 40, 40), root / "sub" / "last.png")
    return root


@pytest.fixture(scope="module")
def packed(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PackReport]:
    """The photos in portions of three, and the report."""
    output = tmp_path_factory.mktemp("packed") / "out.uni"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "PORTION_FILES", 3)
        return output, pack_in_portions(photos, output, Here(), QUICK)


def test_the_file_holds_all_pictures_as_one_pack_would(
    photos: Path, packed: tuple[Path, PackReport], tmp_path: Path
) -> None:
    output, report = packed
    alone = pack(photos, tmp_path / "alone.uni", QUICK)
    assert (report.pictures, report.pixels, report.latent_step) == (7, alone.pixels, alone.latent_step)
    assert report.measured.psnr_db.mean == pytest.approx(alone.measured.psnr_db.mean)
    assert report.measured.pictures == 7 and report.file_bytes == output.stat().st_size
    with Archive.open(output) as archive, Archive.open(tmp_path / "alone.uni") as single:
        assert problems_of(archive.reader) == []
        assert set(archive.names.values()) == set(single.names.values())
        for index, name in single.names.items():
            (own,) = archive.indices_of([name])
            np.testing.assert_array_equal(np.asarray(archive[own]), np.asarray(single[index]))
    assert list(output.parent.iterdir()) == [output], "nothing else is left"


def test_two_processes_and_a_killed_one_make_the_same_file(
    photos: Path, packed: tuple[Path, PackReport], tmp_path: Path
) -> None:
    killed = list[int]()

    class Killer(Observer):
        def stage(self, name: str, done: int, total: int) -> None:
            if name == "packing" and 0 < done < total and not killed:
                killed.append(executor.process_ids[0])
                os.kill(killed[0], signal.SIGKILL)

    with WorkerProcesses(2) as executor:
        pack_in_portions(photos, tmp_path / "out.uni", executor, QUICK, Killer())
    assert len(killed) == 1
    assert (tmp_path / "out.uni").read_bytes() == packed[0].read_bytes()


@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_makes_the_same_file(photos: Path, packed: tuple[Path, PackReport], tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**settings) as cluster, workers.dask_executor(cluster.scheduler_address) as executor:
        pack_in_portions(photos, tmp_path / "out.uni", executor, QUICK)
    assert (tmp_path / "out.uni").read_bytes() == packed[0].read_bytes()


def test_an_interrupted_run_resumes_with_what_is_finished(
    photos: Path, packed: tuple[Path, PackReport], tmp_path: Path
) -> None:
    class Impatient(Observer):
        def stage(self, name: str, done: int, total: int) -> None:
            if name == "packing" and 0 < done < total:
                raise KeyboardInterrupt

    output, work = tmp_path / "out.uni", tmp_path / "out.uni.portions"
    with pytest.raises(Interrupted, match=r"1 finished portions: give the same command with --resume"):
        pack_in_portions(photos, output, OneByOne(), QUICK, Impatient())
    first = (work / "000000.uni").stat().st_mtime_ns
    with pytest.raises(OutputError, match="--resume continues it, --overwrite discards it"):
        pack_in_portions(photos, output, Here(), QUICK)
    with pytest.raises(CheckpointMismatch, match="made with other pictures or settings"):
        pack_in_portions(photos, output, Here(), replace(QUICK, target=Target(Goal.STEP, 5), resume=True))
    made = list[int]()

    class Watching(Observer):
        def stage(self, name: str, done: int, total: int) -> None:
            if name == "packing":
                made.append((work / "000000.uni").stat().st_mtime_ns)

    pack_in_portions(photos, output, Here(), replace(QUICK, resume=True), Watching())
    assert made and set(made) == {first}
    assert output.read_bytes() == packed[0].read_bytes() and not work.exists()


class OneByOne(Here):
    """Runs the first portion alone, and leaves the others waiting."""

    def __init__(self) -> None:
        self._portions = 0

    def submit(self, work: Callable[..., Any], /, *args: Any, **settings: Any) -> Future[Any]:
        self._portions += work.__name__ == "pack_portion"
        return Future() if self._portions > 1 else super().submit(work, *args, **settings)


def test_nothing_to_resume_from_is_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointMismatch, match=r"there is no .*out\.uni\.portions to resume from"):
        pack_in_portions(photos, tmp_path / "out.uni", Here(), replace(QUICK, resume=True))


def test_unreadable_files_of_all_blocks_are_refused_together(photos: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for path in photos.glob("*.png"):
        (mixed / path.name).symlink_to(path)
    for name in ("0 bad.png", "9 bad.png"):
        (mixed / name).write_bytes(b"no picture")
    with pytest.raises(ImageFolderError, match="2 of its files cannot be read") as caught:
        pack_in_portions(mixed, tmp_path / "out.uni", Here(), QUICK)
    assert "0 bad.png" in str(caught.value) and "9 bad.png" in str(caught.value)
    assert not (tmp_path / "out.uni.portions").exists()
    skipping = replace(QUICK, read=ReadOptions(skip_unreadable=True))
    report = pack_in_portions(mixed, tmp_path / "out.uni", Here(), skipping)
    assert (report.pictures, [one.name for one in report.left_out]) == (6, ["0 bad.png", "9 bad.png"])


def test_whole_files_are_in_portions_too(photos: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for path in photos.glob("*.png"):
        (mixed / path.name).symlink_to(path)
    (mixed / "notes.txt").write_bytes(b"kept whole")
    kept = replace(QUICK, originals=OriginalOptions(patterns=("[01].png",), keep_others=True))
    report = pack_in_portions(mixed, tmp_path / "out.uni", Here(), kept)
    assert (report.pictures, report.exact_pictures, report.kept_files) == (6, 2, 1)
    with Archive.open(tmp_path / "out.uni") as archive:
        (notes,) = archive.reader.find("notes.txt")
        assert b"".join(archive.file_pieces(notes)) == b"kept whole"
        (first,) = archive.indices_of(["0.png"])
        assert b"".join(archive.file_pieces(first)) == (photos / "0.png").read_bytes()


def folder_of_sizes(sizes: list[tuple[int, int]]) -> Folder:
    pictures = (Picture(f"{number:03}.png", *size, "00" * 32) for number, size in enumerate(sizes))
    return Folder(root=Path("none"), pictures=PictureTable(pictures))


def test_near_duplicates_are_in_one_portion_and_every_file_in_one() -> None:
    folder = folder_of_sizes([(8, 8)] * 8)
    portions = partition.partition(folder, np.array([0, 1, 2, 0, 3, 4, 1, 5]))
    names = [[int(name[:3]) for name in portion.names] for portion in portions]
    assert names == [[0, 3], [1, 2, 6], [4, 5, 7]]


def test_a_portion_has_so_many_pixels_unless_one_picture_has_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition, "PORTION_PIXELS", 100)
    portions = partition.partition(folder_of_sizes([(5, 8), (5, 8), (5, 8), (20, 20), (5, 2)]), np.arange(5))
    assert [len(portion.pictures) for portion in portions] == [2, 1, 1, 1]


def test_only_pictures_of_one_size_are_near_duplicates() -> None:
    same = np.tile(np.linspace(-90, 90, 768).astype(np.float16), (4, 1))
    folder = folder_of_sizes([(8, 8), (9, 8), (8, 8), (9, 8)])
    groups = partition.group_near_duplicates(folder, same, 9)
    assert groups[0] == groups[2] != groups[1] == groups[3]
    assert len(set(partition.group_near_duplicates(folder, same, 1).tolist())) == 4


def test_a_target_size_is_reached_by_the_sample_of_all(photos: Path, tmp_path: Path) -> None:
    wanted = replace(QUICK, target=Target(Goal.SIZE, 650), sequences=False, avif=False)
    report = pack_in_portions(photos, tmp_path / "out.uni", Here(), wanted)
    assert report.file_bytes == pytest.approx(650, rel=0.1)
    assert report.wanted_bytes == 650


def test_a_sample_is_spread_over_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of_sizes([(10, 10)] * 100)
    monkeypatch.setattr(decisions, "SAMPLE_PIXELS", 1000)
    assert [int(name[:3]) for name in decisions.sample_of(folder).names] == [*range(0, 100, 10)]
    monkeypatch.setattr(decisions, "SAMPLE_PIXELS", 10**9)
    assert decisions.sample_of(folder).names == folder.names


def die_once(flag: Path) -> str:
    if not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return flag.name


def die_always(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(_: int) -> None:
    raise InvalidSetting("no good")


def test_a_lost_task_is_repeated_some_times_and_a_failed_one_never(tmp_path: Path) -> None:
    with WorkerProcesses(1) as executor:
        assert list(run_all(executor, die_once, [tmp_path / "flag"])) == [(0, "flag")]
        with pytest.raises(InvalidSetting, match="no good"):
            list(run_all(executor, fail, [1]))
        with pytest.raises(WorkerLost, match=r"3 workers ended at the same work \(.*signal 9.*--resume with fewer"):
            list(run_all(executor, die_always, [1]))


def test_more_tasks_than_are_submitted_at_a_time_are_all_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SUBMITTED", 2)
    assert sorted(run_all(Here(), abs, [-1, -2, -3, -4, -5])) == [(number, number + 1) for number in range(5)]


def run(*arguments: object, text: str | None = None) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], input=text)


def pack_quickly(*arguments: object, text: str | None = None) -> Result:
    return run("pack", *arguments, "--effort", 0, "--learn", "off", "--device", "cpu", text=text)


def test_the_command_packs_named_files_alone(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("5.png\n./sub/last.png\n0.png\n5.png\n")
    done = pack_quickly(photos, tmp_path / "out.uni", "--files-from", tmp_path / "list.txt")
    assert done.exit_code == 0, done.output
    with Archive.open(tmp_path / "out.uni") as archive:
        assert sorted(archive.names.values()) == ["0.png", "5.png", "sub/last.png"]
    for name, reason in (("missing.png", "no such file"), ("../5.png", "leads outside the folder")):
        refused = pack_quickly(photos, tmp_path / "no.uni", "--files-from", "-", text=f"{name}\n")
        assert refused.exit_code == 1 and f"{name}: " in refused.stderr and reason in refused.stderr


def test_the_command_packs_with_workers_or_a_scheduler(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "WorkerProcesses", lambda _: Here())
    done = pack_quickly(photos, tmp_path / "out.uni", "--workers", 2)
    assert done.exit_code == 0 and "7 pictures" in done.stdout
    both = pack_quickly(photos, tmp_path / "no.uni", "--workers", 2, "--scheduler", "tcp://nowhere:1")
    assert both.exit_code == 2 and "give --workers or --scheduler, not both" in both.stderr
    timed = run("pack", photos, tmp_path / "no.uni", "--workers", 2, "--time", "10m")
    assert timed.exit_code == 1 and "with workers, give an effort" in timed.stderr
    network = run("pack", photos, tmp_path / "no.uni", "--workers", 2, "--index-only")
    assert network.exit_code == 2 and "cannot be combined with --index-only" in network.stderr


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(PackageMissing, match=r"pip install 'unicorn-codec\[cluster\]'"),
        workers.dask_executor("tcp://a:1"),
    ):
        pass


@pytest.fixture
def remote() -> Iterator[str]:
    """A folder of two pictures at a URL."""
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    from unicorn_codec.pictures.picture_writing import encode_picture

    for number in range(2):
        files.pipe_file(f"/bucket/photos/{number}/a.png", encode_picture(draw(number, 24, 16)))
    yield "memory://bucket/photos"
    files.rm("/bucket", recursive=True)


def test_a_folder_at_a_url_is_packed_under_its_own_names(remote: str, tmp_path: Path) -> None:
    done = pack_quickly(remote, tmp_path / "out.uni")
    assert done.exit_code == 0, done.output
    with Archive.open(tmp_path / "out.uni") as archive:
        assert sorted(archive.names.values()) == ["0/a.png", "1/a.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["out.uni"]
    for url, message in (("memory://nothing", "holds no files"), ("sth://user:secret@x/y", "sth://x/y: ")):
        failed = pack_quickly(url, tmp_path / "no.uni")
        assert failed.exit_code == 1 and message in failed.stderr and "secret" not in failed.stderr


def test_work_below_the_folder_is_not_packed(photos: Path, tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    write_picture(draw(1, 24, 16), inside / "a.png")
    (inside / "out.uni.portions").mkdir()
    (inside / "out.uni.portions" / "x.txt").write_bytes(b"x")
    keep = OriginalOptions(keep_others=True)
    listed = list_folder(inside, ReadOptions(), None, keep, output=inside / "out.uni")
    assert (listed.names, listed.others) == (["a.png"], ())
