"""The text of the format, the code and the vectors agree."""

import dataclasses
import json
import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.sample_archive import DECODER
from tests.sample_network import DENOISING, HEADER
from unicorn_codec import errors, model_registry
from unicorn_codec.codes.context_model import PASSES, SCALES, load_context_model
from unicorn_codec.format import bit_packing, chunks, fields, generator, header, limits, opening, records
from unicorn_codec.format.decoder_table import Decoder, serialize_decoder
from unicorn_codec.format.network_table import serialize_network
from unicorn_codec.format.pages import Place
from unicorn_codec.weights import weight_coding, weight_section, weight_tables
from unicorn_codec.weights.weight_coding import QuantisedRows

FOLDER = Path(__file__).parent.parent / "format_spec"
SPEC = (FOLDER / "uni-1.md").read_text()
MANIFEST: list[dict[str, Any]] = json.loads((FOLDER / "vectors" / "manifest.json").read_text())
CLAUSES: dict[str, str] = dict(re.findall(r"\*\*(UNI-\d+)\*\*(?: \*?\((\w+)\)\*?)?:", SPEC))


def rows(heading: str) -> list[list[str]]:
    """Cells of all tables below a heading, without the tables' heads."""
    text = re.split(r"\n##+ ", SPEC.split(f"\n{heading}\n")[1])[0]
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for t in tables for row in t.splitlines()[2:]]


def test_limits() -> None:
    modules = (limits, header, bit_packing)
    in_code = {name: value for module in modules for name, value in vars(module).items() if name.startswith("MAX_")}
    assert {name.strip("`"): int(value) for name, value in rows("## Limits")} == in_code


def test_each_clause_stands_once() -> None:
    assert len(CLAUSES) == len(re.findall(r"\*\*UNI-\d+\*\*", SPEC))
    assert set(re.findall(r"UNI-\d{2,}", SPEC)) == set(CLAUSES)


def test_each_clause_has_a_vector() -> None:
    of_errors = {(clause, error) for clause, error in CLAUSES.items() if error and error != "verifier"}
    assert of_errors <= {(entry["clause"], entry.get("error")) for entry in MANIFEST} | IN_TABLES
    of_verifiers = {clause for clause, error in CLAUSES.items() if error == "verifier"}
    assert of_verifiers <= {entry["clause"] for entry in MANIFEST if "verifier_only" in entry}
    of_any = {clause for entry in MANIFEST for clause in (entry["clause"], *entry.get("also", ()))}
    assert of_any | {clause for clause, _ in IN_TABLES} == set(CLAUSES)
    assert all(issubclass(getattr(errors, error), errors.FormatError) for _, error in of_errors)


IN_TABLES = {
    (f"UNI-{number}", "InvalidField")
    for number in (98, 124, 141, 142, 152, 160, 161, 166, 167, 168, 169, 173, 176, 177, 180)
}
"""Clauses whose vectors are no whole files: autoencoder.json holds updates, gray-codes.json codes, opacity.json planes,
functions.json functions, cell-maps.json codes with maps, tests/test_self_contained.py models,
tests/test_function_code.py functions too large."""


def test_the_table_of_chunks() -> None:
    assert {letter for letter, *_ in rows("### Chunk") if len(letter) == 1} == set(chunks.LETTERS)


def test_the_table_of_codecs() -> None:
    assert [int(row[0]) for row in rows("### Leaf") if len(row) == 2] == list(range(len(records.CODECS)))


def test_decoder_table() -> None:
    decoder = Decoder(model=DECODER.model, latent_step=1.5, level=7, weights=Place(300, 40, bytes(range(8))))
    kinds = [(name.strip("`"), kind) for name, kind, _ in rows("## D") if name != "number"]
    assert kinds[0][0] == "kind"
    values = {"kind": 0, "level": 7 + 128, "weights": decoder.weights, "model.class_name": ""}
    written = b""
    for name, kind in kinds:
        value: Any = values.get(name)
        if value is None:
            value = decoder
            for attribute in name.split("."):
                value = getattr(value, attribute)
        written += field(kind, value)
    assert written == serialize_decoder(decoder)


def test_network_table() -> None:
    network = replace(DENOISING.network, hidden_size=64, depth=5, heads=2, patch_size=4, index_tokens=9)
    network = replace(network, condition="alnz", index_embedding="let")
    denoising = replace(DENOISING, means=(1.0, 2.0), stds=(3.0, 4.0), network=network, prediction="noise")
    autoencoder = replace(HEADER.autoencoder, latent_channels=2)
    held = replace(HEADER, seed=300, denoising=denoising, autoencoder=autoencoder)
    listed = [row for row in rows("### A network") if len(row) == 4]
    ids = {name.strip("`"): int(number) for number, *names in listed for name in names if name}
    head, rest = (rows_of_two("### A network")[:3], rows_of_two("### A network")[3:])
    assert [name for name, _ in head] == ["seed", "pictures", "first"]
    numbers = b"".join(field(kind, value) for (_, kind), value in zip(head, (300, 3, 5), strict=True))
    assert b"\0" + numbers + written_by_table(rest, denoising, ids) + b"weights" == serialize_network(
        held, 5, b"weights"
    )
    known = (header.CONDITIONS, header.INDEX_EMBEDDINGS, header.PREDICTIONS)
    assert ids == {name: number for names in known for number, name in enumerate(names)}


