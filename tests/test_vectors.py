"""The library reads every vector as the manifest says, and the script that makes the vectors reproduces them."""

import hashlib
import importlib.util
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import features

from unicorn_codec import errors
from unicorn_codec.format.bit_packing import pack_codes, unpack_codes
from unicorn_codec.format.canary import Canary, block_sums, serialize_canary
from unicorn_codec.format.container import Container, parse
from unicorn_codec.format.generator import normals, raw
from unicorn_codec.format.header import WeightFormat
from unicorn_codec.format.index_map import index_of_position
from unicorn_codec.format.quality_table import IDENTICAL
from unicorn_codec.format.rans import TOTAL, RansDecoder, encode
from unicorn_codec.pictures.avif import decode_avif
from unicorn_codec.pictures.avif_sequence import decode_chains
from unicorn_codec.weights.minifloat import dequantise, quantise
from unicorn_codec.weights.weight_coding import step_sizes
from unicorn_codec.weights.weight_section import parse_tensors
from unicorn_codec.weights.weight_tables import SYMBOL_FREQUENCIES

FOLDER = Path(__file__).parent.parent / "format_spec" / "vectors"
MANIFEST: list[dict[str, Any]] = json.loads((FOLDER / "manifest.json").read_text())
VALID = [entry for entry in MANIFEST if "expected" in entry]
INVALID = [entry for entry in MANIFEST if "error" in entry]


def read_all(data: bytes, *, strict: bool) -> tuple[Container, NDArray[np.float32] | None]:
    """Read the file, including all of its weights."""
    container = parse(data, strict=strict)
    if container.weights is None:
        return container, None
    tensors = parse_tensors(container.weights, container.header)
    return container, np.concatenate([tensor.ravel() for tensor in tensors.values()])


def digits(value: np.float32) -> str:
    """Return the hexadecimal digits of a float32, most significant first, as the vectors write them."""
    return struct.pack(">f", value).hex()


def float32(text: str) -> np.float32:
    return np.float32(struct.unpack(">f", bytes.fromhex(text))[0])


def file_id(entry: dict[str, Any]) -> str:
    return str(entry["file"])


@pytest.mark.parametrize("entry", VALID, ids=file_id)
def test_valid_file(entry: dict[str, Any]) -> None:
    container, values = read_all((FOLDER / entry["file"]).read_bytes(), strict=True)
    header, codes, canary = container.header, container.codes, container.canary
    assert entry["expected"] == {
        "pictures": header.pictures,
        "seed": header.seed,
        "steps": header.denoising and header.denoising.steps,
        "network": header.denoising
        and {
            "condition": header.denoising.network.condition,
            "index_embedding": header.denoising.network.index_embedding,
            "prediction": header.denoising.prediction,
        },
        "sizes": container.sizes.tolist(),
        "names": None if container.names is None else list(container.names),
        "psnrs": None
        if container.psnrs is None
        else [None if value == IDENTICAL else value for value in container.psnrs.tolist()],
        "index_of_position": index_of_position(header.seed, header.pictures).tolist(),
        "weights_sha256": None if values is None else hashlib.sha256(values.astype("<f4").tobytes()).hexdigest(),
        "first_weights": None if values is None else [digits(value) for value in values[:4]],
        "codes": codes
        and {
            "level": codes.level,
            "short": codes.short,
            "model_sha256": codes.model_sha256.hex(),
            "streams": [stream.hex() for stream in codes.streams],
        },
        **({} if canary is None else {"canary": {"index": canary.index, "sums": list(canary.sums)}}),
    }


@pytest.mark.parametrize("entry", INVALID, ids=file_id)
def test_invalid_file(entry: dict[str, Any]) -> None:
    data = (FOLDER / entry["file"]).read_bytes()
    with pytest.raises(errors.FormatError) as caught:
        read_all(data, strict=True)
    assert type(caught.value).__name__ == entry["error"], caught.value


@pytest.mark.parametrize("entry", INVALID, ids=file_id)
def test_invalid_file_when_unpacking(entry: dict[str, Any]) -> None:
    data = (FOLDER / entry["file"]).read_bytes()
    if entry["warning_only"]:
        with pytest.warns(errors.DamagedSectionWarning):
            container, _ = read_all(data, strict=False)
        assert container.names is None and container.canary is None and container.psnrs is None
    else:
        with pytest.raises(errors.FormatError):
            read_all(data, strict=False)


