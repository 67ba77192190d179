"""The library reads every vector of the format as the manifest says, and the vectors are what their maker writes."""

import hashlib
import importlib.util
import io
import json
import re
import struct
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import features

from unicorn_codec import errors
from unicorn_codec.archive import Archive
from unicorn_codec.codes.code_reading import CodeReader, kind_of
from unicorn_codec.codes.context_model import ContextModel, load_context_model
from unicorn_codec.codes.latent_coding import decode_symbols, encode_symbols
from unicorn_codec.config import MAX_PIXELS
from unicorn_codec.decoders.code_decoder import to_gray
from unicorn_codec.decoders.network_decoder import untrained_decoder
from unicorn_codec.format import cell_map, code_kinds
from unicorn_codec.format.alpha_plane import COARSE_STEP, STEPS, parse_alpha, serialize_alpha
from unicorn_codec.format.bit_packing import pack_codes, unpack_codes
from unicorn_codec.format.canary import Canary, block_sums, serialize_canary
from unicorn_codec.format.carried_codes import digest_of_pixels, parse_carried, serialize_carried
from unicorn_codec.format.chunks import MODEL, TEXT, TOMBSTONES
from unicorn_codec.format.code_kinds import colour_code, mark_gray
from unicorn_codec.format.function_table import parse_functions
from unicorn_codec.format.generator import normals, raw
from unicorn_codec.format.header import ModelReference, WeightFormat
from unicorn_codec.format.index_map import index_of_position
from unicorn_codec.format.integrity import problems_of
from unicorn_codec.format.network_table import parse_network, parse_update
from unicorn_codec.format.pages import Place, psnr_code
from unicorn_codec.format.rans import TOTAL, RansDecoder, encode
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import (
    EXACT,
    FUNCTION,
    NETWORK,
    ORIGINAL,
    OTHER_FILE,
    SEQUENCE,
    Part,
    Record,
    codec_of_code,
)
from unicorn_codec.format.removed_pictures import removed_in
from unicorn_codec.format.repair import repair
from unicorn_codec.format.sources import MemorySource
from unicorn_codec.format.stored_files import LEPTON, parse_stored_file
from unicorn_codec.format.stored_model import parse_model, parse_text
from unicorn_codec.model_registry import AUTOENCODER, get_model
from unicorn_codec.network.denoiser import load_tensors
from unicorn_codec.network.latent_set import denormalise_latents
from unicorn_codec.overfitted.function_code import DecodedFunction, base_of, decode_function
from unicorn_codec.overfitted.function_shape import FunctionShape
from unicorn_codec.overfitted.laplace_tables import laplace_tables
from unicorn_codec.overfitted.synthesis import latents_of
from unicorn_codec.pictures.avif import decode_avif
from unicorn_codec.pictures.avif_sequence import decode_chains
from unicorn_codec.pictures.code_carrying import code_in
from unicorn_codec.pictures.jpeg_transcoding import lepton_package
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.pictures.original_files import restored_file
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.folder_update import UpdatedModels
from unicorn_codec.transform.resampling import double
from unicorn_codec.weights.minifloat import dequantise, quantise
from unicorn_codec.weights.weight_coding import step_sizes
from unicorn_codec.weights.weight_section import parse_tensors
from unicorn_codec.weights.weight_tables import SYMBOL_FREQUENCIES

FOLDER = Path(__file__).parent.parent / "format_spec" / "vectors"
MANIFEST: list[dict[str, Any]] = json.loads((FOLDER / "manifest.json").read_text())
VALID = [entry for entry in MANIFEST if "expected" in entry]
INVALID = [entry for entry in MANIFEST if "error" in entry]
WHOLE = (EXACT, OTHER_FILE)
FAULTY = [entry for entry in MANIFEST if "verifier_only" in entry]


def digits(value: np.float32) -> str:
    """Of a float32, most significant first, as the vectors write it."""
    return struct.pack(">f", value).hex()


def float32(text: str) -> np.float32:
    return np.float32(struct.unpack(">f", bytes.fromhex(text))[0])


def file_id(entry: dict[str, Any]) -> str:
    return str(entry["file"])