def rows_of_two(heading: str) -> list[tuple[str, str]]:
    """Names and kinds of a table of two columns."""
    return [(row[0].strip("`"), row[1]) for row in rows(heading) if len(row) == 2]


def written_by_table(listed: list[tuple[str, str]], settings: Any, ids: dict[str, int]) -> bytes:
    """The bytes of settings that rows of names and kinds describe."""
    written = b""
    for name, kind in listed:
        value = settings
        for attribute in name.split("."):
            value = getattr(value, attribute)
        written += field(kind, ids[value] if kind == "u8 id" else value)
    return written


LETTERS = {"u8": "B", "u8 id": "B", "u16": "H", "i16": "h", "u32": "I", "u64": "Q", "f64": "d"}


def field(kind: str, value: Any) -> bytes:
    if kind == "string":
        encoded: bytes = value.encode()
        return bytes([len(encoded)]) + encoded
    if kind in ("16 bytes", "32 bytes"):
        return bytes(value)
    if kind == "leb":
        return fields.varint(value)
    if kind == "place with digest":
        return fields.varint(value.offset) + fields.varint(value.length) + bytes(value.digest)
    if kind == "C times f64":
        return b"".join(field("f64", each) for each in value)
    return struct.pack("<" + LETTERS[kind], value)


def test_weight_table() -> None:
    kinds = [kind for _, kind, _ in rows("## Weights")]
    assert kinds[-1] == "packed bytes"
    values = (0, 5, 6, 9, 1)
    head = b"".join(field(kind, value) for kind, value in zip(kinds[:-1], values, strict=True))
    weight_format = header.WeightFormat(exponent_bits=5, mantissa_bits=6, bias=9)
    assert weight_section.weight_summary(head) == weight_section.WeightSummary(format=weight_format, count=1)


def test_integer_weight_table() -> None:
    kinds = [kind for part in ("## Integer weights", "### Rows of integers") for _, kind, _ in rows(part)]
    assert kinds == ["u8", "u64", "the rest of the payload", "u8", "u8", "the rest of the rows"]
    matrix = QuantisedRows(integers=np.array([[3, -1]]), steps=np.array([160]))
    stream = weight_coding.encode_rows([matrix])
    head = b"".join(
        field(kind, value) for kind, value in zip([*kinds[:2], *kinds[3:5]], (1, 2, *stream[:2]), strict=True)
    )
    assert weight_section.serialize_integers([matrix]) == head + stream[2:]


def test_weight_scale_table() -> None:
    listed = [int(cell) for row in rows("### Frequencies of integers") for cell in row[1:]]
    assert listed == list(weight_tables.DECAYS)


def test_context_model_table() -> None:
    model = load_context_model()
    sides = {"C": model.channels, "H": model.hidden, "K": SCALES, "L": header.MAX_LEVEL}
    sides |= {"F": model.fractions, "S": 2 * model.reach + 2}
    listed = {
        name.strip("`"): tuple(sides[side] if side in sides else int(side) for side in shape.split(", "))
        for name, shape, *_ in rows("### The model")
    }
    arrays = {field.name: getattr(model, field.name) for field in dataclasses.fields(model) if field.name != "sha256"}
    assert listed == {name: array.shape for name, array in arrays.items()}


def test_packaged_models_table() -> None:
    listed = {(name.strip("`"), role, sha256.strip("`")) for name, role, sha256 in rows("### Packaged models")}
    roles = (model_registry.AUTOENCODER, model_registry.CONTEXT_MODEL)
    shipped = [model for role in roles for model in model_registry.models(role)]
    assert listed == {(model.name, model.role, model.sha256.hex()) for model in shipped}


def test_links_lead_to_headings() -> None:
    headings = re.findall(r"^#+ (.+)$", SPEC, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", SPEC)) <= anchors


def test_passes_table() -> None:
    assert tuple((int(row), int(column)) for _, row, column in rows("### Passes")) == PASSES


@pytest.mark.parametrize("condition", header.CONDITIONS)
@pytest.mark.parametrize("index_embedding", header.INDEX_EMBEDDINGS)
def test_tensor_table(condition: str, index_embedding: str) -> None:
    network = replace(DENOISING.network, hidden_size=8, depth=2, patch_size=2, index_tokens=3)
    network = replace(network, condition=condition, index_embedding=index_embedding)
    sizes = {"H": 8, "4H": 32, "6H": 48, "KH": 24, "P": 4, "M": 5, "2": 2}
    listed = [
        (name.strip("`"), tuple(sizes[side] for side in shape.split(", ")))
        for name, shape, wanted in rows("### Tensors of the denoiser")
        if wanted == "any" or {condition, index_embedding} & set(re.findall(r"`(\w+)`", wanted))
    ]
    once = [row for row in listed if ".b." not in row[0]]
    blocks = [(name.replace(".b.", f".{b}."), shape) for b in range(2) for name, shape in listed if ".b." in name]
    assert once + blocks == list(weight_section.tensor_shapes(network, HEADER.autoencoder.latent_channels, 5).items())


def test_streams() -> None:
    for name, number, _ in rows("## The generator"):
        assert getattr(generator, name.strip("`")) == int(number) << 32


def test_preamble() -> None:
    signature, version, reserved = (row[2] for row in rows("### Preamble"))
    assert bytes.fromhex(signature) + struct.pack("<HH", int(version), int(reserved)) == opening.PREAMBLE
