"""EXIF, XMP, IPTC, texts and times: into the archive, and back into files of every format, as Pillow reads them."""

import hashlib
import io
import json
import os
import random
import struct
import time
import tracemalloc
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageCms, IptcImagePlugin, PngImagePlugin

from tests.conftest import draw
from tests.sample_archive import DECODER
from unicorn_cli.main import cli
from unicorn_codec.archive import Archive
from unicorn_codec.config import CodesOptions, Goal, MetadataOptions, ReadOptions, Target
from unicorn_codec.exif_directory import BadExif, ExifData, normalised_exif, tiff_with_exif
from unicorn_codec.format.blobs import BLOBS_AT_ONCE, EXIF, FACTS, XMP, parse_facts, serialize_facts
from unicorn_codec.format.growth import compact, growing
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import Details, record_of_code
from unicorn_codec.format.repair import repair
from unicorn_codec.format.sources import FileSource, MemorySource
from unicorn_codec.format.writer import ContainerWriter
from unicorn_codec.inspection import describe, describe_picture
from unicorn_codec.metadata import PictureMetadata, metadata_of, parse_texts, serialize_texts
from unicorn_codec.packing.add import add
from unicorn_codec.packing.original_metadata import estimate_metadata_bytes
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.pictures.file_metadata import MAX_BYTES, fitting_xmp, read_metadata
from unicorn_codec.pictures.picture_folder import list_folder
from unicorn_codec.pictures.picture_writing import WRITE_FORMATS, encode_with_metadata

QUICK = CodesOptions(target=Target(Goal.STEP, 20), effort=0, sequences=False, device="cpu")
KEEP, NO_GPS, NOTHING = MetadataOptions(), MetadataOptions(keep_gps=False), MetadataOptions(keep=False)
TIME = 1_262_304_000  # 2010-01-01T00:00:00Z
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
XMP_PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
    b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" tiff:Orientation="6" xmp:Rating="5" exif:GPSLatitude="52,31.2N">'
    b"<exif:GPSLongitude>13,24.3E</exif:GPSLongitude></rdf:Description></rdf:RDF></x:xmpmeta>"
)
IPTC_RECORDS = b"\x1c\x02\x78\x00\x07caption\x1c\x02\x19\x00\x03cat"


def camera_exif(orientation: int = 6, date: str = "2020:01:02 03:04:05", order: str = "<") -> bytes:
    """EXIF as a camera writes it: with a maker note, a place, and a thumbnail in the second directory."""
    exif = Image.Exif()
    exif.endian = order
    exif[0x010F], exif[0x0110], exif[0x0112] = "Unicorn", "Model 1", orientation
    exif[0x011A], exif[0x0132] = 300.0, date
    exif.get_ifd(EXIF_IFD).update({0x9003: date, 0x829A: 0.01, 0x927C: b"maker note", 0xA002: 4000, 0xA003: 3000})
    exif.get_ifd(GPS_IFD).update({1: "N", 2: (52.0, 31.0, 12.5), 3: "E", 4: (13.0, 24.0, 18.25)})
    data = bytearray(exif.tobytes()[6:])
    return bytes(data) if order == ">" else with_thumbnail(data)


def with_thumbnail(data: bytearray) -> bytes:
    """Link a second directory of a thumbnail at the end; little-endian."""
    parsed = ExifData(bytes(data))
    link = parsed.first + 2 + 12 * parsed.number("H", parsed.first)
    data += bytes(len(data) % 2)
    data[link : link + 4] = len(data).to_bytes(4, "little")
    start, thumbnail = len(data) + 2 + 24 + 4, b"\xff\xd8" + b"thumbnail" * 300
    entries = [(0x0201, start), (0x0202, len(thumbnail))]
    data += (2).to_bytes(2, "little")
    for tag, value in entries:
        data += tag.to_bytes(2, "little") + b"\4\0\1\0\0\0" + value.to_bytes(4, "little")
    return bytes(data + bytes(4) + thumbnail)


def jpeg(seed: int, *, exif: bytes = b"", xmp: bytes = b"", iptc: bytes = b"", **settings: Any) -> bytes:
    metadata = PictureMetadata(exif=exif, xmp=xmp, iptc=iptc)
    if settings:
        file = io.BytesIO()
        Image.fromarray(draw(seed, 64, 48)).save(file, "JPEG", exif=exif, **settings)
        return file.getvalue()
    return encode_with_metadata(draw(seed, 64, 48), ".jpg", metadata)[0]


