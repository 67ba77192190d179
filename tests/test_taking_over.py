"""Packing what was unpacked gives the same pixels in no more bytes, and never takes an edited picture for another."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, features

from tests.conftest import draw
from unicorn_cli.main import cli
from unicorn_codec.archive import Archive
from unicorn_codec.config import CodesOptions, Goal, ReadOptions, Target
from unicorn_codec.errors import InvalidField
from unicorn_codec.format.carried_codes import CarriedCode, digest_of_pixels, parse_carried, serialize_carried
from unicorn_codec.packing import taking_over
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.taking_over import is_faithful
from unicorn_codec.pictures.code_carrying import code_in, with_code
from unicorn_codec.pictures.picture_writing import encode_picture, write_picture
from unicorn_codec.pictures.reading import decode_picture

OPTIONS = CodesOptions(device="cpu", sequences=False, avif=False, effort=0, learning=None, overwrite=True)
UPDATE_SHA256 = "2937013f2181810606b2a799b05bda2849f3e369a20982a4138f0e0a55984ce4"
GOLDEN = Path(__file__).parent / "golden"
FORMATS = ["png", "jpg", "webp", *(["avif"] if features.check("avif") else [])]


def unpacked(archive: Path, folder: Path, *options: str) -> Path:
    result = CliRunner().invoke(cli, ["unpack", str(archive), "--all", "-o", str(folder), *options])
    assert result.exit_code == 0, result.output
    return folder


def pixels_of(path: Path) -> dict[str, np.ndarray]:
    with Archive.open(path, device="cpu") as archive:
        return {archive.name(index).split(".")[0]: pixels for index, pixels in archive.iterate(archive.indices)}


def assert_same_pixels(first: Path, second: Path) -> None:
    a, b = pixels_of(first), pixels_of(second)
    assert a.keys() == b.keys()
    assert all(np.array_equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures in colour, a gray one, and one with transparency."""
    root = tmp_path_factory.mktemp("some pictures")
    for number in range(3):
        write_picture(draw(number, 64, 48), root / f"colour {number}.png")
    write_picture(np.repeat(draw(4, 64, 48)[..., :1], 3, axis=2), root / "gray.png")
    alpha = np.linspace(0, 255, 64).astype(np.uint8)[None, :, None].repeat(48, 0)
    write_picture(np.dstack((draw(5, 64, 48), alpha)), root / "clear.png")
    return root


