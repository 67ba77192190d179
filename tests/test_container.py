"""The container: what is written is what is read, no damage passes, no file is harmed."""

import errno
import os
import struct
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sample_container import CODED, CODES, CONTAINER, DENOISING, HEADER, NAMES, SIZES
from unicorn_codec import errors
from unicorn_codec.format import sections
from unicorn_codec.format.container import (
    Container,
    check_output,
    parse,
    read_container,
    serialize,
    write_container,
)
from unicorn_codec.format.header import MAX_LEVEL, MAX_NAME_BYTES
from unicorn_codec.format.header_table import parse_denoising, parse_header, serialize_denoising, serialize_header
from unicorn_codec.format.picture_table import (
    check_names,
    is_forbidden_name,
    parse_names,
    parse_sizes,
    serialize_names,
    serialize_sizes,
)
from unicorn_codec.format.quality_table import IDENTICAL, in_db, parse_psnrs, to_hundredths
from unicorn_codec.format.sections import FRAME_BYTES, PREAMBLE, Section, parse_sections, serialize_sections

DATA = serialize(CONTAINER)
HEAD = replace(HEADER, denoising=None)


def assert_equal(found: Container, wanted: Container) -> None:
    assert (found.header, found.names) == (wanted.header, wanted.names)
    assert (found.weights, found.codes) == (wanted.weights, wanted.codes)
    assert np.array_equal(found.sizes, wanted.sizes)


@pytest.mark.parametrize("names", [NAMES, None], ids=["names", "no-names"])
@pytest.mark.parametrize("held", [CONTAINER, CODED], ids=["network", "codes"])
def test_a_container_comes_back(held: Container, names: tuple[str, ...] | None) -> None:
    wanted = replace(held, names=names)
    found = parse(serialize(wanted), strict=True)
    assert_equal(found, wanted)
    assert serialize(found) == serialize(wanted)
    assert_equal(parse(memoryview(serialize(wanted))), wanted)


@pytest.mark.parametrize(
    "changes", [{"weights": None}, {"header": HEAD}, {"header": HEAD, "weights": None}, {"codes": CODES}]
)
def test_a_network_has_weights_and_either_it_or_codes_are_held(changes: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidSetting):
        replace(CONTAINER, **changes)


@pytest.mark.parametrize(
    ("container", "types"),
    [
        (CONTAINER, ["HEAD", "IMGS", "DENO", "WGHT", "name", "DONE"]),
        (CODED, ["HEAD", "IMGS", "CODE", "name", "DONE"]),
    ],
    ids=["network", "codes"],
)
def test_sections_and_preamble_are_the_whole_file(container: Container, types: list[str]) -> None:
    data = serialize(container)
    found = parse(data).sections
    assert [section.type for section in found] == types
    ends = [section.offset + section.bytes for section in found]
    assert [section.offset for section in found] == [len(PREAMBLE), *ends[:-1]]
    assert ends[-1] == len(data)


@pytest.mark.parametrize("data", [DATA, serialize(CODED)], ids=["network", "codes"])
def test_every_truncation_is_refused(data: bytes) -> None:
    for length in range(len(data)):
        with pytest.raises(errors.FormatError):
            parse(data[:length])