def table(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def test_generator_vectors() -> None:
    values = table("generator.json")
    for case in values["words"]:
        assert [f"{word:016x}" for word in raw(case["seed"], case["stream"], 9).tolist()] == case["hex"]
    for case in values["normals"]:
        found = normals(case["seed"], case["stream"], 7)
        assert [digits(value) for value in found] == case["float32"]


def test_index_map_vectors() -> None:
    for case in table("index-map.json"):
        assert index_of_position(case["seed"], case["pictures"]).tolist() == case["index_of_position"]


def test_bit_packing_vectors() -> None:
    for case in table("bit-packing.json"):
        codes = np.array(case["codes"], dtype=np.uint32)
        assert pack_codes(codes, case["bits"]).hex() == case["hex"]
        assert unpack_codes(bytes.fromhex(case["hex"]), case["bits"], codes.size).tolist() == case["codes"]


@pytest.mark.parametrize(
    "case", table("weight-codes.json"), ids=lambda c: f"e{c['exponent_bits']}m{c['mantissa_bits']}"
)
def test_weight_code_vectors(case: dict[str, Any]) -> None:
    form = WeightFormat(exponent_bits=case["exponent_bits"], mantissa_bits=case["mantissa_bits"], bias=case["bias"])
    assert form.largest_code == case["largest_code"]
    for code, value in case["dequantize"]:
        assert digits(dequantise(np.array([code], dtype=np.uint32), form)[0]) == value, code
    for value, code in case["quantize"]:
        assert quantise(np.array([float32(value)]), form).tolist() == [code], value
    for code in case["invalid_codes"]:
        with pytest.raises(errors.InvalidField):
            dequantise(np.array([code], dtype=np.uint32), form)


def test_integer_weight_vectors() -> None:
    values = table("integer-weights.json")
    assert SYMBOL_FREQUENCIES.tolist() == values["frequencies"]
    assert [digits(size) for size in step_sizes(np.arange(256))] == values["steps"]


@pytest.mark.parametrize("case", table("rans.json"), ids=lambda c: c["name"])
def test_rans_vectors(case: dict[str, Any]) -> None:
    tables = [np.array(each) for each in case["tables"]]
    shape = (len(case["steps"]), 1, case["lanes"])
    starts, frequencies = np.zeros(shape, np.int64), np.full(shape, TOTAL)  # a symbol with all slots takes no bits
    for step, lanes in enumerate(case["steps"]):
        for lane, coded in enumerate(lanes):
            if coded is not None:
                number, symbol = coded
                place = (step, 0, lane)
                starts[place] = tables[number][:symbol].sum()
                frequencies[place] = tables[number][symbol]
    stream = bytes.fromhex(case["hex"])
    assert encode(starts, frequencies, short=case["short"]) == [stream]
    decoder = RansDecoder([stream], case["lanes"], short=case["short"])
    for start, frequency in zip(starts[:, 0], frequencies[:, 0], strict=True):
        found = decoder.slots()
        assert ((start <= found) & (found < start + frequency)).all()
        decoder.advance(found, start, frequency)
    decoder.finish()


@pytest.mark.parametrize("case", table("canary.json"), ids=lambda c: str(c["index"]))
def test_canary_vectors(case: dict[str, Any]) -> None:
    sums = block_sums(np.array(case["pixels"], np.uint8))
    assert list(sums) == case["sums"]
    assert serialize_canary(Canary(index=case["index"], sums=sums), 4).hex() == case["hex"]


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
@pytest.mark.parametrize("case", table("avif-codes.json"), ids=lambda c: c["name"])
def test_avif_code_vectors(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    code, size = bytes.fromhex(case["hex"]), (case["width"], case["height"])
    if "colour" in case:
        pixels = decode_avif(code, *size)
        assert pixels.shape == (8, 8, 3)
        assert np.abs(pixels.astype(int) - case["colour"]).max() <= 4
        return
    monkeypatch.setattr("unicorn_codec.pictures.avif.opened_avif", None)  # decoding must not depend on it
    with pytest.raises(getattr(errors, case["error"])):
        decode_avif(code, *size)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
@pytest.mark.parametrize("case", table("sequences.json"), ids=lambda c: c["name"])
def test_sequence_vectors(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    codes, position = [bytes.fromhex(code) for code in case["codes"]], case["position"]
    if "colour" in case:
        pixels = decode_chains(codes, [position], 8, 8)[position]
        assert pixels.shape == (8, 8, 3)
        assert np.abs(pixels.astype(int) - case["colour"]).max() <= 4
        return
    monkeypatch.setattr("unicorn_codec.pictures.avif_sequence.opened_avif", None)  # decoding must not depend on it
    with pytest.raises(getattr(errors, case["error"])):
        decode_chains(codes, [position], 8, 8)


def test_manifest_lists_every_file() -> None:
    assert sorted(entry["file"] for entry in MANIFEST) == sorted({p.name for p in FOLDER.iterdir()} - {"manifest.json"})


def test_the_script_reproduces_the_vectors_without_the_library(tmp_path: Path) -> None:
    script = FOLDER.parent / "make_vectors.py"
    assert "unicorn_codec" not in script.read_text()
    spec = importlib.util.spec_from_file_location("make_vectors", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {p.name: p.read_bytes() for p in FOLDER.iterdir()}
