"""Write the JSON Schema of what each command prints with ``--json`` into ``schemas/``.

Reports of the library are described by their dataclasses: types by the annotations, meanings by the docstrings.
"""

import dataclasses
import json
import re
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unicorn_codec.differences import Differences
from unicorn_codec.format.repair import RepairReport
from unicorn_codec.inspection import ArchivePart
from unicorn_codec.measurement import PictureDistortion
from unicorn_codec.packing.add import AddReport
from unicorn_codec.packing.reports import NetworkReport, PackReport
from unicorn_codec.pictures.metrics import Distortion

FOLDER = Path(__file__).with_name("schemas")
DIALECT = "https://json-schema.org/draft/2020-12/schema"

PLAIN: dict[Any, Any] = {
    int: {"type": "integer"},
    float: {"type": ["number", "null"]},  # null where a value is not finite
    str: {"type": "string"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    Any: {},
}

Fields = dict[str, Any]
"""Types of an object's values, by key; a type with a description is a pair."""

MEASURED: Fields = {
    "psnr_db": (Distortion | None, "PSNR of the decoded pictures in dB; null if none was measured"),
    "ms_ssim": (Distortion | None, "MS-SSIM of the decoded pictures; null if none was measured"),
    "worst": (Sequence[PictureDistortion], "the pictures with the lowest PSNR, the worst first"),
}
MODEL: Fields = {
    "name": str, "class": str, "fingerprint": str, "bytes": int, "latent_channels": int, "downsampling": int,
}  # fmt: skip
DECODER: Fields = {
    "model": str, "kind": (str, "codes, network or functions"), "latent_step": float, "level": int | None,
    "weight_bytes": int,
}  # fmt: skip
NETWORK: Fields = {
    "parameters": int, "hidden_size": int | None, "depth": int | None, "heads": int | None, "patch_size": int | None,
    "condition": str | None, "index_embedding": str | None, "index_tokens": int | None, "bandwidth": float,
}  # fmt: skip
WEIGHTS: Fields = {
    "format": (str | None, "float, integer, or null without a network"), "bits_per_weight": float,
    "exponent_bits": int | None, "mantissa_bits": int | None, "bias": int | None, "bytes": int,
}  # fmt: skip
CODES: Fields = {"level": int | None, "latent_step": float, "bytes": int, "bits_per_pixel": float}
ENTRY: Fields = {
    "index": int,
    "name": str | None,
    "width": int,
    "height": int,
    "codec": str,
    "record_bytes": int,
    "psnr_db": (float, "as packed; null if it is not stored, or infinite"),
    "date": (str | None, "ISO 8601; null if it is not known"),
    "alpha_bytes": (int | None, "bytes of the picture's opacity; 0 for an opaque one"),
}
WHOLE_FILE: Fields = {"stored_as": (str, "how the file is stored byte for byte"), "piece_bytes": int}

VALUES: dict[str, tuple[str, Fields]] = {
    "unpack": (
        "What was written, and what could not be.",
        {
            "written": ([{"index": int, "path": str}], "pictures and other files"),
            "lost": (Sequence[str], "damaged pictures, one line each"),
            "not_kept": (Mapping[str, int], "metadata and transparency that the format cannot hold: pictures of each"),
        },
    ),
    "verify": (
        "Whether the archive is intact; also printed for a damaged file.",
        {
            "ok": bool,
            "pictures": (int | None, "null for a damaged file"),
            **MEASURED,
            "problems": (Sequence[str], "one line each"),
        },
    ),
    "inspect": (
        "A file. Values of a network are null for an archive of codes.",
        {
            "format_version": int,
            "generation": (int, "1, and one more for each addition and removal"),
            "pictures": int,
            "files": (int, "files that are no pictures"),
            "removed": int,
            "index_bits": int,
            "file_bytes": int,
            "pixels": int,
            "bits_per_pixel": float,
            "bits_per_pixel_with_autoencoder": (float, "with the models that the file does not hold"),
            "seed": int,
            "steps": int,
            "latent_std": float,
            "prediction": str | None,
            "latent_step": float,
            "autoencoder": MODEL,
            "self_contained": bool,
            "decoders": [DECODER],
            "network": NETWORK,
            "weights": WEIGHTS,
            "codes": CODES,
            "parts": Sequence[ArchivePart],
            "entries?": ([ENTRY], "every picture; with --entries"),
        },
    ),
    "inspect-index": (
        "One picture: inspect --index.",
        {
            **ENTRY,
            "decoder": int,
            "offset": (int, "of its record in the file"),
            "depends_on": (Sequence[int], "pictures of its sequence that are read with it"),
            "modified": str | None,
            "file_bytes": (int | None, "of the original file"),
            "sha256": (str | None, "of the original file"),
            "exif": Mapping[str, Any],
            "xmp": str | None,
            "iptc_bytes": int,
            "texts": ([Sequence[str]], "pairs of keyword and text"),
            **{f"{key}?": kind for key, kind in WHOLE_FILE.items()},
        },
    ),
    "contact": (
        "The files of a contact sheet.",
        {
            "written": (Sequence[str], "one file, or one a page"),
            "pictures": (int, "that were drawn"),
            "lost": (Sequence[int], "indices of damaged pictures, whose places say so"),
        },
    ),
    "view": ("Where the gallery is shown; printed once it answers.", {"address": str}),
    "view-export": (
        "A page that holds pictures: view --export.",
        {
            "page": str,
            "pictures": (int, "that the page shows"),
            "file_bytes": (int, "of the page"),
            "lost": (Sequence[int], "indices of damaged pictures, whose places say so"),
        },
    ),
    "remove": ("The removed indices.", {"removed": Sequence[int], "pictures": (int, "that are left")}),
    "compact": ("The file's size.", {"file_bytes": int, "file_bytes_before": int}),
    "join": ("The new archive.", {"members": int, "file_bytes": int}),
    "demo": ("The pictures that were drawn.", {"side": int, "seed": int, "paths": Sequence[str]}),
    "bench": (
        "Where the results are; bench.json in that folder holds them.",
        {"verdict": str, "points": int, "skipped": Sequence[str], "results": str},
    ),
}


def schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of each command, by its name."""
    found = {name: object_of(fields) | {"description": text} for name, (text, fields) in VALUES.items()}
    network = {key: (value | {"type": [value["type"], "null"]} if isinstance(value["type"], str) else value)
               for key, value in of_type(NetworkReport)["properties"].items()}  # fmt: skip
    found["pack"] = _report(
        PackReport,
        object_of(MEASURED | {"measured_pictures": int})["properties"] | network,
        without=("measured", "network"),
    )
    found["add"] = _report(AddReport, object_of(MEASURED)["properties"], without=("measured",))
    found["repair"] = _report(RepairReport, {})
    found["diff"] = _report(Differences, {"identical": PLAIN[bool]})
    heads = {name: {"$schema": DIALECT, "title": f"unicorn {name.split('-')[0]} --json"} for name in found}
    return {name: heads[name] | found[name] for name in sorted(found)}


def _report(kind: Any, more: dict[str, Any], without: Sequence[str] = ()) -> dict[str, Any]:
    """Describe a report whose fields ``without`` are replaced by ``more`` values."""
    schema = of_type(kind)
    properties = {key: value for key, value in schema["properties"].items() if key not in without} | more
    return schema | {"properties": properties, "required": list(properties)}


def of_type(kind: Any) -> dict[str, Any]:
    """Return the schema of values of a type."""
    if kind in PLAIN:
        return dict(PLAIN[kind])
    if dataclasses.is_dataclass(kind):
        return _of_dataclass(kind)
    if isinstance(kind, type) and issubclass(kind, Sequence):  # a table of its own for rows of one kind
        kind = vars(kind)["__orig_bases__"][0]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _union([of_type(one) for one in arguments])
    if origin is tuple and arguments[-1] is not ...:
        items = [of_type(one) for one in arguments]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
    if origin in (tuple, Sequence):
        return {"type": "array", "items": of_type(arguments[0])}
    assert origin is Mapping, f"{kind} has no schema"
    return {"type": "object", "additionalProperties": of_type(arguments[1])}


def _union(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """Join types: as a list of their names where they are plain."""
    if all(schema.keys() == {"type"} for schema in schemas):
        names = [[schema["type"]] if isinstance(schema["type"], str) else schema["type"] for schema in schemas]
        return {"type": list(dict.fromkeys(name for some in names for name in some))}
    return {"anyOf": schemas}


def _of_dataclass(kind: Any) -> dict[str, Any]:
    hints, meanings = typing.get_type_hints(kind), meanings_of(kind.__doc__ or "")
    return object_of({
        field.name: (hints[field.name], meanings[field.name]) if field.name in meanings else hints[field.name]
        for field in dataclasses.fields(kind)
    }) | {"description": (kind.__doc__ or "").split("\n\n")[0].replace("``", "")}  # fmt: skip


def meanings_of(docstring: str) -> dict[str, str]:
    """Return the descriptions in the section ``Args`` of a docstring, by name."""
    _, _, section = docstring.partition("Args:\n")
    meanings: dict[str, str] = {}
    for entry in re.split(r"\n {8}(?=\S)", "\n" + section.rstrip()):
        names, colon, text = entry.partition(": ")
        meanings |= {name.strip(): " ".join(text.split()).replace("``", "") for name in names.split(",") if colon}
    return meanings


def object_of(fields: Fields) -> dict[str, Any]:
    """Return the schema of an object with exactly these keys; one that ends in ``?`` may be missing."""
    return {
        "type": "object",
        "properties": {key.removesuffix("?"): _of_field(kind) for key, kind in fields.items()},
        "required": [key for key in fields if not key.endswith("?")],
        "additionalProperties": False,
    }


def _of_field(kind: Any) -> dict[str, Any]:
    if isinstance(kind, tuple):
        kind, meaning = kind
        return _of_field(kind) | {"description": meaning}
    if isinstance(kind, dict):
        return object_of(kind)
    if isinstance(kind, list):
        return {"type": "array", "items": _of_field(kind[0])}
    return of_type(kind)


def text_of(schema: dict[str, Any]) -> str:
    """Format a schema as its file holds it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, schema in schemas().items():
        (FOLDER / f"{name}.json").write_text(text_of(schema), encoding="utf-8")