def read_all(data: bytes) -> dict[str, Any]:
    """Everything that a file holds, as the manifest has it."""
    reader = ContainerReader(MemorySource(data))
    assert all(list(removed_in(payload)) for payload in reader.attachments(TOMBSTONES))
    assert all(attachment.letter in (TOMBSTONES, MODEL, TEXT) for attachment in reader.footer.attachments)
    models = [parse_model(payload) for payload in reader.attachments(MODEL)]
    assert all(model.fingerprint == reader.footer.decoders[0].model.fingerprint for model in models)
    texts = [parse_text(payload) for payload in reader.attachments(TEXT)]
    pictures, blobs, times = [], list[list[Any]](), list[list[int]]()
    alphas, files = list[list[Any]](), list[list[Any]]()
    for leaf in reader.leaves():
        for index in map(int, leaf.living):
            row = reader.row(index)
            reader.decoder(row.decoder)
            record = reader.record(row) if row.codec != NETWORK else None
            if row.codec == SEQUENCE:
                for before in reader.chain(row):
                    reader.record(before)
            name = reader.name(index)
            assert name is None or index in reader.find(name)
            if record is not None:
                blobs += [[index, place.kind, reader.blob(place).hex()] for place in record.metadata]
                known = reader.details(row).modified
                times += [[index, known]] if known is not None else []
                alphas += [[index, record.alpha.hex()]] if record.alpha is not None else []
                if row.codec in WHOLE:
                    files.append([index, *whole_file_of(reader, record)])
                details = reader.details(row)
                assert details.alpha_bytes == len(record.alpha or b"")
                assert details.metadata == record.metadata
                assert details.modified == (record.modified if row.modified is None else row.modified)
            pictures.append({
                "index": index,
                "size": [row.width, row.height],
                "codec": row.codec,
                "decoder": row.decoder,
                "parent": row.parent,
                "psnr": row.psnr,
                "name": name,
                "code": None if record is None else code_of(record),
            })  # fmt: skip
    network, change, functions = weights_of(reader)
    return {
        "generation": reader.footer.generation,
        "pictures": pictures,
        "network": network,
        "canaries": [[canary.index, list(canary.sums)] for canary in reader.footer.canaries],
        "change": change,
        "blobs": blobs,
        "times": times,
        "alphas": alphas,
        "models": [[m.name, m.config.hex(), m.decoder.hex(), m.context_model.hex()] for m in models],
        "texts": texts,
        **({"files": files} if files else {}),
        **({"functions": functions} if functions else {}),
    }


def whole_file_of(reader: ContainerReader, record: Record) -> list[Any]:
    """Way, bytes, SHA-256 and nanoseconds of a stored file, which comes back."""
    stored = parse_stored_file(record)
    raw = b"".join(restored_file(stored, reader.piece, MAX_PIXELS))
    return [stored.way, len(raw), hashlib.sha256(raw).hexdigest(), stored.nanoseconds]


def code_of(record: Record) -> str | list[str]:
    """The code in hexadecimal digits, those of all tiles, or the error of a record without any."""
    if len(record.codes) > 1:
        return [code.hex() for code in record.codes]
    try:
        return record.code.hex()
    except errors.InvalidField as error:
        return type(error).__name__


def weights_of(reader: ContainerReader) -> tuple[dict[str, Any] | None, str | None, dict[str, Any] | None]:
    """The network, the change of the decoder and the functions' settings, as far as there are any."""
    network, change, functions = None, None, None
    for decoder in reader.footer.decoders:
        if decoder.weights is None:
            continue
        payload = reader.weights(decoder.weights)
        if decoder.is_functions:
            stored_functions = parse_functions(payload, decoder.model.latent_channels)
            functions = asdict(stored_functions.settings) | {"common": stored_functions.common.hex()}
            functions["planes"] = list(functions["planes"])
            continue
        if not decoder.is_network:
            change = parse_update(payload).hex()
            continue
        stored = parse_network(payload, decoder.model, decoder.latent_step)
        header, denoising = stored.header, stored.header.denoising
        assert denoising is not None
        tensors = parse_tensors(stored.weights, header)
        values = np.concatenate([tensor.ravel() for tensor in tensors.values()])
        network = {
            "steps": denoising.steps,
            "seed": header.seed,
            "pictures": header.pictures,
            "first": stored.first,
            "condition": denoising.network.condition,
            "index_embedding": denoising.network.index_embedding,
            "prediction": denoising.prediction,
            "weights_sha256": hashlib.sha256(values.astype("<f4").tobytes()).hexdigest(),
            "first_weights": [digits(value) for value in values[:4]],
        }
    return network, change, functions