@pytest.mark.parametrize("container", [CONTAINER, CODED], ids=["network", "codes"])
def test_every_flipped_bit_is_noticed(container: Container) -> None:
    damaged = bytearray(serialize(container))
    for bit in range(8 * len(damaged)):
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(errors.FormatError):
            parse(bytes(damaged), strict=True)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found = parse(bytes(damaged))
            except errors.FormatError:
                pass
            else:  # an ancillary section was hit
                assert [warning.category for warning in caught] == [errors.DamagedSectionWarning]
                assert_equal(found, replace(container, names=None))
        damaged[bit // 8] ^= 1 << bit % 8


def changed_everywhere(payload: bytes) -> Iterator[bytes]:
    """The payload with one byte set to another value."""
    for offset in range(len(payload)):
        for value in (0, 127, 255):
            yield payload[:offset] + bytes([value]) + payload[offset + 1 :]


def test_every_byte_of_the_header_is_judged() -> None:
    for changed in changed_everywhere(serialize_header(HEAD)):
        try:
            assert serialize_header(parse_header(changed)) == changed
        except errors.InvalidField as error:
            assert str(error).startswith("HEAD: ")


def test_every_byte_of_the_network_is_judged() -> None:
    for changed in changed_everywhere(serialize_denoising(DENOISING)):
        try:
            assert serialize_denoising(parse_denoising(changed, 1)) == changed
        except errors.InvalidField as error:
            assert str(error).startswith("DENO: ")


@pytest.mark.parametrize("length", [0, 10, 32, 60, 100])
def test_short_payloads_are_refused(length: int) -> None:
    with pytest.raises(errors.InvalidField):
        parse_header(serialize_header(HEADER)[:length])
    with pytest.raises(errors.InvalidField):
        parse_denoising(serialize_denoising(DENOISING)[: min(length, 32)], 1)
    with pytest.raises(errors.InvalidField):
        parse_sizes(serialize_sizes(SIZES, 3)[: min(length, 20)], 3)
    with pytest.raises(errors.InvalidField):
        parse_names(serialize_names(NAMES, 3)[: min(length, 20)], 3)


def test_floats_come_back_exactly() -> None:
    header = replace(HEAD, latent_step=0.1 + 0.2)
    assert parse_header(serialize_header(header)) == header
    denoising = replace(DENOISING, means=(-0.0,), stds=(5e-324,))
    found = parse_denoising(serialize_denoising(denoising), 1)
    assert found == denoising
    assert struct.pack("<d", found.means[0]) == struct.pack("<d", -0.0)


def test_a_text_that_is_no_text_is_not_written() -> None:
    for name in ("a\nb", "a\\b", "\x1b[2J"):
        header = replace(HEADER, autoencoder=replace(HEADER.autoencoder, name=name))
        with pytest.raises(errors.InvalidSetting):
            serialize_header(header)


@pytest.mark.parametrize("pictures", [1, 2, 1000])
def test_sizes_come_back(pictures: int) -> None:
    sizes = np.random.default_rng(pictures).integers(1, 300, (pictures, 2)).astype(np.int32)
    found = parse_sizes(serialize_sizes(sizes, pictures), pictures)
    assert found.dtype == np.int32
    assert np.array_equal(found, sizes)
    assert not found.flags.writeable


def test_equal_sizes_of_many_images_take_no_memory() -> None:
    pictures = 1 << 24
    payload = struct.pack("<III", 1, 8, 8) + struct.pack("<BQ", 0, 0)
    found = parse_sizes(payload, pictures)
    assert found.shape == (pictures, 2)
    assert found.strides[0] == 0


@pytest.mark.parametrize(
    "sizes",
    [[(0, 1)], [(1, -1)], [(1, 65537)], [(16385, 16384)], [(1, 1), (2, 2)]],
    ids=["zero", "negative", "side", "pixels", "count"],
)
def test_sizes_that_cannot_be_written(sizes: list[tuple[int, int]]) -> None:
    with pytest.raises(errors.InvalidSetting):
        serialize_sizes(np.array(sizes, dtype=np.int32), 1)


def test_a_hundred_thousand_names_come_back() -> None:
    names = tuple(f"folder/é-{number:06}.jpg" for number in range(100_000))
    assert parse_names(serialize_names(names, len(names)), len(names)) == names


@pytest.mark.parametrize("name", ["...", ".hidden/a", "a..b", "a/.b./c", "x" * MAX_NAME_BYTES, "ẞ ß/\U0001f984"])
def test_unusual_names_are_names(name: str) -> None:
    assert parse_names(serialize_names((name,), 1), 1) == (name,)


@pytest.mark.parametrize(
    "names",
    [
        ("",), (".",), ("..",), ("/a",), ("a/",), ("a//b",), ("a/../b",), ("./a",), ("a\\b",), ("a\0",), ("a\nb",),
        ("a\x85",), ("\udcff",), ("é" * 2049,), ("b", "a"), ("a", "a"), ("a", "b\n"), (),
    ],
    ids=repr,
)  # fmt: skip
def test_names_that_cannot_be_written(names: tuple[str, ...]) -> None:
    with pytest.raises(errors.InvalidSetting):
        check_names(names, max(1, len(names)))


component = st.text(st.sampled_from("aB.é~ 猫-0\u0301"), min_size=1, max_size=5)
file_names = st.lists(component, min_size=1, max_size=3).map("/".join).filter(lambda name: not is_forbidden_name(name))
sides = st.integers(1, 300)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    pictures=st.dictionaries(
        file_names, st.tuples(sides, sides, st.binary(min_size=1, max_size=20)), min_size=1, max_size=8
    ),
    seed=st.integers(0, (1 << 64) - 1),
    level=st.integers(0, MAX_LEVEL + 3),
    step=st.floats(1e-300, 1e3),
    named=st.booleans(),
)
def test_any_archive_of_codes_comes_back(
    pictures: dict[str, tuple[int, int, bytes]], seed: int, level: int, step: float, named: bool
) -> None:
    listed = sorted(pictures)
    wanted = Container(
        header=replace(HEAD, pictures=len(listed), seed=seed, latent_step=step),
        sizes=np.array([pictures[name][:2] for name in listed], np.int32),
        codes=replace(CODES, level=level, streams=tuple(pictures[name][2] for name in listed)),
        names=tuple(listed) if named else None,
    )
    data = serialize(wanted)
    assert_equal(parse(data, strict=True), wanted)
    assert serialize(parse(data)) == data


def test_a_small_file_cannot_number_millions() -> None:
    sizes = np.broadcast_to(np.array([8, 8], np.int32), (2000, 2))
    many = replace(CONTAINER, header=replace(HEADER, pictures=2000), sizes=sizes, names=None)
    assert parse(serialize(many)).header.pictures == 2000
    with pytest.raises(errors.InvalidSetting, match="8192 pictures in a file of"):
        larger = np.broadcast_to(sizes[0], (8192, 2))
        serialize(replace(many, header=replace(HEADER, pictures=8192), sizes=larger))