@pytest.fixture(scope="module")
def first(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archives") / "first.uni"
    pack(folder, path, OPTIONS)
    return path


def test_the_next_generations_have_the_same_pixels_and_no_more_bytes(first: Path, tmp_path: Path) -> None:
    sizes, archive = [first.stat().st_size], first
    for number in (2, 3):
        files = unpacked(archive, tmp_path / f"files {number}")
        report = pack(files, archive := tmp_path / f"{number}.uni", OPTIONS)
        assert report.taken_over == report.pictures == 5 and report.rounds == 0
        assert_same_pixels(first, archive)
        sizes.append(archive.stat().st_size)
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("name", FORMATS[1:])
def test_files_of_other_formats_carry_codes_too(first: Path, tmp_path: Path, name: str) -> None:
    report = pack(unpacked(first, tmp_path / "files", "--format", name), tmp_path / "again.uni", OPTIONS)
    if name == "jpg":  # which flattens the transparent one, so that its code holds another picture
        assert report.taken_over == 4
    else:
        assert report.taken_over == 5
        assert_same_pixels(first, tmp_path / "again.uni")


def test_without_their_codes_pictures_are_coded_again(first: Path, tmp_path: Path) -> None:
    report = pack(unpacked(first, tmp_path / "files", "--no-code"), tmp_path / "again.uni", OPTIONS)
    assert report.taken_over == 0
    files = unpacked(first, tmp_path / "with codes")
    assert pack(files, tmp_path / "again.uni", replace(OPTIONS, reuse=False)).taken_over == 0


def test_an_edited_picture_is_not_taken_for_the_unedited_one(first: Path, tmp_path: Path) -> None:
    files = unpacked(first, tmp_path / "files")
    path = files / "colour 1.png"
    data = path.read_bytes()
    pixels = decode_picture(data, ReadOptions()).pixels.copy()
    pixels[20, 30, 1] ^= 1
    payload = code_in(data)
    assert payload is not None
    path.write_bytes(with_code(encode_picture(pixels), payload))
    report = pack(files, tmp_path / "again.uni", OPTIONS)
    assert report.taken_over == report.pictures - 1


def test_the_code_of_another_picture_is_refused_though_its_digest_is_right(first: Path, tmp_path: Path) -> None:
    files = unpacked(first, tmp_path / "files")
    payloads = [code_in((files / f"colour {number}.png").read_bytes()) for number in (0, 1)]
    assert payloads[0] is not None and payloads[1] is not None
    own, other = map(parse_carried, payloads)  # type: ignore[arg-type]
    forged = replace(other, pixels_sha256=own.pixels_sha256)
    plain = encode_picture(decode_picture((files / "colour 0.png").read_bytes(), ReadOptions()).pixels)
    (files / "colour 0.png").write_bytes(with_code(plain, serialize_carried(forged)))
    assert pack(files, tmp_path / "again.uni", OPTIONS).taken_over == 4


def test_a_damaged_code_costs_only_itself(first: Path, tmp_path: Path) -> None:
    files = unpacked(first, tmp_path / "files")
    for number, damage in enumerate((lambda data: data[:40], lambda data: data[:-3])):
        path = files / f"colour {number}.png"
        payload = code_in(path.read_bytes())
        assert payload is not None
        plain = encode_picture(decode_picture(path.read_bytes(), ReadOptions()).pixels)
        path.write_bytes(with_code(plain, damage(payload)))
    assert pack(files, tmp_path / "again.uni", OPTIONS).taken_over == 3


def test_codes_are_taken_over_where_they_are_small_enough(first: Path, tmp_path: Path) -> None:
    files = unpacked(first, tmp_path / "files")
    better, worse = (replace(OPTIONS, target=Target(Goal.QUALITY, quality)) for quality in (70, 20))
    assert pack(files, tmp_path / "again.uni", better).taken_over == 5
    assert pack(files, tmp_path / "again.uni", worse).taken_over == 0
    bytes_of_all = replace(OPTIONS, target=Target(Goal.SIZE, first.stat().st_size))
    assert pack(files, tmp_path / "again.uni", bytes_of_all).taken_over == 5


def test_new_pictures_join_those_of_two_archives(folder: Path, first: Path, tmp_path: Path) -> None:
    coarse = tmp_path / "coarse.uni"
    pack(folder, coarse, replace(OPTIONS, target=Target(Goal.STEP, 4.0)))
    files = unpacked(first, tmp_path / "files")
    (files / "coarse").mkdir()
    for path in unpacked(coarse, tmp_path / "coarse files").iterdir():
        shutil.copy(path, files / "coarse")
    write_picture(draw(9, 64, 48), files / "new.png")
    report = pack(files, tmp_path / "all.uni", OPTIONS)
    assert (report.pictures, report.taken_over) == (11, 10)
    found = pixels_of(tmp_path / "all.uni")
    for name, pixels in pixels_of(coarse).items():
        assert np.array_equal(found[f"coarse/{name}"], pixels)


def test_a_sequence_of_near_duplicates_is_taken_over_whole(tmp_path: Path) -> None:
    source = tmp_path / "stills"
    source.mkdir()
    for number in range(4):
        noise = np.random.default_rng(number).integers(0, 3, (96, 128, 3)).astype(np.uint8)
        write_picture(draw(7, 128, 96) + noise, source / f"{number}.png")
    options = replace(OPTIONS, sequences=True, avif=True)
    assert pack(source, tmp_path / "1.uni", options).sequence_pictures == 4
    files = unpacked(tmp_path / "1.uni", tmp_path / "files")
    report = pack(files, tmp_path / "2.uni", options)
    assert (report.taken_over, report.sequence_pictures) == (4, 4)
    assert_same_pixels(tmp_path / "1.uni", tmp_path / "2.uni")
    with Archive.open(tmp_path / "1.uni", device="cpu") as archive:
        indices = {archive.name(index): archive.reader.row(index).parent for index in archive.indices}
    start = next(name for name, parent in indices.items() if parent is None)
    (files / start).unlink()  # the others are lost without it
    assert pack(files, tmp_path / "3.uni", options).taken_over == 0


def test_what_an_archive_learned_comes_along_where_it_pays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = GOLDEN / "updated-codes.uni"
    files = unpacked(archive, tmp_path / "files")
    payloads = [code_in(path.read_bytes()) for path in sorted(files.rglob("*.png"))]
    carried = [parse_carried(payload) for payload in payloads if payload is not None]
    assert len(carried) == 4 and sum(bool(one.update) for one in carried) == 1  # one file holds the update of all
    assert pack(files, tmp_path / "again.uni", OPTIONS).taken_over == 0  # the update is larger than the codes
    monkeypatch.setattr(taking_over, "UPDATE_SHARE", 1000.0)
    report = pack(files, tmp_path / "again.uni", OPTIONS)
    assert report.taken_over == 4
    assert_same_pixels(archive, tmp_path / "again.uni")
    with Archive.open(tmp_path / "again.uni", device="cpu") as found, Archive.open(archive, device="cpu") as first:
        (decoder,) = found.reader.footer.decoders
        assert decoder.weights is not None and first.reader.footer.decoders[0].weights is not None
        assert decoder.weights.digest == first.reader.footer.decoders[0].weights.digest
    holder = next(path for path in files.rglob("*.png") if parse_carried(code_in(path.read_bytes()) or b"").update)
    holder.unlink()
    assert pack(files, tmp_path / "again.uni", OPTIONS).taken_over == 0


@pytest.mark.parametrize("name", FORMATS)
def test_files_with_codes_open_in_other_programs(first: Path, tmp_path: Path, name: str) -> None:
    files = unpacked(first, tmp_path / "files", "--format", name)
    plain = unpacked(first, tmp_path / "plain", "--format", name, "--no-code")
    for path in files.iterdir():
        with Image.open(path) as shown, Image.open(plain / path.name) as other:
            assert np.array_equal(np.asarray(shown), np.asarray(other))
    sizes = [sum(path.stat().st_size for path in folder.iterdir()) for folder in (files, plain)]
    assert sizes[0] > sizes[1]


@pytest.mark.parametrize("name", FORMATS)
def test_a_payload_comes_back_from_its_file(name: str) -> None:
    data, payload = (
        encode_picture(draw(1, 40, 30), f".{name}"),
        bytes(range(256)) * 700,
    )  # more than a JPEG segment holds
    assert code_in(data) is None
    assert code_in(with_code(data, payload)) == payload


def test_files_without_a_place_for_codes_stay_as_they_are() -> None:
    data = encode_picture(draw(1, 40, 30), ".bmp")
    assert with_code(data, b"code") == data and code_in(data) is None


def carried(first: Path) -> CarriedCode:
    with Archive.open(first, device="cpu") as archive:
        found = archive.carried_code(0, with_update=True)
    assert found is not None
    return replace(found, pixels_sha256=bytes(32))


def test_a_carried_code_is_parsed_as_it_was_written(first: Path) -> None:
    plain = carried(first)
    with_update = replace(plain, update=b"update", update_sha256=bytes.fromhex(UPDATE_SHA256))
    for one in (plain, with_update, replace(with_update, update=b""), replace(plain, alpha=b"plane")):
        assert parse_carried(serialize_carried(one)) == one


def test_what_is_no_carried_code_is_refused(first: Path) -> None:
    payload = serialize_carried(carried(first))
    update = replace(carried(first), update=b"updating", update_sha256=bytes.fromhex(UPDATE_SHA256))
    for wrong in (b"", b"\2" + payload[1:], payload[:60], serialize_carried(replace(carried(first), code=b"")),
                  serialize_carried(update)):  # fmt: skip
        with pytest.raises(InvalidField, match="a carried code"):
            parse_carried(wrong)


def test_the_digest_of_pixels_depends_on_their_shape() -> None:
    pixels = draw(1, 4, 6)
    assert digest_of_pixels(pixels) != digest_of_pixels(pixels.reshape(4, 6, 3))


def test_a_code_may_decode_to_slightly_other_pixels_on_another_device() -> None:
    pixels = draw(1, 64, 48)
    near, far = pixels.copy(), pixels.copy()
    near[5, 5] ^= 1
    far[5, 5] ^= 64
    assert is_faithful(pixels, near, is_lossless=True) and not is_faithful(pixels, far, is_lossless=True)
    assert is_faithful(pixels, far, is_lossless=False)
    assert not is_faithful(pixels, draw(2, 64, 48), is_lossless=False)
    assert not is_faithful(pixels, draw(1, 48, 64), is_lossless=False)