@pytest.mark.parametrize("entry", VALID, ids=file_id)
def test_valid_file(entry: dict[str, Any]) -> None:
    data, expected = (FOLDER / entry["file"]).read_bytes(), dict(entry["expected"])
    if expected.pop("unfinished", False):
        with pytest.warns(errors.DamagedSectionWarning):
            assert read_all(data) == expected
        return
    assert read_all(data) == expected
    assert problems_of(ContainerReader(MemorySource(data))) == []


@pytest.mark.parametrize("entry", INVALID, ids=file_id)
def test_invalid_file(entry: dict[str, Any]) -> None:
    with warnings.catch_warnings(), pytest.raises(errors.FormatError) as caught:
        warnings.simplefilter("ignore", errors.DamagedSectionWarning)
        read_all((FOLDER / entry["file"]).read_bytes())
    assert type(caught.value).__name__ == entry["error"], caught.value


@pytest.mark.parametrize("entry", FAULTY, ids=file_id)
def test_file_that_only_a_verifier_finds_fault_with(entry: dict[str, Any]) -> None:
    reader = ContainerReader(MemorySource((FOLDER / entry["file"]).read_bytes()))
    assert problems_of(reader)
    for leaf in reader.leaves():
        for index in leaf.living:
            reader.record(reader.row(int(index)))


@pytest.mark.parametrize("entry", [*VALID, *INVALID, *FAULTY], ids=file_id)
def test_a_repair_of_any_vector_ends_well_or_is_refused(entry: dict[str, Any]) -> None:
    output = io.BytesIO()
    try:
        repair((FOLDER / entry["file"]).read_bytes(), output)
    except (errors.FormatError, errors.NothingToRepair):
        return
    assert problems_of(ContainerReader(MemorySource(output.getvalue()))) == []


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


@pytest.fixture(scope="module")
def small_model() -> ContextModel:
    """The context model of the codes' table."""
    held = {
        name: np.array(tensor["values"].split(), np.int64).reshape(tensor["shape"])
        for name, tensor in table("codes.json")["model"].items()
    }
    whole = ("frequencies", "mean_bias", "scale_bias")
    arrays: dict[str, Any] = {name: held[name] if name in whole else held[name].astype(float) for name in held}
    return ContextModel(**arrays, sha256=bytes(32))


@pytest.mark.parametrize("case", table("codes.json")["codes"], ids=lambda c: c["name"])
def test_code_vectors(case: dict[str, Any], small_model: ContextModel) -> None:
    code = bytes.fromhex(case["hex"])
    half = code_kinds.is_half_size(code)
    level, bare = code_kinds.model_level(case["level"], half=half), code_kinds.unmark_half_size(code) if half else code
    if "error" in case:
        with pytest.raises(getattr(errors, case["error"])):
            decode_symbols(small_model, level, [bare], case["rows"], case["columns"], short=case["short"])
        return
    values = np.array([[row.split() for row in plane] for plane in case["values"]], np.int64)
    found = decode_symbols(small_model, level, [bare], *values.shape[1:], short=case["short"])[0]
    assert found.tolist() == values.tolist()
    (again,) = encode_symbols(small_model, level, values[None].astype(np.int16), short=case["short"])
    assert again == bare, "a writer has no choice but this"


