"""Describing a file: all keys, exact rates, and without torch."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.sample_container import CODED, CODES, CONTAINER, HEADER, NAMES
from unicorn_codec.errors import DamagedSectionWarning
from unicorn_codec.format.code_table import serialize_codes
from unicorn_codec.format.container import Container, write_container
from unicorn_codec.format.index_map import index_of_position
from unicorn_codec.format.quality_table import IDENTICAL
from unicorn_codec.inspection import describe


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_container(tmp_path / "a.uni", CONTAINER)
    return tmp_path / "a.uni"


def test_description(path: Path) -> None:
    found = describe(path)
    assert json.loads(json.dumps(found)) == found
    file_bytes = path.stat().st_size
    pixels = 16 * 8 + 8 * 8 + 16 * 8
    expected = {
        "format_version": 1,
        "pictures": 3,
        "index_bits": 2,
        "file_bytes": file_bytes,
        "pixels": pixels,
        "bits_per_pixel": 8 * file_bytes / pixels,
        "bits_per_pixel_with_autoencoder": 8 * (file_bytes + 1000) / pixels,
        "seed": 7,
        "steps": 2,
    }
    assert {key: found[key] for key in expected} == expected
    assert found["autoencoder"]["name"] == "photo-1"
    assert found["autoencoder"]["sha256"] == bytes(range(32)).hex()
    assert found["network"]["parameters"] == 268
    assert (found["weights"]["format"], found["weights"]["bits_per_weight"]) == ("float", 8)
    assert sum(section["bytes"] for section in found["sections"]) + found["preamble_bytes"] == file_bytes
    assert found["codes"] == {"level": None, "latent_step": None, "bytes": 0, "bits_per_pixel": 0.0}
    assert "entries" not in found


def test_description_of_codes(tmp_path: Path) -> None:
    write_container(tmp_path / "a.uni", CODED)
    found = describe(tmp_path / "a.uni", entries=True)
    assert json.loads(json.dumps(found)) == found
    code_bytes = len(serialize_codes(CODES, 3))
    assert found["codes"] == {
        "level": 5,
        "latent_step": 0.1,
        "bytes": code_bytes,
        "bits_per_pixel": 8 * code_bytes / (16 * 8 + 8 * 8 + 16 * 8),
    }
    assert (found["steps"], found["latent_std"]) == (0, None)
    assert found["network"].pop("parameters") == 0
    assert found["weights"].pop("bytes") == 0
    assert {*found["network"].values(), *found["weights"].values()} == {None}
    for position, index in enumerate(index_of_position(HEADER.seed, 3).tolist()):
        assert found["entries"][index]["code_bytes"] == len(CODES.streams[position])
        assert found["entries"][index]["codec"] == "latents"
        assert "psnr_db" not in found["entries"][index]


def test_entries_tell_codec_and_psnr(tmp_path: Path) -> None:
    codes = replace(CODES, streams=(b"\0", b"\xff\0stream", b"\x85codes"))
    psnrs = np.array([2817, IDENTICAL, 3301], np.uint16)
    write_container(tmp_path / "a.uni", replace(CODED, codes=codes, psnrs=psnrs))
    entries = describe(tmp_path / "a.uni", entries=True)["entries"]
    by_position = [entries[index] for index in index_of_position(HEADER.seed, 3).tolist()]
    assert [entry["codec"] for entry in by_position] == ["latents", "avif", "half-size"]
    assert [entry["psnr_db"] for entry in by_position] == [28.17, float("inf"), 33.01]
    write_container(tmp_path / "b.uni", replace(CONTAINER, psnrs=psnrs))
    (entry, *_) = describe(tmp_path / "b.uni", entries=True)["entries"]
    assert "psnr_db" in entry and "codec" not in entry


def test_keys_do_not_depend_on_what_is_held(tmp_path: Path) -> None:
    found = []
    for name, container in (("a.uni", CONTAINER), ("b.uni", CODED)):
        write_container(tmp_path / name, container)
        found.append(describe(tmp_path / name))
    for part in ("network", "weights", "codes"):
        assert found[0][part].keys() == found[1][part].keys()
    assert found[0].keys() == found[1].keys()


def test_entries_stand_by_index(path: Path) -> None:
    entries = describe(path, entries=True)["entries"]
    assert [entry["index"] for entry in entries] == [0, 1, 2]
    for position, index in enumerate(index_of_position(HEADER.seed, 3).tolist()):
        width, height = CONTAINER.sizes[position].tolist()
        assert entries[index] == {"index": index, "name": NAMES[position], "width": width, "height": height}


def test_no_names(tmp_path: Path) -> None:
    write_container(tmp_path / "a.uni", replace(CONTAINER, names=None))
    assert {entry["name"] for entry in describe(tmp_path / "a.uni", entries=True)["entries"]} == {None}


def test_damaged_names_are_only_a_warning(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b"a.png")] ^= 1
    path.write_bytes(data)
    with pytest.warns(DamagedSectionWarning):
        found = describe(path)
    assert found["file_bytes"] == len(data)


def many(pictures: int) -> Container:
    sizes = np.random.default_rng(0).integers(60, 70, (pictures, 2)).astype(np.int32)
    names = tuple(f"folder/picture-{number:06}.jpg" for number in range(pictures))
    return replace(CONTAINER, header=replace(HEADER, pictures=pictures), sizes=sizes, names=names)


def test_a_hundred_thousand_names_are_quick(tmp_path: Path) -> None:
    write_container(tmp_path / "a.uni", many(100_000))
    started = time.process_time()
    describe(tmp_path / "a.uni")
    assert time.process_time() - started < 0.5


def test_a_hundred_thousand_codes_are_quick(tmp_path: Path) -> None:
    pictures = 100_000
    lengths = np.random.default_rng(0).integers(20, 200, pictures).tolist()
    codes = replace(CODES, streams=tuple(bytes([length]) * length for length in lengths))
    header, sizes = replace(CODED.header, pictures=pictures), np.full((pictures, 2), 64, np.int32)
    write_container(tmp_path / "a.uni", Container(header=header, sizes=sizes, codes=codes))
    started = time.process_time()
    assert describe(tmp_path / "a.uni")["codes"]["bytes"] > sum(lengths)
    assert time.process_time() - started < 0.3


def test_neither_torch_nor_pillow_is_loaded(tmp_path: Path) -> None:
    write_container(tmp_path / "a.uni", many(1000))
    program = (
        "import sys; from unicorn_codec.inspection import describe; describe(sys.argv[1], entries=True);"
        "sys.exit(any(name in sys.modules for name in ('torch', 'PIL', 'diffusers')))"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.uni")], check=True, timeout=60)
