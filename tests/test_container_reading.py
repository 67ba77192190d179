"""One picture is read by one picture's bytes, from a file, from memory, or over the network."""

import builtins
import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sample_archive import archive, code_of, name_of
from unicorn_codec.errors import ArchiveUnreadable, IndexOutOfRange, InvalidField, PackageMissing
from unicorn_codec.format.columns import column, take_column
from unicorn_codec.format.fields import Fields, varint
from unicorn_codec.format.integrity import problems_of
from unicorn_codec.format.opening import TAIL_BYTES
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.sources import (
    FileSource,
    MemorySource,
    StreamSource,
    TailedSource,
    is_url,
    open_source,
    stem_of,
)

MANY = 5000
MAX_READS, MAX_BYTES = 6, 128 << 10
LARGE = archive(MANY)


class Counted(MemorySource):
    """Counts what is read."""

    reads = 0
    bytes_read = 0

    def read(self, offset: int, length: int) -> bytes:
        found = super().read(offset, length)
        self.reads += 1
        self.bytes_read += len(found)
        return found


@pytest.mark.parametrize("index", [0, 1, 1023, 1024, MANY - 1])
def test_one_picture_takes_a_few_small_reads(index: int) -> None:
    source = Counted(LARGE)
    reader = ContainerReader(source)
    record = reader.record(reader.row(index))
    assert record.code[:3] != b"" and record.index == index
    assert source.reads <= MAX_READS and source.bytes_read <= MAX_BYTES + len(record.code)
    assert reader.name(index) == name_of(index)
    assert source.reads <= MAX_READS + 1


def test_a_name_takes_a_few_small_reads() -> None:
    source = Counted(LARGE)
    reader = ContainerReader(source)
    assert reader.find(name_of(4321)) == [4321]
    assert source.reads <= 8 and source.bytes_read <= MAX_BYTES
    assert reader.find("cats/99999.jpg") == []


def test_the_footer_is_enough_to_say_what_an_archive_holds() -> None:
    source = Counted(LARGE)
    footer = ContainerReader(source).footer
    assert (footer.pictures, footer.next_index, footer.level) == (MANY, MANY, 1)
    assert source.reads <= 2 and source.bytes_read <= TAIL_BYTES + 64


def test_a_small_archive_is_read_at_once() -> None:
    source = Counted(archive(5))
    reader = ContainerReader(source)
    for index in range(5):
        reader.record(reader.row(index))
    assert source.reads == 1


def test_an_index_that_no_picture_has() -> None:
    reader = ContainerReader(MemorySource(archive(5)))
    for index in (-1, 5, 1 << 40):
        with pytest.raises(IndexOutOfRange, match="out of range: the archive has 0 to 4"):
            reader.row(index)


class Ranges(BaseHTTPRequestHandler):
    """Serves an archive by ranges, and counts requests and bytes."""

    data = LARGE
    requests: list[tuple[int, int]] = []  # noqa: RUF012
    knows_ranges = True

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.data)))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, end = (int(asked[1]), int(asked[2] or len(self.data) - 1) + 1) if asked else (0, len(self.data))
        is_part = asked is not None and self.knows_ranges
        part = self.data[start:end] if is_part else self.data
        self.requests.append((start, len(part)))
        self.send_response(206 if is_part else 200)
        if is_part:
            self.send_header("Content-Range", f"bytes {start}-{start + len(part) - 1}/{len(self.data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serving() -> Iterator[str]:
    """Serve ``Ranges``; gives the server's address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of a local server that serves ``LARGE``."""
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(Ranges, "requests", [])
    with serving() as address:
        yield f"{address}/out.uni"


def test_a_picture_is_read_over_http_by_ranges(url: str) -> None:
    source = open_source(url)
    reader = ContainerReader(source)
    record = reader.record(reader.row(3210))
    assert record.code == code_of(3210)
    assert len(Ranges.requests) <= MAX_READS
    assert sum(length for _, length in Ranges.requests) <= MAX_BYTES + len(record.code)


def test_a_server_without_ranges_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ranges, "knows_ranges", False)
    with pytest.raises(ArchiveUnreadable, match=r"by ranges|cannot read"):
        ContainerReader(open_source(url))