@pytest.mark.parametrize("case", table("cell-maps.json")["codes"], ids=lambda c: c["name"])
def test_cell_map_vectors(case: dict[str, Any], small_model: ContextModel) -> None:
    code, cell = bytes.fromhex(case["hex"]), 16
    kind = kind_of(code)
    settings = {"latent_step": case["latent_step"], "level": case["level"], "short": case["short"]}
    reader = CodeReader(model=small_model, downsampling=cell, **settings)
    side = cell * (2 if kind[0] else 1)
    if "error" in case:
        with pytest.raises(getattr(errors, case["error"])):
            reader.read([code], kind, side * case["rows"], side * case["columns"])
        return
    values, offsets, steps = (case[name] for name in ("values", "offsets", "steps"))
    wanted = np.array([[row.split() for row in plane] for plane in values], np.int64)
    rows, columns = wanted.shape[1:]
    (symbols,), found_steps = reader.read([code], kind, side * rows - 1, side * columns)
    assert kind == (case["name"].find("half-size") >= 0, True) and symbols.tolist() == wanted.tolist()
    assert isinstance(found_steps, np.ndarray)
    assert found_steps[0] == pytest.approx(np.array([row.split() for row in steps], float), rel=1e-6, abs=1e-6)
    bare, of_cells = cell_map.unmark_mapped(code, rows, columns)
    assert of_cells.tolist() == [list(map(int, row.split())) for row in offsets]
    assert cell_map.mark_mapped(bare, of_cells) == code
    levels = cell_map.cell_levels(case["level"], of_cells[None], half=kind[0])
    (again,) = encode_symbols(small_model, levels, wanted[None].astype(np.int16), short=case["short"])
    assert (code_kinds.mark_half_size(again) if kind[0] else again) == bare, "a writer has no choice but this"


@pytest.mark.parametrize("case", table("network-outputs.json"), ids=lambda c: c["name"])
def test_network_output_vectors(case: dict[str, Any]) -> None:
    """A network of one channel draws the latents that float64 arithmetic finds, up to rounding."""
    model = ModelReference(
        name="any", class_name="Any", fingerprint=bytes(16), weight_bytes=1, latent_channels=1, downsampling=8
    )
    stored = parse_network(bytes.fromhex(case["hex"]), model, 1.0)
    denoising = stored.header.denoising
    assert denoising is not None
    unused: Any = SimpleNamespace(reference=stored.header.autoencoder, device=torch.device("cpu"))
    decoder = untrained_decoder(denoising, unused, stored.header.pictures, stored.header.seed)
    load_tensors(decoder.denoiser, parse_tensors(stored.weights, stored.header))
    decoder = replace(decoder, header=stored.header)
    for picture in case["latents"]:
        drawn = decoder.sample([picture["index"]], 8 * case["columns"], 8 * case["rows"])
        found = denormalise_latents(drawn, denoising.means, denoising.stds, denoising.latent_std)
        wanted = torch.tensor([float(value) for value in picture["values"]])
        assert (found.flatten() - wanted).abs().max() <= case["tolerance"]


def test_autoencoder_vectors() -> None:
    """The packaged model, with and without an update, agrees with float64 arithmetic up to rounding."""
    case = table("autoencoder.json")
    shipped = PackagedAutoencoder(torch.device("cpu"), name=case["model"])
    assert get_model(AUTOENCODER, case["model"]).sha256.hex() == case["sha256"]
    step = case["latent_step"]
    latents = torch.tensor(case["quantised_latents"]).float().view(1, -1, 2, 2) * step
    models = UpdatedModels(shipped, load_context_model(case["model"]))
    updated = models.with_update(bytes.fromhex(case["update"])).autoencoder
    steps = torch.from_numpy(cell_map.cell_steps(step, np.array(case["offsets"])))[None]
    mapped = latents / step * steps[:, None]
    plain = [(shipped, latents, step, "levels"), (updated, latents, step, "levels_with_update")]
    for model, some, of_some, name in (*plain, (shipped, mapped, steps, "levels_with_map")):
        with torch.inference_mode():
            found = (127.5 * (model.decode(some, of_some)[0] + 1)).numpy()
        wanted = np.array([[row.split() for row in plane] for plane in case[name]], float)
        assert found.shape == wanted.shape == (3, 32, 32)
        assert np.abs(found - wanted).max() <= case["tolerance"]
    assert case["levels"] != case["levels_with_update"]
    for invalid in case["invalid_updates"]:
        with pytest.raises(errors.InvalidField):
            models.with_update(bytes.fromhex(invalid["hex"]))


