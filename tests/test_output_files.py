"""Names stored in a file are data: whatever they say, the output lies inside its folder, each in its own file."""

import os
import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unicorn_codec.errors import OutputError
from unicorn_codec.pictures.output_files import (
    MAX_COMPONENT_BYTES,
    MAX_PATH_BYTES,
    make_folder,
    names_of_output,
    output_names,
    output_path,
)


@given(st.text(st.sampled_from("aB_ (2)/é"), min_size=1, max_size=8), st.sampled_from([".png", ".jpg", ".JPEG", ""]))
def test_a_path_leads_back_to_the_name_that_became_it(stem: str, ending: str) -> None:
    (path,) = output_names([stem + ending], ".png")
    names = list(names_of_output(path, ".png"))
    assert names[0] == (path, True)
    assert all(output_names([name], ".png") == [path] for name, is_whole in names if not is_whole)
    is_cleaned = path != stem + ".png"
    assert ((stem + ending, False) in names) != is_cleaned


def one(name: str) -> str:
    return output_names([name], ".png")[0]


def test_plain_names_keep_folder_and_stem() -> None:
    names = ["cats/a.jpg", "cats/b.tar.jpeg", "été 猫.webp", "v1.2", "dogs/a.png"]
    assert output_names(names, ".png") == ["cats/a.png", "cats/b.tar.png", "été 猫.png", "v1.2.png", "dogs/a.png"]
    assert output_names(["a.jpg"], ".webp") == ["a.webp"]


def test_same_stems_keep_their_own_suffix() -> None:
    assert output_names(["a.jpg", "a.png", "b.png"], ".png") == ["a.jpg.png", "a.png.png", "b.png"]


def test_names_that_differ_only_for_some_file_systems() -> None:
    assert output_names(["A.jpg", "a.png"], ".png") == ["A.jpg.png", "a.png.png"]
    assert output_names(["Pic.jpg", "pic.jpg"], ".png") == ["Pic.jpg.png", "pic.jpg (2).png"]
    composed, decomposed = "\u00e9.jpg", "e\u0301.jpg"
    assert len({unicodedata.normalize("NFC", path) for path in output_names([composed, decomposed], ".png")}) == 2


def test_collision_with_an_already_longer_name() -> None:
    names = ["a.jpg", "a.png", "a.jpg.webp"]
    assert output_names(names, ".png") == ["a.jpg.png", "a.png.png", "a.jpg (2).png"]


def test_file_never_meets_a_folder() -> None:
    assert output_names(["a.jpg", "a.png/b.jpg"], ".png") == ["a.jpg.png", "a.png/b.png"]
    names = ["a.jpg", "a.png", "a.jpg.png/x.jpg"]
    assert output_names(names, ".png") == ["a.jpg (2).png", "a.png.png", "a.jpg.png/x.png"]


def test_a_path_does_not_depend_on_the_order_of_names() -> None:
    names = ["x.jpg", "X.jpg", "x.png", "y.png", "x.jpg.gif", "sub/x.jpg"]
    forward = dict(zip(names, output_names(names, ".png"), strict=True))
    backward = dict(zip(names[::-1], output_names(names[::-1], ".png"), strict=True))
    assert forward == backward


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../x.jpg", "x.png"),
        ("/etc/passwd", "etc/passwd.png"),
        ("a/./b//c.jpg", "a/b/c.png"),
        ("C:\\Windows\\x.jpg", "C__Windows_x.png"),
        ("..\\..\\x.jpg", "_._.._x.png"),
        ("a\0b.jpg", "a_b.png"),
        ("a\n\x1b[2J.jpg", "a__[2J.png"),
        ('<a>:"b"|?*.jpg', "_a___b____.png"),
        ("\u202egpj.exe", "_gpj.exe.png"),
        ("\udcff.jpg", "_.png"),
        ("CON.jpg", "_CON.png"),
        ("con .tar.jpg", "_con .tar.png"),
        ("lpt1/nul", "_lpt1/_nul.png"),
        ("COM¹.jpg", "_COM¹.png"),
        ("console.jpg", "console.png"),
        ("folder. ./x. .", "folder/x.png"),
        (".ssh/authorized_keys", "_ssh/authorized_keys.png"),
        (".jpg", "_jpg.png"),
        ("...", "_.png"),
        ("..", "unnamed.png"),
        ("", "unnamed.png"),
    ],
)
def test_hostile_names(name: str, expected: str) -> None:
    assert one(name) == expected


