"""Picture sets are made from archives and recognised by their content; no test uses the network."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import fetch_sets
from tests.conftest import draw

COUNT = 4
PLACE = "repository-c0ffee/BCCD/JPEGImages"


def coded(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(draw(seed, 40, 30)).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Pictures of a set by their names in it, which alone is known."""
    (tmp_path / "lists").mkdir()
    wanted = {f"cells_{number}.jpg": coded(number) for number in range(COUNT)}
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in wanted.items()]
    (tmp_path / "lists" / "cells-300.sha256").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(fetch_sets, "LISTS", tmp_path / "lists")
    return wanted


def zipped(path: Path, pictures: dict[str, bytes]) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for number, data in enumerate(pictures.values()):
            archive.writestr(f"{PLACE}/BloodImage_{number:05}.jpg", data)
        archive.writestr(f"{PLACE}/other.jpg", coded(99))
        archive.writestr("repository-c0ffee/example.jpg", b"not read: it is in another folder")
    return path.as_uri()


def run(tmp_path: Path, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        fetch_sets.main(["--out", str(tmp_path / "sets"), *arguments])
    assert isinstance(ended.value.code, int), ended.value.code
    return ended.value.code


def test_a_set_is_made_under_its_own_names(pictures: dict[str, bytes], tmp_path: Path) -> None:
    assert run(tmp_path, "--from", f"cells-300={zipped(tmp_path / 'a.zip', pictures)}") == 0
    made = tmp_path / "sets" / "cells-300"
    assert {path.name: path.read_bytes() for path in made.iterdir()} == pictures
    assert not list((tmp_path / "sets").glob("*.part"))


def test_tar_archives_are_read_too(pictures: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for number, data in enumerate(pictures.values()):
            member = tarfile.TarInfo(f"{PLACE}/{number}.jpg")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    assert run(tmp_path, "--from", f"cells-300={path.as_uri()}") == 0


def test_missing_and_changed_pictures_are_counted(
    pictures: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some = dict(list(pictures.items())[1:])
    assert run(tmp_path, "--from", f"cells-300={zipped(tmp_path / 'a.zip', some)}") == 1
    assert f"{COUNT - 1} of {COUNT} pictures" in capsys.readouterr().out
    (tmp_path / "sets" / "cells-300" / "cells_2.jpg").write_bytes(coded(7))
    assert run(tmp_path, "--check") == 1
    assert f"{COUNT - 2} of {COUNT} pictures" in capsys.readouterr().out


def test_a_complete_set_is_not_downloaded_again(pictures: dict[str, bytes], tmp_path: Path) -> None:
    folder = tmp_path / "sets" / "cells-300"
    folder.mkdir(parents=True)
    for name, data in pictures.items():
        (folder / name).write_bytes(data)
    assert run(tmp_path, "--from", "cells-300=file:///nowhere.zip") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "cells-300=file:///nowhere.zip"], "cannot be read"),
        (["--from", "dogs=file:///x"], "--from dogs: give SET=URL"),
        (["--only", "dogs"], "no set dogs: choose from cells-300"),
    ],
)
def test_errors_are_one_line(arguments: list[str], message: str, pictures: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=message) as ended:
        fetch_sets.main(["--out", str(tmp_path / "sets"), *arguments])
    assert "\n" not in str(ended.value)


def test_what_is_no_archive_is_refused(pictures: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>not found</html>")
    with pytest.raises(SystemExit, match="cannot be read"):
        fetch_sets.main(["--out", str(tmp_path / "sets"), "--from", f"cells-300={(tmp_path / 'page.html').as_uri()}"])


def test_squares_keep_the_centre() -> None:
    wide = np.zeros((100, 300, 3), np.uint8)
    wide[:, 100:200] = 200
    file = io.BytesIO()
    Image.fromarray(wide).save(file, "PNG")
    square = Image.open(io.BytesIO(fetch_sets.square_256(file.getvalue())))
    assert square.size == (256, 256) and np.asarray(square)[:, 8:-8].min() > 190


def test_lists_name_every_picture_once() -> None:
    lists = sorted(fetch_sets.LISTS.glob("*.sha256"))
    assert {path.stem for path in lists} >= {public.name for public in fetch_sets.SETS}
    for path in lists:
        names = list(fetch_sets.listed(path.stem).values())
        assert len(names) == len(set(names)) == len(path.read_text().splitlines())
        assert len(names) == int(path.stem.rsplit("-", 1)[1])