def test_codes_of_a_model_with_another_fingerprint_are_refused() -> None:
    """The vectors' files name the packaged model, but none of its fingerprints."""
    with (
        Archive.open(FOLDER / "valid-codes.uni") as archive,
        pytest.raises(errors.AutoencoderMismatch, match="photo-1"),
    ):
        _ = archive[0]


def test_doubling_vectors() -> None:
    case = table("autoencoder.json")["doubling"]
    found = double(torch.tensor(case["plane"])[None, None])[0, 0]
    assert (found - torch.tensor(case["doubled"])).abs().max() <= case["tolerance"]


@pytest.mark.parametrize("case", table("canary.json"), ids=lambda c: str(c["index"]))
def test_canary_vectors(case: dict[str, Any]) -> None:
    sums = block_sums(np.array(case["pixels"], np.uint8))
    assert list(sums) == case["sums"]
    assert serialize_canary(Canary(index=case["index"], sums=sums)).hex() == case["hex"]


@pytest.mark.parametrize("case", table("gray-codes.json"), ids=lambda c: c["name"])
def test_gray_code_vectors(case: dict[str, Any]) -> None:
    if "luma" in case:
        assert to_gray(np.array([[case["colour"]]], np.uint8)).tolist() == [[3 * [case["luma"]]]]
    elif "follows" in case:
        code = bytes.fromhex(case["hex"])
        assert code_kinds.is_gray(code) and colour_code(code) == bytes.fromhex(case["follows"])
        assert codec_of_code(code) == codec_of_code(colour_code(code))
        assert mark_gray(colour_code(code)) == code
    else:
        with pytest.raises(getattr(errors, case["error"])):
            colour_code(bytes.fromhex(case["hex"]))


@pytest.mark.parametrize("case", table("opacity.json"), ids=lambda c: c["name"])
def test_opacity_vectors(case: dict[str, Any]) -> None:
    data, size = bytes.fromhex(case["hex"]), (case["width"], case["height"])
    if "opacity" in case:
        assert parse_alpha(data, *size).ravel().tolist() == case["opacity"]
        return
    with pytest.raises(getattr(errors, case["error"])):
        parse_alpha(data, *size)


@pytest.mark.parametrize("case", table("carried-codes.json"), ids=lambda c: c["name"])
def test_carried_code_vectors(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["hex"])
    if "error" in case:
        with pytest.raises(getattr(errors, case["error"])):
            parse_carried(data)
    elif "file" in case:
        assert code_in(bytes.fromhex(case["file"])) == data
    elif "pixels" in case:
        pixels = np.frombuffer(bytes.fromhex(case["pixels"]), np.uint8)
        shaped = pixels.reshape(case["height"], case["width"], case["channels"])
        assert parse_carried(data).pixels_sha256 == digest_of_pixels(shaped)
    else:
        found = parse_carried(data)
        assert found.index == case["index"]
        assert all(getattr(found, name).hex() == case[name] for name in ("code", "update_sha256", "update", "alpha"))
        assert serialize_carried(found) == data


def test_opacity_rounding_vectors() -> None:
    stored = {case["step"]: case["stored"] for case in table("opacity-rounding.json")}
    assert tuple(stored) == STEPS
    small = np.arange(256, dtype=np.uint8).reshape(16, 16)
    noise = np.random.default_rng(0).integers(0, 256, (100, 100), np.uint8)
    for plane, step in ((small, 1), (noise, COARSE_STEP)):
        data = serialize_alpha(plane)
        assert data[0] >> 2 == step
        assert np.array_equal(parse_alpha(data, *plane.shape[::-1]), step * np.array(stored[step])[plane])


@pytest.mark.parametrize("case", table("opacity-psnrs.json"), ids=lambda c: c["name"])
def test_opacity_psnr_vectors(case: dict[str, Any]) -> None:
    original, decoded = (np.array([case[name]], np.uint8) for name in ("original", "decoded"))
    pixels = np.dstack((original, np.array([case["opacity"]], np.uint8)))
    assert psnr_code(psnr_db(pixels, decoded)) == case["psnr"]


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
    codes, size = [bytes.fromhex(code) for code in case["chain"]], (case["width"], case["height"])
    chain = list(range(len(codes)))
    if "colour" in case:
        pixels = decode_chains([chain], codes.__getitem__, *size)[chain[-1]]
        assert pixels.shape == (8, 8, 3)
        assert np.abs(pixels.astype(int) - case["colour"]).max() <= 4
        return
    monkeypatch.setattr("unicorn_codec.pictures.avif_sequence.opened_avif", None)  # a decoder must not see it
    with pytest.raises(getattr(errors, case["error"])):
        decode_chains([chain], codes.__getitem__, *size)