def exif_seen(data: bytes) -> dict[str, Any]:
    """What Pillow reads of a file's EXIF."""
    with Image.open(io.BytesIO(data)) as image:
        exif = image.getexif()
        inner, gps = exif.get_ifd(EXIF_IFD), exif.get_ifd(GPS_IFD)
        return {
            "camera": (exif.get(0x010F), exif.get(0x0110)),
            "date": inner.get(0x9003),
            "exposure": float(inner.get(0x829A, 0)),
            "note": inner.get(0x927C),
            "gps": (gps.get(1), tuple(map(float, gps.get(2, ()))), gps.get(3), tuple(map(float, gps.get(4, ())))),
            "orientation": exif.get(0x0112, 1),
            "size": (inner.get(0xA002), inner.get(0xA003)),
            "thumbnail": bool(exif.get_ifd(1)),
        }


EXPECTED = {
    "camera": ("Unicorn", "Model 1"),
    "date": "2020:01:02 03:04:05",
    "exposure": 0.01,
    "note": b"maker note",
    "gps": ("N", (52.0, 31.0, 12.5), "E", (13.0, 24.0, 18.25)),
    "orientation": 1,
    "size": (48, 64),
    "thumbnail": False,
}


def exif_with_offsets(order: str) -> bytes:
    """EXIF whose maker note, of Canon's kind, names a text by its offset from the beginning."""
    mark = b"II*\0" if order == "<" else b"MM\0*"

    def directory(entries: list[tuple[int, int, int, int]]) -> bytes:
        listed = b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
        return struct.pack(order + "H", len(entries)) + listed + bytes(4)

    first, inner, note = 8, 38, 56
    owner = b"Owner Name Here\0"
    upright = 1 if order == "<" else 1 << 16  # a SHORT lies at the beginning of its four bytes
    parts = [directory([(0x0112, 3, 1, upright), (EXIF_IFD, 4, 1, inner)])]
    parts += [directory([(0x927C, 7, 18 + len(owner), note)])]
    return mark + struct.pack(order + "I", first) + b"".join(parts) + directory([(9, 2, len(owner), note + 18)]) + owner


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".tif"])
def test_maker_notes_keep_their_offsets(suffix: str, order: str) -> None:
    exif = exif_with_offsets(order)
    data, _ = encode_with_metadata(draw(0, 64, 48), suffix, PictureMetadata(exif=exif))
    with Image.open(io.BytesIO(data)) as image:
        held = data if suffix == ".tif" else image.info["exif"].removeprefix(b"Exif\0\0")
        assert image.getexif().get_ifd(EXIF_IFD)[0x927C] == exif[56:]
    parsed = ExifData(held)
    (note,) = (one for one in parsed.directories()[EXIF_IFD] if one.tag == 0x927C)
    (owner,) = parsed.entries(note.value_at)
    assert parsed.value(owner) == b"Owner Name Here\0"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A turned photograph with everything, two that share EXIF, a PNG with texts and a plain PNG."""
    root = tmp_path_factory.mktemp("photos")
    (root / "all.jpg").write_bytes(jpeg(1, exif=camera_exif(), xmp=XMP_PACKET, iptc=IPTC_RECORDS))
    for name in ("same1.jpg", "same2.jpg"):
        (root / name).write_bytes(jpeg(2 + (name == "same2.jpg"), exif=camera_exif(1, "2021:05:06 07:08:09")))
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "a cat", zip=True)
    texts.add_itxt("Author", "Ünï")
    Image.fromarray(draw(4, 64, 48)).save(root / "text.png", pnginfo=texts)
    Image.fromarray(draw(5, 64, 48)).save(root / "plain.png")
    for path in root.iterdir():
        os.utime(path, (TIME, TIME))
    return root


@pytest.fixture(scope="module")
def archive(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archives") / "photos.uni"
    pack(photos, path, QUICK)
    return path


def index_of(path: Path, name: str) -> int:
    with Archive.open(path) as opened:
        return opened.find(name)[0]


def run(*args: str | Path) -> str:
    result = CliRunner().invoke(cli, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif", "tif"])
def test_every_format_gets_the_metadata_back(archive: Path, tmp_path: Path, suffix: str) -> None:
    output = tmp_path / f"back.{suffix}"
    run("unpack", archive, "--name", "all.jpg", "-o", output)
    data = output.read_bytes()
    assert exif_seen(data) == EXPECTED
    assert output.stat().st_mtime == TIME
    with Image.open(output) as image:
        assert image.size == (48, 64)
        xmp = image.info.get("xmp")
        assert isinstance(xmp, bytes) and b'xmp:Rating="5"' in xmp and b'tiff:Orientation="1"' in xmp
        assert "icc_profile" not in image.info
        if suffix in ("jpg", "tif"):
            assert IptcImagePlugin.getiptcinfo(image) == {(2, 120): b"caption", (2, 25): b"cat"}
    kept = dict(read_metadata(data, 48, 64, KEEP).blobs)
    assert {EXIF, XMP} <= set(kept)


def test_the_pixels_are_upright(photos: Path, archive: Path) -> None:
    with Archive.open(archive) as opened:
        picture = np.asarray(opened[index_of(archive, "all.jpg")]).astype(int)
    turned = np.rot90(draw(1, 64, 48), -1).astype(int)
    assert picture.shape == turned.shape
    assert np.abs(picture - turned).mean() < np.abs(picture - turned[::-1, ::-1]).mean() / 2


def test_png_text_comes_back(archive: Path, tmp_path: Path) -> None:
    run("unpack", archive, "--name", "text.png", "-o", tmp_path / "back.png")
    with Image.open(tmp_path / "back.png") as image:
        assert isinstance(image, PngImagePlugin.PngImageFile)
        assert image.text == {"Title": "a cat", "Author": "Ünï"}
    output = run("unpack", archive, "--name", "text.png", "-o", tmp_path / "back.jpg")
    assert "PNG text of 1 picture does not fit the format" in output


@pytest.mark.parametrize("suffix", [suffix for suffix in WRITE_FORMATS if suffix != ".bmp"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_go_into_every_format(suffix: str, order: str) -> None:
    exif = normalised_exif(camera_exif(order=order), 48, 64)
    data, lost = encode_with_metadata(draw(1, 48, 64), suffix, PictureMetadata(exif=exif))
    assert lost == []
    assert exif_seen(data) == EXPECTED


def test_metadata_that_a_format_cannot_hold_is_named() -> None:
    large = PictureMetadata(exif=b"II*\0\x08\0\0\0\0\0\0\0\0\0" + bytes(1 << 16), xmp=bytes(1 << 16), iptc=b"\x1c")
    assert encode_with_metadata(draw(1, 8, 8), ".jpg", large)[1] == ["EXIF", "XMP"]
    assert encode_with_metadata(draw(1, 8, 8), ".webp", large)[1] == ["IPTC"]
    assert encode_with_metadata(draw(1, 8, 8), ".bmp", large)[1] == ["EXIF", "XMP", "IPTC"]


def test_metadata_changes_no_pixel() -> None:
    plain = encode_with_metadata(draw(1, 48, 64), ".tif", PictureMetadata())[0]
    exif = normalised_exif(camera_exif(), 48, 64)
    with Image.open(io.BytesIO(plain)) as one, Image.open(io.BytesIO(tiff_with_exif(plain, exif))) as other:
        assert np.array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif", ".tif"])
def test_every_format_is_read(suffix: str) -> None:
    metadata = PictureMetadata(exif=camera_exif(1), xmp=XMP_PACKET, iptc=IPTC_RECORDS)
    data, _ = encode_with_metadata(draw(1, 48, 64), suffix, metadata)
    found = read_metadata(data, 48, 64, KEEP)
    assert not found.notes
    blobs = dict(found.blobs)
    assert exif_seen(jpeg(0, exif=blobs[EXIF])) == EXPECTED
    assert b'xmp:Rating="5"' in blobs[XMP]
    if suffix in (".png", ".tif"):
        assert blobs[4] == IPTC_RECORDS


def test_a_profile_is_not_written_back(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = jpeg(1, exif=camera_exif(1), icc_profile=profile)
    assert profile[:128] not in b"".join(blob for _, blob in read_metadata(data, 64, 48, KEEP).blobs)


def test_the_bytes_of_metadata_are_foreseen(tmp_path: Path) -> None:
    """Blobs that would compress well together share a chunk with few others only."""
    (tmp_path / "photos").mkdir()
    for number in range(24):
        exif = camera_exif(1, order=">") + f"padding {number:05}".encode() * 700
        (tmp_path / "photos" / f"{number:02}.jpg").write_bytes(jpeg(number, exif=exif))
    pictures = PictureSource(list_folder(tmp_path / "photos", ReadOptions()), ReadOptions())
    sizes = [
        pack(tmp_path / "photos", tmp_path / "packed.uni", replace(QUICK, metadata=kept, overwrite=True)).file_bytes
        for kept in (NOTHING, KEEP)
    ]
    assert estimate_metadata_bytes(pictures, KEEP) == pytest.approx(sizes[1] - sizes[0], rel=0.05)


def test_strip_leaves_it_out(photos: Path, archive: Path, tmp_path: Path) -> None:
    stripped, placeless = tmp_path / "all.uni", tmp_path / "gps.uni"
    pack(photos, stripped, replace(QUICK, metadata=NOTHING))
    pack(photos, placeless, replace(QUICK, metadata=NO_GPS))
    reader = ContainerReader(FileSource(stripped))
    for index in range(5):
        record = reader.record(reader.row(index))
        assert record.metadata == () and record.modified is None
    assert b"Unicorn" not in stripped.read_bytes()
    with Archive.open(placeless) as opened:
        found = opened.metadata(index_of(placeless, "all.jpg"))
        assert found.modified == TIME
        assert b"GPS" not in found.xmp and b'xmp:Rating="5"' in found.xmp
        place = np.array([52, 1, 31, 1], "<u4").tobytes()
        assert place in camera_exif() and place not in found.exif
        assert exif_seen(jpeg(1, exif=found.exif)) == EXPECTED | {"gps": (None, (), None, ())}
    assert stripped.stat().st_size < placeless.stat().st_size < archive.stat().st_size


def test_equal_times_take_a_few_bytes_together(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        Image.fromarray(draw(number, 64, 48)).save(tmp_path / "in" / f"{number}.jpg")
        os.utime(tmp_path / "in" / f"{number}.jpg", (TIME, TIME))
    sizes = {}
    for name, metadata in (("kept", KEEP), ("stripped", NOTHING), ("summed", MetadataOptions(checksums=True))):
        sizes[name] = pack(tmp_path / "in", tmp_path / f"{name}.uni", replace(QUICK, metadata=metadata)).file_bytes
    assert 0 < sizes["kept"] - sizes["stripped"] < 12
    assert 3 * 44 < sizes["summed"] - sizes["kept"] < 3 * 70


def test_equal_metadata_is_stored_once(archive: Path) -> None:
    reader = ContainerReader(FileSource(archive))
    rows = [reader.row(index_of(archive, name)) for name in ("same1.jpg", "same2.jpg")]
    (one,), (other,) = (reader.details(row).metadata for row in rows)
    assert one == other
    assert exif_seen(jpeg(1, exif=reader.blob(one)))["date"] == "2021:05:06 07:08:09"
    for row in rows:
        assert reader.details(row).metadata == reader.record(row).metadata
        assert reader.details(row).modified == row.modified == TIME and reader.record(row).modified is None


def test_checksums_are_those_of_the_file(photos: Path, tmp_path: Path) -> None:
    pack(photos, tmp_path / "a.uni", replace(QUICK, metadata=MetadataOptions(keep=False, checksums=True)))
    data = (photos / "all.jpg").read_bytes()
    shown = describe_picture(tmp_path / "a.uni", index_of(tmp_path / "a.uni", "all.jpg"))
    assert (shown["file_bytes"], shown["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert shown["exif"] == {} and shown["modified"] is None
    assert parse_facts(serialize_facts(7, bytes(32)) + b"\x63\1?").file_bytes == 7
    assert FACTS == 1


def test_add_keeps_metadata_too(archive: Path, tmp_path: Path) -> None:
    path, more = tmp_path / "grown.uni", tmp_path / "more"
    path.write_bytes(archive.read_bytes())
    more.mkdir()
    (more / "new.jpg").write_bytes(jpeg(9, exif=camera_exif()))
    os.utime(more / "new.jpg", (-5, -5))
    add(path, more, replace(QUICK, metadata=NO_GPS))
    with Archive.open(path) as opened:
        found = opened.metadata(5)
    assert found.modified == -5 and found.date == "2020-01-02T03:04:05"
    assert exif_seen(jpeg(1, exif=found.exif))["gps"] == (None, (), None, ())


def test_compact_and_repair_keep_it(archive: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.uni"
    path.write_bytes(archive.read_bytes())
    compact(path)
    rebuilt = io.BytesIO()
    repair(path.read_bytes()[:-20], rebuilt)
    index = index_of(archive, "all.jpg")
    readers = (ContainerReader(FileSource(archive)), ContainerReader(MemorySource(rebuilt.getvalue())))
    before, after = (metadata_of(reader, reader.row(index)) for reader in readers)
    assert before == after and before.exif and before.xmp and before.iptc and before.modified == TIME


def sequence_with_times() -> io.BytesIO:
    file = io.BytesIO()
    writer = ContainerWriter(file, bytes(8))
    number = writer.add_decoder(DECODER)
    for index, code in enumerate((b"\xff\2first", b"\xff\3\0later")):
        record = replace(record_of_code(index, 8, 8, number, code), modified=TIME + index)
        writer.add(record, f"{index}.jpg", blobs=[(XMP, b"secret" if index == 0 else b"kept")])
    writer.commit()
    return file


def test_a_removed_picture_keeps_no_metadata(tmp_path: Path) -> None:
    path = tmp_path / "a.uni"
    path.write_bytes(sequence_with_times().getvalue())
    with growing(path) as (reader, writer):
        writer.remove([reader.row(0)])
        writer.commit()
    rebuilt = io.BytesIO()
    repair(path.read_bytes(), rebuilt)
    compact(path)
    for data in (path.read_bytes(), rebuilt.getvalue()):
        reader = ContainerReader(MemorySource(data))
        assert b"secret" not in data
        parent = reader.any_row(0)
        assert parent is not None and reader.record(parent).details == Details()
        kept = metadata_of(reader, reader.row(1))
        assert (kept.modified, kept.xmp) == (TIME + 1, b"kept")


def test_a_read_record_needs_no_other_read_for_its_time() -> None:
    source = MemorySource(sequence_with_times().getvalue())
    reader = ContainerReader(source)
    row = reader.row(1)
    details = reader.details(row)
    assert replace(reader.record(row).details, modified=row.modified) == details and details.modified == TIME + 1
    reader.read = None  # type: ignore[assignment]
    assert reader.details(row) == details


def test_metadata_is_read_in_small_chunks() -> None:
    file = io.BytesIO()
    writer = ContainerWriter(file, bytes(8))
    number = writer.add_decoder(DECODER)
    blobs = [random.Random(index).randbytes(20_000) for index in range(30)]
    for index, blob in enumerate(blobs):
        writer.add(record_of_code(index, 8, 8, number, b"\x01code"), blobs=[(EXIF, blob)])
    writer.commit()
    reader = ContainerReader(MemorySource(file.getvalue()))
    for index, blob in enumerate(blobs):
        (place,) = reader.details(reader.row(index)).metadata
        assert reader.blob(place) == blob and place.length <= BLOBS_AT_ONCE + 100


def test_damaged_metadata_loses_no_picture(archive: Path, tmp_path: Path) -> None:
    data = bytearray(archive.read_bytes())
    reader, index = ContainerReader(MemorySource(bytes(data))), index_of(archive, "all.jpg")
    place = reader.details(reader.row(index)).metadata[0]
    data[place.offset + place.length - 20] ^= 1
    (tmp_path / "bad.uni").write_bytes(data)
    output = run("unpack", tmp_path / "bad.uni", "--all", "-o", tmp_path / "back")
    assert output.count(f"metadata of picture {index}: metadata at byte {place.offset}: its checksum") == 1
    assert len(list((tmp_path / "back").iterdir())) == 5
    assert (tmp_path / "back" / "all.png").stat().st_mtime == TIME
    with pytest.warns(match="metadata is damaged"):
        assert describe(tmp_path / "bad.uni", entries=True)["entries"][index]["date"] == "2010-01-01T00:00:00Z"
    with Archive.open(archive) as whole, Archive.open(tmp_path / "bad.uni") as damaged:
        assert np.array_equal(np.asarray(whole[index]), np.asarray(damaged[index]))


def test_inspect_shows_it(archive: Path) -> None:
    dates = {
        entry["name"]: entry["date"] for entry in json.loads(run("inspect", archive, "--entries", "--json"))["entries"]
    }
    assert dates["all.jpg"] == "2020-01-02T03:04:05"
    assert dates["plain.png"] == "2010-01-01T00:00:00Z"
    assert "2020-01-02T03:04:05" in run("inspect", archive, "--entries")
    index = str(index_of(archive, "all.jpg"))
    shown = json.loads(run("inspect", archive, "--index", index, "--json"))
    assert shown["exif"]["Make"] == "Unicorn" and shown["exif"]["GPSLatitude"] == [52.0, 31.0, 12.5]
    assert shown["iptc_bytes"] == len(IPTC_RECORDS) and "Rating" in shown["xmp"]
    text = run("inspect", archive, "--index", index)
    for part in ("Unicorn", "52, 31, 12.5", "2010-01-01T00:00:00Z", "xmp:Rating"):
        assert part in text
    assert "a cat" in run("inspect", archive, "--index", str(index_of(archive, "text.png")))


def test_the_thumbnail_is_gone() -> None:
    exif = normalised_exif(camera_exif(), 48, 64)
    assert b"thumbnail" in camera_exif() and b"thumbnail" not in exif
    assert len(exif) < len(camera_exif()) - 2000


def test_damaged_exif_raises_nothing_but_its_error() -> None:
    rng, whole = random.Random(1), camera_exif()
    refused = 0
    for number in range(3000):
        data = bytearray(whole[: rng.randrange(len(whole))] if number % 3 == 0 else whole)
        for _ in range(rng.choice((1, 3, 20))):
            if data:
                data[rng.randrange(min(len(data), 500))] = rng.choice((0, 1, 255, rng.randrange(256)))
        try:
            edited = normalised_exif(bytes(data), 48, 64, keep_gps=bool(number % 2))
        except BadExif:
            refused += 1
            continue
        assert len(edited) <= len(data)
        exif_values_are_plain(edited)
    assert 300 < refused < 3000


def exif_values_are_plain(exif: bytes) -> None:
    from unicorn_codec.metadata import exif_values

    json.dumps(exif_values(exif))
    PictureMetadata(exif=exif).date  # noqa: B018


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".tif"])
def test_damaged_files_cost_their_metadata_alone(suffix: str) -> None:
    metadata = PictureMetadata(exif=camera_exif(), xmp=XMP_PACKET, iptc=IPTC_RECORDS, texts=(("Title", "cat"),))
    whole, _ = encode_with_metadata(draw(1, 48, 64), suffix, metadata)
    rng = random.Random(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(200):
            data = bytearray(whole[: rng.randrange(100, len(whole))] if rng.random() < 0.3 else whole)
            for _ in range(5):
                data[rng.randrange(len(data))] = rng.randrange(256)
            read_metadata(bytes(data), 48, 64, NO_GPS)


def test_what_is_left_out_is_noted(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    broken = jpeg(1, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f" + bytes(50), quality=90)
    (tmp_path / "in" / "broken.jpg").write_bytes(broken)
    report = pack(tmp_path / "in", tmp_path / "a.uni", QUICK)
    assert [(note.name, note.text[:21]) for note in report.notes] == [("broken.jpg", "its EXIF was left out")]
    huge = encode_with_metadata(draw(1, 8, 8), ".png", PictureMetadata(texts=(("Title", "x" * (MAX_BYTES + 1)),)))[0]
    assert read_metadata(huge, 8, 8, KEEP).notes[0].startswith("its text of 10485")


def test_bombs_do_not_go_off() -> None:
    texts = PngImagePlugin.PngInfo()
    for number in range(50):
        texts.add_text(f"bomb {number}", "x" * (MAX_BYTES - 1), zip=True)
    file = io.BytesIO()
    Image.fromarray(draw(1, 8, 8)).save(file, "PNG", pnginfo=texts)
    tracemalloc.start()
    found = read_metadata(file.getvalue(), 8, 8, KEEP)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.blobs == () and "text" in found.notes[0] and peak < 20 * MAX_BYTES
    started = time.monotonic()
    for part in (
        b"<xmp:Thumbnails>",
        b' exif:GPSA="',
        b"<exif:GPSA>",
        b"<exif:GPSA ",
        b" exif:GPSA=",
        b"tiff:Orientation=",
    ):
        with suppress(BadExif):
            fitting_xmp(part * (MAX_BYTES // len(part)), keep_gps=False)
    assert time.monotonic() - started < 10
    assert fitting_xmp(b"a<xmp:Thumbnails>b</xmp:Thumbnails>c", keep_gps=True) == b"ac"


def test_a_place_that_cannot_be_removed_takes_the_packet_with_it() -> None:
    assert b"GPS" not in fitting_xmp(XMP_PACKET, keep_gps=False)
    with pytest.raises(BadExif, match="place"):
        fitting_xmp(b"<exif:GPSLatitude><rdf:Seq><rdf:li>52</rdf:li></rdf:Seq></exif:GPSLatitude>", keep_gps=False)


def test_texts_stay_apart() -> None:
    texts = (("a", "b\nc"), ("ü", ""))
    assert tuple(parse_texts(serialize_texts(texts))) == texts