def test_very_long_names() -> None:
    assert one("x" * 5000 + ".jpg") == "x" * (MAX_COMPONENT_BYTES - 4) + ".png"
    assert one("猫" * 5000).removesuffix(".png") == "猫" * (MAX_COMPONENT_BYTES // 3)
    assert one("d/" * 2000 + "x.jpg") == "x.png"
    many = output_names(["x" * 300 + str(n) + ".jpg" for n in range(50)], ".png")
    assert len(set(many)) == 50
    assert max(map(len, many)) < 255


def test_many_equal_names_are_quick() -> None:
    assert len(set(output_names(["a.jpg"] * 20_000, ".png"))) == 20_000


def _distinct(names: list[str]) -> bool:
    paths = output_names(names, ".png")
    keys = [unicodedata.normalize("NFD", path).casefold() for path in paths]
    parents = {str(parent) for key in keys for parent in PurePosixPath(key).parents}
    return len(set(keys)) == len(keys) and not parents & set(keys)


component = st.text(st.sampled_from("aA.é\u0301 /\\:ß_jpgn()2\0\udcff"), max_size=8)


@given(st.lists(st.one_of(st.text(max_size=12), component), max_size=12))
def test_any_names_give_distinct_paths_inside(names: list[str]) -> None:
    assert _distinct(names)
    for path in output_names(names, ".png"):
        parts = path.split("/")
        assert path.endswith(".png")
        assert not {"", ".", ".."} & set(parts)
        assert not set(path) & set('\\:\0<>"|?*')
        assert len(path.encode()) < MAX_PATH_BYTES + 50
        assert all(len(part.encode()) < 255 and part == part.rstrip(". ") and part[0] != "." for part in parts)


# --- the folder itself ---


def test_parents_are_made_when_asked_for(tmp_path: Path) -> None:
    path = output_path(tmp_path / "out", "a/b/c.png")
    assert path == tmp_path / "out/a/b/c.png"
    assert not (tmp_path / "out").exists()
    make_folder(path.parent)
    assert path.parent.is_dir()
    with pytest.raises(OutputError, match="cannot create"):
        (tmp_path / "file").touch()
        make_folder(tmp_path / "file" / "below")
    assert not path.exists()


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "/x.png", "a//x.png", "..", ".", "", "a/", "a\0.png"])
def test_names_that_lead_outside_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="is no path inside"):
        output_path(tmp_path / "out", name)
    assert os.listdir(tmp_path) == []


def test_link_to_the_outside_is_refused(tmp_path: Path) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    out.mkdir()
    outside.mkdir()
    out.joinpath("link").symlink_to(outside)
    out.joinpath("dangling").symlink_to(tmp_path / "not-yet")
    for name in ("link/x.png", "link/sub/x.png", "dangling/x.png"):
        with pytest.raises(OutputError, match="leads outside"):
            output_path(out, name)
    assert os.listdir(outside) == []
    assert not tmp_path.joinpath("not-yet").exists()


def test_links_that_stay_inside_and_a_linked_output_folder_are_fine(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.joinpath("a").mkdir(parents=True)
    real.joinpath("b").symlink_to("a")
    tmp_path.joinpath("out").symlink_to(real)
    assert output_path(tmp_path / "out", "b/x.png").parent.resolve() == real / "a"


def test_folders_that_cannot_be_made(tmp_path: Path) -> None:
    tmp_path.joinpath("file").write_text("")
    tmp_path.joinpath("loop").symlink_to("loop")
    for name in ("file/x.png", "file/sub/x.png", "loop/x.png"):
        with pytest.raises(OutputError):
            make_folder(output_path(tmp_path, name).parent)


WINDOWS_NAMES = (
    "con.jpg", "CON", "aux/nul.png", "com1.tar.jpg", "lpt9 .jpg", "a:b.jpg", "c:/x.jpg", "dot./end.",
    "space /end .jpg", "what?.jpg", "a|b.jpg", 'quote".jpg', "less<more>.jpg", "tab\t.jpg", "CONIN$.jpg",
    "com¹.jpg", "..\\x.jpg", "end...",
)  # fmt: skip


def test_windows_takes_every_written_name() -> None:
    """Its rules, without it: https://learn.microsoft.com/windows/win32/fileio/naming-a-file."""
    ports = (f"{port}{number}" for port in ("com", "lpt") for number in "123456789¹²³")
    devices = {"con", "prn", "aux", "nul", "conin$", "conout$", *ports}
    written = output_names(WINDOWS_NAMES, ".png")
    assert len({path.casefold() for path in written}) == len(WINDOWS_NAMES)
    for path in written:
        for part in path.split("/"):
            assert not set(part) & set('<>:"\\|?*') and part.isprintable()
            assert part == part.rstrip(". ") and part.split(".")[0].rstrip().casefold() not in devices
        assert not PureWindowsPath(path).is_absolute() and not PureWindowsPath(path).drive