@pytest.mark.parametrize("case", table("stored-files.json"), ids=lambda c: c["name"])
def test_stored_file_vectors(case: dict[str, Any]) -> None:
    content = bytes.fromhex(case["hex"])
    record = Record(index=0, width=8, height=8, decoder=0, parts=(Part(ORIGINAL, content),))
    stored = parse_stored_file(record)
    if stored.way == LEPTON and lepton_package() is None:
        pytest.skip("Lepton is not installed")
    if "file" in case:
        assert b"".join(restored_file(stored, no_piece, MAX_PIXELS)).hex() == case["file"]
        return
    with pytest.raises(getattr(errors, case["error"])):
        list(restored_file(stored, no_piece, MAX_PIXELS))


def no_piece(place: Place) -> bytes:
    raise AssertionError(place)


def test_manifest_lists_every_file() -> None:
    assert sorted(entry["file"] for entry in MANIFEST) == sorted({p.name for p in FOLDER.iterdir()} - {"manifest.json"})


def test_the_script_reproduces_the_vectors_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = FOLDER.parent / "make_vectors.py"
    for path in (script, *(FOLDER.parent / "vector_makers").glob("*.py")):
        assert not re.search(r"^\s*(from|import) unicorn_codec", path.read_text(), re.MULTILINE), path
    monkeypatch.syspath_prepend(str(script.parent))
    spec = importlib.util.spec_from_file_location("make_vectors", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {p.name: p.read_bytes() for p in FOLDER.iterdir()}


FUNCTIONS = table("functions.json")


def decoded(code: bytes, common: bytes) -> tuple[FunctionShape, DecodedFunction]:
    """The function of a code of the table of functions."""
    stored = parse_functions(bytes.fromhex(FUNCTIONS["settings"]) + common, FUNCTIONS["channels"])
    shape = FunctionShape(FUNCTIONS["channels"], stored.settings)
    base, size = base_of(shape, stored.common), (FUNCTIONS["rows"], FUNCTIONS["columns"])
    return shape, decode_function(shape, base, size, code_kinds.unmark_overfitted(code)[0])


@pytest.mark.parametrize("case", FUNCTIONS["cases"], ids=lambda c: c["name"])
def test_function_vectors(case: dict[str, Any]) -> None:
    code = bytes.fromhex(case["hex"])
    assert codec_of_code(code) == FUNCTION and code_kinds.unmark_overfitted(code)[1] == 11
    shape, function = decoded(code, bytes.fromhex(case["common"]))
    assert function.parameters.tolist() == [int(number) for number in case["parameters"].split()]
    assert function.values.tolist() == [int(v) for plane in case["values"] for row in plane for v in row.split()]
    size = FUNCTIONS["rows"], FUNCTIONS["columns"]
    found = latents_of(shape, function.parameters, function.values, size, torch.device("cpu"))[0].double().numpy()
    wanted = np.array([[row.split() for row in plane] for plane in case["latents"]], float)
    assert np.abs(found - wanted).max() <= FUNCTIONS["tolerance"] * max(1, np.abs(wanted).max())


def test_frequencies_of_functions() -> None:
    tables = laplace_tables().frequencies.reshape(-1, 64)
    assert tables[::37].tolist() == FUNCTIONS["frequencies"]


@pytest.mark.parametrize("case", FUNCTIONS["invalid"], ids=lambda c: c["name"])
def test_invalid_function_vectors(case: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidField):
        decoded(bytes.fromhex(case["hex"]), b"")


def test_an_invalid_common_function_is_refused() -> None:
    payload = bytes.fromhex(FUNCTIONS["invalid_common"])
    stored = parse_functions(payload, FUNCTIONS["channels"])
    with pytest.raises(errors.InvalidField):
        base_of(FunctionShape(FUNCTIONS["channels"], stored.settings), stored.common)