def test_a_missing_file_on_a_server_is_unreadable(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Ranges) -> None:
        self.send_error(404)

    monkeypatch.setattr(Ranges, "do_GET", refuse)
    monkeypatch.setattr(Ranges, "do_HEAD", refuse)
    with pytest.raises(ArchiveUnreadable, match="cannot read http"):
        open_source(url)


def test_any_file_system_of_fsspec(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    data = archive(5)
    fsspec.filesystem("memory").pipe_file("/folder/out.uni", data)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("inner.uni", data)
    for url in ("memory://folder/out.uni", f"zip://inner.uni::file://{tmp_path}/a.zip"):
        assert problems_of(ContainerReader(open_source(url))) == []


def test_urls_and_paths() -> None:
    assert is_url("https://host/a.uni") and is_url("s3://bucket/a.uni") and is_url("zip://a.uni::b.zip")
    assert not any(is_url(path) for path in ("a.uni", "/a/b.uni", "C:\\a.uni", Path("https:/x")))
    assert stem_of("https://host/folder/out.uni?key=1") == "out" and stem_of("folder/out.uni") == "out"


def test_without_fsspec_a_url_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name == "fsspec":
            raise ImportError(name)
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(PackageMissing, match=r"https://host/a\.uni needs fsspec.*\[remote\]"):
        open_source("https://user:secret@host/a.uni")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.uni", tmp_path / "missing" / "a.uni"):
        with pytest.raises(ArchiveUnreadable, match="cannot read"):
            open_source(path)
    (tmp_path / "a.uni").write_bytes(archive(5))
    source = FileSource(tmp_path / "a.uni")
    source.close()
    with pytest.raises(ArchiveUnreadable):
        source.read(0, 1)


def test_an_open_file_is_read_by_offset_and_stays_open(tmp_path: Path) -> None:
    (tmp_path / "a.uni").write_bytes(archive(5))
    with open(tmp_path / "a.uni", "rb") as file:
        source = StreamSource(file)
        assert problems_of(ContainerReader(source)) == []
        assert source.read(source.size - 2, 10) == archive(5)[-2:] and source.read(source.size + 1, 1) == b""
        source.close()
        assert not file.closed
    with pytest.raises(ArchiveUnreadable, match="closed"):
        source.read(0, 1)
    with pytest.raises(ArchiveUnreadable, match="closed"):
        StreamSource(file)


@given(st.binary(max_size=50), st.binary(max_size=50), st.integers(0, 50), st.integers(0, 120), st.integers(0, 120))
def test_a_tail_behind_another_source(head: bytes, tail: bytes, cut: int, offset: int, length: int) -> None:
    cut = min(cut, len(head))
    source, wanted = TailedSource(MemorySource(head), cut, tail), head[:cut] + tail
    assert source.size == len(wanted)
    assert source.read(offset, length) == wanted[offset : offset + length]


@given(st.integers(0, (1 << 64) - 1), st.binary(max_size=3))
def test_numbers_come_back(number: int, rest: bytes) -> None:
    fields = Fields(varint(number) + rest)
    assert fields.varint((1 << 64) - 1) == number
    assert fields.rest() == rest


@settings(deadline=None)
@given(st.lists(st.integers(0, (1 << 56) - 1), min_size=1, max_size=50), st.integers(0, 56))
def test_columns_come_back_in_one_way_alone(values: list[int], bits: int) -> None:
    data = column(values)
    fields = Fields(data)
    found = take_column(fields, len(values), (1 << 62) - 1, "a number")
    assert found.tolist() == values and not fields.left
    if bits != data[0]:  # another width says other numbers, or nothing at all
        changed = Fields(bytes([bits]) + data[1:])
        with suppress(InvalidField):
            other = take_column(changed, len(values), (1 << 62) - 1, "a number").tolist()
            changed.finish()
            assert other != values