def test_messages_say_where() -> None:
    damaged = bytearray(DATA)
    damaged[len(PREAMBLE) + 20] ^= 1
    with pytest.raises(errors.ChecksumMismatch, match="section 'HEAD' at byte 12"):
        parse(bytes(damaged))
    with pytest.raises(errors.InvalidField, match="DENO: sampling steps are 1 to 50, not 51"):
        parse_denoising(b"\x33" + serialize_denoising(DENOISING)[1:], 1)


def test_an_unknown_ancillary_section_is_listed_but_not_read() -> None:
    known = (b"HEAD", b"IMGS", b"DENO", b"WGHT")
    parts = [Section(s.type, s.payload) for s in parse_sections(DATA, known, strict=True)[:-1]]
    data = serialize_sections([*parts, Section(b"note", b"hello")])
    found = parse(data, strict=True)
    assert_equal(found, CONTAINER)
    assert found.sections[-2].type == "note"
    assert found.sections[-2].bytes == FRAME_BYTES + 5


def test_as_many_sections_as_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "MAX_SECTIONS", 6)
    parse(DATA)
    monkeypatch.setattr(sections, "MAX_SECTIONS", 5)
    with pytest.raises(errors.InvalidField, match="more than 5 sections"):
        parse(DATA)


def test_a_file_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "out.uni"
    assert write_container(path, CONTAINER) == len(DATA)
    assert path.read_bytes() == DATA
    assert_equal(read_container(path), CONTAINER)
    assert os.listdir(tmp_path) == ["out.uni"]


def test_an_existing_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "out.uni"
    path.write_bytes(b"precious")
    with pytest.raises(errors.OutputError, match="exists; --overwrite replaces it"):
        write_container(path, CONTAINER)
    assert path.read_bytes() == b"precious"
    write_container(path, CONTAINER, overwrite=True)
    assert path.read_bytes() == DATA


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_full_disk_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "out.uni"
    path.write_bytes(b"precious")
    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(errors.OutputError, match="No space left"):
        write_container(path, CONTAINER, overwrite=True)
    assert path.read_bytes() == b"precious"
    assert os.listdir(tmp_path) == ["out.uni"]


def test_a_container_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidSetting):
        write_container(tmp_path / "out.uni", replace(CONTAINER, names=("b", "a", "c")))
    assert os.listdir(tmp_path) == []


def test_outputs_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(errors.OutputError, match="is a folder"):
        check_output(tmp_path, overwrite=True)
    with pytest.raises(errors.OutputError, match="does not exist"):
        check_output(tmp_path / "no" / "out.uni", overwrite=True)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(errors.OutputError, match="may not be written"):
        check_output(tmp_path / "out.uni", overwrite=False)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.uni", tmp_path / "missing" / "a.uni"):
        with pytest.raises(errors.ArchiveUnreadable, match="cannot read"):
            read_container(path)


def test_another_file_is_named_in_the_message(tmp_path: Path) -> None:
    path = tmp_path / "a.uni"
    path.write_bytes(b"hello")
    with pytest.raises(errors.NotUniFile, match=r"a\.uni"):
        read_container(path)


@pytest.mark.parametrize("psnrs", [[2817, IDENTICAL, 3301], [2400] * 3, [IDENTICAL] * 3, [0, 20_000, IDENTICAL]])
def test_psnrs_come_back(psnrs: list[int]) -> None:
    wanted = np.array(psnrs, np.uint16)
    found = parse(serialize(replace(CODED, psnrs=wanted)), strict=True).psnrs
    assert found is not None and found.dtype == np.uint16 and not found.flags.writeable
    assert found.tolist() == psnrs


def test_psnrs_of_many_images_take_no_memory() -> None:
    assert parse_psnrs(struct.pack("<HBBQ", 0, 0, 0, 0), 1 << 24).strides == (0,)


def test_psnrs_are_rounded_to_hundredths() -> None:
    found = to_hundredths([28.174, 28.176, 0.0, -0.0, float("inf"), 1e9]).tolist()
    assert found == [2817, 2818, 0, 0, IDENTICAL, 20_000]
    assert [in_db(value) for value in found[:2]] == [28.17, 28.18]
    assert in_db(IDENTICAL) == float("inf")


def test_psnrs_that_cannot_be_written() -> None:
    for psnrs in ([2817], [1, 2, 20_001]):
        with pytest.raises(errors.InvalidSetting):
            serialize(replace(CODED, psnrs=np.array(psnrs, np.uint16)))


def test_damaged_psnrs_are_a_warning_and_nothing_else() -> None:
    psnrs = np.array([2817, IDENTICAL, 3301], np.uint16)
    data = serialize(replace(CODED, psnrs=psnrs))
    place = data.index(b"qual") + 14
    damaged = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    with pytest.warns(errors.DamagedSectionWarning, match="qual"):
        found = parse(damaged)
    assert found.psnrs is None
    assert_equal(found, CODED)
