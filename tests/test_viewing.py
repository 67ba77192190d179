"""The gallery: what its server answers, to whom, and the page that holds everything."""

import io
import json
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from starlette.testclient import TestClient

from tests.sample_gallery import HOSTILE, write_many
from unicorn_cli.main import cli
from unicorn_codec.archive import Archive
from unicorn_codec.config import CodesOptions, OriginalOptions
from unicorn_codec.errors import InvalidSetting, OutputError
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.pictures.picture_files import printable
from unicorn_codec.viewing import gallery as gallery_module
from unicorn_codec.viewing import small_pictures
from unicorn_codec.viewing.export import MOST_EXPORTED, export_gallery
from unicorn_codec.viewing.gallery import Gallery
from unicorn_codec.viewing.pages import FILES, policy, static
from unicorn_codec.viewing.server import FRAME, application, serve
from unicorn_codec.viewing.small_pictures import Kept

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "golden"
TOKEN, HOST = "secret", "127.0.0.1:8000"


@pytest.fixture(scope="module")
def many(coded: tuple[Path, PackReport], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gallery") / "many.uni"
    write_many(path, coded[0], 40)
    return path


@pytest.fixture(scope="module")
def gallery(many: Path) -> Iterator[Gallery]:
    opened = Gallery(many, device="cpu")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def client(gallery: Gallery) -> TestClient:
    app = application(gallery, [HOST], TOKEN)
    return TestClient(app, base_url=f"http://{HOST}/{TOKEN}/", raise_server_exceptions=False)


def frames(data: bytes) -> list[tuple[int, bool, bytes]]:
    found = []
    while data:
        index, is_final, length = FRAME.unpack_from(data)
        found.append((index, bool(is_final), data[FRAME.size : FRAME.size + length]))
        data = data[FRAME.size + length :]
    return found


def test_a_page_of_another_host_or_without_the_token_gets_nothing(client: TestClient) -> None:
    assert client.get("pictures").status_code == 200
    assert client.get("pictures", headers={"Host": "evil.example:8000"}).status_code == 421
    assert client.get("pictures", headers={"Host": "127.0.0.1"}).status_code == 421
    for path in ("/", "/pictures", "/wrong/pictures", f"/{TOKEN}x/pictures", f"/x/{TOKEN}/pictures"):
        found = client.get(f"http://{HOST}{path}")
        assert found.status_code == 403 and "picture " not in found.text


def test_every_answer_forbids_everything_from_elsewhere(client: TestClient) -> None:
    for path in ("", "main.js", "pictures", "picture/0", "no-such", "facts/999999"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer" and headers["x-content-type-options"] == "nosniff"


def test_the_page_names_only_files_that_are_served(client: TestClient) -> None:
    page = client.get("").text
    named = re.findall(r'(?:src|href)="([^"#]+)"', page)
    assert set(named) == set(FILES)
    for name in named:
        assert client.get(name).status_code == 200
    assert not re.findall(r"https?://(?!www\.w3\.org)", page + static(*(f for f in FILES if f != "icon.svg")))


@pytest.mark.parametrize("path", ["../server.py", "..%2fserver.py", "gallery.py", "static/main.js", "picture/-1"])
def test_no_other_file_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code in (403, 404)


def test_the_listing_has_every_picture_with_its_name_as_text(client: TestClient, gallery: Gallery) -> None:
    listed = client.get("pictures").json()
    columns = listed["columns"]
    assert listed["pictures"] == 40 and columns["index"] == list(range(40))
    assert columns["name"][: len(HOSTILE)] == [printable(name) for name in HOSTILE]
    assert "\u202e" not in json.dumps(columns["name"], ensure_ascii=False)
    assert columns["psnr"][:3] == [20.0, 20.1, 20.2]
    assert columns["bytes"][0] == gallery.reader.row(0).length
    assert client.get("dates").json() == [None] * 40


def test_thumbnails_come_quick_then_sharp_then_from_memory(many: Path) -> None:
    opened = Gallery(many, device="cpu")
    client = TestClient(application(opened, [HOST], TOKEN), base_url=f"http://{HOST}/{TOKEN}/")
    found = frames(client.get("thumbnails?of=3,1,2,abc,99").content)
    assert sorted(index for index, is_final, _ in found if not is_final) == [1, 2, 3]
    assert [is_final for _, is_final, _ in found] == [False] * 3 + [True] * 3
    for index, is_final, data in found:
        size = Image.open(io.BytesIO(data)).size
        assert (size == opened.listing["columns"]["width"][index]) or is_final or max(size) < 20
    again = frames(client.get("thumbnails?of=1,2,3").content)
    assert [is_final for _, is_final, _ in again] == [True] * 3
    opened.close()


def test_quick_thumbnails_need_no_torch_even_of_an_archive_with_an_update() -> None:
    program = (
        "import sys; from unicorn_codec.viewing.gallery import Gallery\n"
        "from unicorn_codec.viewing.server import framed\n"
        "gallery = Gallery(sys.argv[1]); gallery.prepare(); stream = framed(gallery, [0, 1, 2, 3])\n"
        "parts = [next(stream) for _ in range(4)]\n"
        "assert 'torch' not in sys.modules; sys.stdout.buffer.write(b''.join(parts))"
    )
    path = GOLDEN / "updated-codes.uni"
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, check=True, cwd=ROOT)
    found = frames(done.stdout)
    assert sorted(index for index, _, _ in found) == [0, 1, 2, 3]
    with Archive.open(path, device="cpu") as archive:
        for index, is_final, data in found:
            small = Image.open(io.BytesIO(data)).convert("RGB")
            whole = archive[index].convert("RGB").resize(small.size, Image.Resampling.BOX)
            assert not is_final and psnr_db(np.asarray(whole), np.asarray(small)) > 18


def test_the_first_wall_is_made_before_the_page_asks_for_it(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Gallery(many, device="cpu")
    monkeypatch.setattr(gallery_module, "MOST_PREPARED", 8)
    opened.prepare()
    assert opened._preparing is not None
    opened._preparing.join()
    columns = opened.listing["columns"]
    wall = [index for _, index in sorted(zip(columns["name"], columns["index"], strict=True))[:8]]
    decoded = list[int]()
    quick = small_pictures.QuickDecoder.thumbnails
    monkeypatch.setattr(
        small_pictures.QuickDecoder,
        "thumbnails",
        lambda self, indices: quick(self, [decoded.append(index) or index for index in indices]),  # type: ignore[func-returns-value]
    )
    stream = opened.thumbnails([*wall, 39])
    found = [next(stream) for _ in range(9)]
    assert [one.index for one in found] == [*wall, 39] and decoded == [39]
    assert all(one.data and not one.is_final for one in found)
    opened.close()


def test_a_picture_is_that_of_unpack(client: TestClient, many: Path) -> None:
    with Archive.open(many, device="cpu") as archive:
        for index in (0, 5):
            found = np.asarray(Image.open(io.BytesIO(client.get(f"picture/{index}").content)))
            np.testing.assert_array_equal(found, np.asarray(archive[index]))
    assert client.get("picture/40").status_code == 404
    assert "out of range" in client.get("facts/40").text


def test_facts_are_those_of_inspect(client: TestClient) -> None:
    found = client.get("facts/0").json()
    assert found["index"] == 0 and found["name"] == HOSTILE[0] and found["psnr_db"] == 20.0
    assert found["download"].endswith(".png") and "<" not in found["download"]


def test_a_download_has_the_format_of_the_original_and_a_harmless_name(client: TestClient) -> None:
    for index, kind in ((0, "PNG"), (1, "JPEG")):
        found = client.get(f"download/{index}")
        assert Image.open(io.BytesIO(found.content)).format == kind
        place = found.headers["content-disposition"]
        assert re.fullmatch(r"attachment; filename\*=UTF-8''[\w.%~-]+", place)


def test_an_exact_picture_downloads_as_its_own_file(tmp_path: Path, folder: Path) -> None:
    options = CodesOptions(originals=OriginalOptions(patterns=("*",)), device="cpu")
    pack(folder, tmp_path / "exact.uni", options)
    opened = Gallery(tmp_path / "exact.uni", device="cpu")
    (index,) = opened.reader.find("wide 0.png")
    assert opened.download(index).data == (folder / "wide 0.png").read_bytes()
    assert opened.download(index).name == "wide 0.png"
    assert [one.is_final for one in opened.thumbnails([index])] == [True]
    assert opened.facts(index)["psnr_db"] == "exact"
    opened.close()


def test_a_damaged_picture_is_shown_as_lost_and_no_other(many: Path, tmp_path: Path) -> None:
    data = bytearray(many.read_bytes())
    opened = Gallery(many, device="cpu")
    row = opened.reader.row(2)
    opened.close()
    data[row.offset + row.length // 2] ^= 0x55
    (tmp_path / "damaged.uni").write_bytes(data)
    opened = Gallery(tmp_path / "damaged.uni", device="cpu")
    final = {one.index: bool(one.data) for one in opened.thumbnails([1, 2, 3]) if one.is_final}
    assert final == {1: True, 2: False, 3: True}
    client = TestClient(application(opened, [HOST], TOKEN), base_url=f"http://{HOST}/{TOKEN}/")
    assert client.get("picture/2").status_code == 422 and "picture 2" in client.get("picture/2").text
    opened.close()


def on_white(image: Image.Image) -> Image.Image:
    """A picture without transparency."""
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")


@pytest.mark.parametrize(
    "name",
    [
        "codes-and-avif",
        "half-size-codes",
        "sequences",
        "transparency",
        "updated-codes",
        "network",
        "network-of-integers",
    ],
)
def test_every_kind_of_picture_has_a_thumbnail_like_it(name: str) -> None:
    path = GOLDEN / f"{name}.uni"
    opened = Gallery(path, device="cpu")
    with Archive.open(path, device="cpu") as archive:
        found = list(opened.thumbnails(archive.indices))
        assert {one.index for one in found if one.is_final} == set(archive.indices)
        for one in found:
            whole = on_white(archive[one.index])
            small = on_white(Image.open(io.BytesIO(one.data))).resize(whole.size, Image.Resampling.BICUBIC)
            least = 20 if one.is_final else 12
            assert psnr_db(np.asarray(whole), np.asarray(small)) > least, (one.index, one.is_final)
    opened.close()


def test_a_picture_above_the_limit_is_not_decoded(many: Path) -> None:
    opened = Gallery(many, device="cpu", max_pixels=100)
    assert [(one.data, one.is_final) for one in opened.thumbnails([0])] == [(b"", True)]
    opened.close()


def test_the_first_wall_needs_no_torch(many: Path) -> None:
    program = (
        "import sys, unicorn_codec.viewing.server\n"
        "from unicorn_codec.viewing.gallery import Gallery\n"
        f"gallery = Gallery({str(many)!r})\n"
        "gallery.listing, gallery.dates, gallery.facts(0)\n"
        "print(next(gallery.thumbnails([1, 2])).is_final, 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False"]


def test_the_oldest_pictures_are_dropped_from_memory() -> None:
    kept = Kept(most_bytes=10)
    for index in range(3):
        kept.put(index, bytes(4))
    assert kept.get(0) is None and kept.get(1) == kept.get(2) == bytes(4)
    kept.put(2, bytes(9))
    assert kept.get(1) is None and kept.get(2) == bytes(9)


def test_a_taken_port_is_refused_with_what_to_do(gallery: Gallery) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OutputError, match="choose another --port"):
            serve(gallery, port=taken.getsockname()[1], ready=lambda _: pytest.fail("it cannot be ready"))


def export(many: Path, page: Path, *options: str) -> Any:
    return CliRunner().invoke(cli, ["view", str(many), "--export", str(page), "--device", "cpu", *options])


def test_an_exported_page_holds_its_pictures_and_nothing_of_a_name_is_markup(many: Path, tmp_path: Path) -> None:
    page = tmp_path / "a page.html"
    result = export(many, page, "--index", "0-5")
    assert result.exit_code == 0, result.output
    text = page.read_text("utf-8")
    assert "6 pictures" in result.output
    (block,) = re.findall(r'<script type="application/json" id="embedded">(.*?)</script>', text, re.DOTALL)
    data = json.loads(block)
    assert data["listing"]["columns"]["name"] == [printable(name) for name in HOSTILE] + ["set 5/picture 0005.png"]
    assert len(data["pictures"]) == 6
    assert all(one.startswith("data:image/webp;base64,") for one in data["pictures"].values())
    assert "<img src=x" not in text and text.count("<script") == 2
    assert policy(static("page.css", "gallery.css")).split("; ")[2] in text.replace("&#39;", "'")
    assert not re.findall(r'(?:src|href)="[^"#d]', text)


def test_an_export_refuses_too_many_and_what_exists(many: Path, tmp_path: Path, gallery: Gallery) -> None:
    with pytest.raises(InvalidSetting, match=f"at most {MOST_EXPORTED}"):
        export_gallery(gallery, tmp_path / "page.html", list(range(MOST_EXPORTED + 1)))
    (tmp_path / "page.html").write_text("kept")
    result = export(many, tmp_path / "page.html", "--index", "0")
    assert result.exit_code == 1 and "exists already" in result.output
    assert (tmp_path / "page.html").read_text() == "kept"
    assert export(many, tmp_path / "page.html", "--index", "0", "--overwrite").exit_code == 0


def test_selections_without_export_are_refused(many: Path) -> None:
    result = CliRunner().invoke(cli, ["view", str(many), "--index", "3"])
    assert result.exit_code == 2 and "--export" in result.output


def test_without_the_server_the_extra_is_named(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "unicorn_codec.viewing.server")
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    result = CliRunner().invoke(cli, ["view", str(many), "--no-browser"])
    assert result.exit_code == 1 and "unicorn-codec[view]" in result.output and result.output.count("\n") == 1


def test_frames_are_as_the_page_reads_them() -> None:
    script = static("catalogue.js")
    assert FRAME.size == 9 and f">= {FRAME.size}" in script
    assert struct.unpack("<I", FRAME.pack(7, 1, 5)[5:]) == (5,) and "getUint32(5, true)" in script
    assert small_pictures.THUMBNAIL_SIDE >= 256
