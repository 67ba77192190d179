"""Describing a file: all keys, exact rates, and without torch."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests import sample_archive
from tests.sample_network import HEADER
from unicorn_codec.errors import DamagedSectionWarning
from unicorn_codec.format.header import WeightFormat
from unicorn_codec.inspection import describe, describe_picture
from unicorn_codec.packing.archive_writing import read_packed, write_packed
from unicorn_codec.packing.packed import PackedPictures
from unicorn_codec.weights.weight_section import serialize_weights

NAMES = ("a.png", "b/d.jpg", "b/\u00e7.jpg")
SIZES = np.array([(16, 8), (8, 8), (16, 8)], np.int32)
PIXELS = 16 * 8 + 8 * 8 + 16 * 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An archive of a network."""
    values = np.linspace(-1, 1, 268, dtype=np.float32)
    weights = serialize_weights(values, WeightFormat(exponent_bits=4, mantissa_bits=3))
    write_packed(tmp_path / "a.uni", PackedPictures(header=HEADER, sizes=SIZES, names=NAMES, weights=weights))
    return tmp_path / "a.uni"


@pytest.fixture
def codes(tmp_path: Path) -> Path:
    (tmp_path / "codes.uni").write_bytes(sample_archive.archive(5, change=b"\1\0rows"))
    return tmp_path / "codes.uni"


def test_description(path: Path) -> None:
    found = describe(path)
    assert json.loads(json.dumps(found)) == found
    file_bytes = path.stat().st_size
    expected = {
        "format_version": 1,
        "generation": 1,
        "pictures": 3,
        "removed": 0,
        "index_bits": 2,
        "file_bytes": file_bytes,
        "pixels": PIXELS,
        "bits_per_pixel": 8 * file_bytes / PIXELS,
        "bits_per_pixel_with_autoencoder": 8 * (file_bytes + 1000) / PIXELS,
        "seed": 7,
        "steps": 2,
    }
    assert {key: found[key] for key in expected} == expected
    assert found["autoencoder"]["name"] == "photo-1"
    assert found["autoencoder"]["fingerprint"] == HEADER.autoencoder.model().fingerprint.hex()  # type: ignore[union-attr]
    assert found["network"]["parameters"] == 268
    assert (found["weights"]["format"], found["weights"]["bits_per_weight"]) == ("float", 8)
    assert found["codes"] == {"level": None, "latent_step": None, "bytes": 0, "bits_per_pixel": 0.0}
    assert "entries" not in found


@pytest.mark.parametrize("kind", ["path", "codes"])
def test_the_parts_are_the_whole_file(kind: str, request: pytest.FixtureRequest) -> None:
    file = request.getfixturevalue(kind)
    parts = describe(file)["parts"]
    assert sum(part["bytes"] for part in parts) == file.stat().st_size
    assert sum(part["pictures"] or 0 for part in parts) == describe(file)["pictures"]
    assert [part["part"] for part in parts][-2:] == ["weights", "index and names"]


def test_description_of_codes(codes: Path) -> None:
    found = describe(codes, entries=True)
    assert json.loads(json.dumps(found)) == found
    record_bytes = sum(entry["record_bytes"] for entry in found["entries"])
    assert found["codes"] == {
        "level": 5,
        "latent_step": 3.0,
        "bytes": record_bytes,
        "bits_per_pixel": 8 * record_bytes / found["pixels"],
    }
    assert (found["steps"], found["latent_std"]) == (0, None)
    assert found["network"].pop("parameters") == 0
    assert found["weights"].pop("bytes") == 0
    assert {*found["network"].values(), *found["weights"].values()} == {None}
    assert [entry["codec"] for entry in found["entries"]] == ["latents"] * 3 + ["avif-sequence"] * 2
    assert [entry["psnr_db"] for entry in found["entries"]] == [28.0, 28.1, 28.2, 28.3, 28.4]
    assert [entry["index"] for entry in found["entries"]] == list(range(5))
    (decoder,) = found["decoders"]
    assert (decoder["model"], decoder["kind"], decoder["level"]) == ("photo-1", "codes", 5)


def test_description_of_one_picture(codes: Path) -> None:
    found = describe_picture(codes, 4)
    (entry,) = (entry for entry in describe(codes, entries=True)["entries"] if entry["index"] == 4)
    assert {key: found[key] for key in entry} == entry
    assert found["depends_on"] == [3]


def test_keys_do_not_depend_on_what_is_held(path: Path, codes: Path) -> None:
    found = [describe(path), describe(codes)]
    for part in ("network", "weights", "codes"):
        assert found[0][part].keys() == found[1][part].keys()
    assert found[0].keys() == found[1].keys()


def test_a_packed_archive_is_read_as_it_was_written(path: Path, tmp_path: Path) -> None:
    packed = read_packed(path)
    assert packed.names == NAMES and np.array_equal(packed.sizes, SIZES)
    assert packed.header.denoising == HEADER.denoising and packed.header.seed == 7
    write_packed(tmp_path / "again.uni", packed)
    again = read_packed(tmp_path / "again.uni")
    assert (again.header, again.names, again.weights) == (packed.header, packed.names, packed.weights)


def test_damaged_names_are_only_a_warning(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b"a.png")] ^= 1
    path.write_bytes(data)
    assert describe(path)["pictures"] == 3
    with pytest.warns(DamagedSectionWarning, match="called by their index"):
        found = describe(path, entries=True)
    assert {entry["name"] for entry in found["entries"]} == {None}


def test_a_hundred_thousand_pictures_are_quick(tmp_path: Path) -> None:
    (tmp_path / "a.uni").write_bytes(sample_archive.archive(100_000))
    started = time.process_time()
    assert describe(tmp_path / "a.uni")["pictures"] == 100_000
    assert time.process_time() - started < 0.1
    started = time.process_time()
    describe_picture(tmp_path / "a.uni", 77_777)
    assert time.process_time() - started < 0.1


def test_neither_torch_nor_pillow_is_loaded(codes: Path) -> None:
    program = (
        "import sys; from unicorn_codec.inspection import describe; describe(sys.argv[1], entries=True);"
        "sys.exit(any(name in sys.modules for name in ('torch', 'PIL', 'diffusers')))"
    )
    subprocess.run([sys.executable, "-c", program, str(codes)], check=True, timeout=60)
