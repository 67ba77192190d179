"""What ``inspect`` prints of an archive, and of one of its pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unicorn_codec.pictures.picture_files import printable

from .text import Row, count, exact_bytes, indented, labelled, rate, rate_rows, table


def inspect_text(path: Path | str, values: dict[str, Any]) -> str:
    """Format the result of ``inspection.describe``."""
    autoencoder = values["autoencoder"]
    facts = labelled([
        ("file", f"{path}, format version {values['format_version']}, generation {values['generation']}"),
        ("size", exact_bytes(values["file_bytes"])),
        ("pictures", f"{count(values['pictures'], 'picture')}, {count(values['pixels'], 'pixel')}"),
        *([("", f"{count(values['files'], 'other file')}")] if values["files"] else []),
        *([("", f"{count(values['removed'], 'index', 'indices')} removed")] if values["removed"] else []),
        *_rate_rows(values),
        ("index", f"{count(values['index_bits'], 'bit')} a picture, seed {values['seed']}"),
        *_network_rows(values),
        *_code_rows(values["codes"]),
        ("autoencoder", f"{autoencoder['name']}, {exact_bytes(autoencoder['bytes'])}"),
        ("", f"fingerprint {autoencoder['fingerprint']}"),
        *([("", "in this file, with the specification")] if values["self_contained"] else []),
        *_decoder_rows(values["decoders"]),
    ])  # fmt: skip
    rows = [
        (p["part"], "" if p["pictures"] is None else f"{p['pictures']:,}", f"{p['bytes']:,}") for p in values["parts"]
    ]
    parts = [facts, table(("part", "pictures", "bytes"), rows, left=(0,))]
    if values.get("entries"):
        parts.append(_entries_text(values["entries"]))
    return "\n\n".join(parts)


def _decoder_rows(decoders: Sequence[Mapping[str, Any]]) -> list[Row]:
    """List the decoders of an archive that has several, such as a joined one."""
    if len(decoders) < 2:
        return []
    texts = [
        f"{decoder['kind']} by {decoder['model']}, step {decoder['latent_step']:.4g}"
        + (f", weights of {exact_bytes(decoder['weight_bytes'])}" if decoder["weight_bytes"] else "")
        for decoder in decoders
    ]
    return [("decoders" if number == 0 else "", text) for number, text in enumerate(texts)]


def _rate_rows(values: dict[str, Any]) -> list[Row]:
    """Return no rows for an archive without pictures."""
    if values["bits_per_pixel"] is None:
        return []
    return rate_rows(values["bits_per_pixel"], values["bits_per_pixel_with_autoencoder"])


def _network_rows(values: dict[str, Any]) -> list[Row]:
    """Describe the network; no rows for a file without one."""
    network, weights = values["network"], values["weights"]
    if not network["parameters"]:
        return []
    return [
        ("decoding", f"{count(values['steps'], 'sampling step')}"),
        (
            "network",
            f"{count(network['parameters'], 'parameter')}: {count(network['depth'], 'block')}, "
            f"hidden size {network['hidden_size']}",
        ),
        ("", f"condition {network['condition']}, index embedding {network['index_embedding']}"),
        ("weights", f"{_bits_each(weights)}, {exact_bytes(weights['bytes'])}"),
    ]


def _bits_each(weights: dict[str, Any]) -> str:
    bits = weights["bits_per_weight"]
    return f"integers of {bits:.2f} bits on average" if weights["format"] == "integer" else f"{bits} bits each"


def _code_rows(codes: dict[str, Any]) -> list[Row]:
    """Describe the codes; no rows for a file without any."""
    if not codes["bytes"] or codes["bits_per_pixel"] is None:
        return []
    return [
        ("codes", f"{exact_bytes(codes['bytes'])}, {rate(codes['bits_per_pixel'])} bits per pixel"),
        *([] if codes["level"] is None else [("", f"step {codes['latent_step']:.4g}, level {codes['level']}")]),
    ]


def _entries_text(entries: list[dict[str, Any]]) -> str:
    """List all pictures with what the file holds about each."""
    columns_of = {
        "record_bytes": "bytes",
        "alpha_bytes": "alpha",
        "codec": "codec",
        "psnr_db": "PSNR, dB",
        "date": "date",
    }
    if not any(entry["alpha_bytes"] for entry in entries):
        del columns_of["alpha_bytes"]
    keys = list(columns_of)
    rows = [
        (
            str(entry["index"]),
            "" if entry["codec"] == "file" else f"{entry['width']}x{entry['height']}",
            *(_cell(entry[key]) for key in keys),
            _name(entry["name"]),
        )
        for entry in entries
    ]
    columns = ("index", "size", *(columns_of[key] for key in keys), "name")
    return table(columns, rows, left=(len(columns) - 1,))


def picture_text(picture: dict[str, Any]) -> str:
    """Format the result of ``inspection.describe_picture``."""
    psnr = picture["psnr_db"]
    rows = [
        ("index", str(picture["index"])),
        ("name", _name(picture["name"])),
        *([] if picture["codec"] == "file" else [("size", f"{picture['width']}x{picture['height']}")]),
        ("stored as", f"{picture['codec']}, {exact_bytes(picture['record_bytes'])} at byte {picture['offset']:,}"),
        *([("way", _way(picture))] if "stored_as" in picture else []),
        *([("transparency", exact_bytes(picture["alpha_bytes"]))] if picture["alpha_bytes"] else []),
        *([("PSNR", f"{psnr:.1f} dB as packed")] if psnr is not None else []),
        *([("depends on", ", ".join(map(str, picture["depends_on"])))] if picture["depends_on"] else []),
        *_metadata_rows(picture),
    ]
    parts = [labelled(rows)]
    if picture["exif"]:
        parts.append("EXIF\n" + indented(labelled([(name, _shown(value)) for name, value in picture["exif"].items()])))
    if picture["texts"]:
        texts = labelled([(printable(name), printable(text)) for name, text in picture["texts"]])
        parts.append("PNG text\n" + indented(texts))
    if picture["xmp"]:
        parts.append("XMP\n" + indented("\n".join(map(printable, picture["xmp"].splitlines()))))
    return "\n\n".join(parts)


def _way(picture: dict[str, Any]) -> str:
    """Describe how a file is stored whole."""
    pieces = f", {exact_bytes(picture['piece_bytes'])}" if picture["piece_bytes"] else ""
    return picture["stored_as"] + pieces


def _metadata_rows(picture: dict[str, Any]) -> list[Row]:
    """Return rows for what is known of the original file alone."""
    rows = [("date", picture["date"]), ("modified", picture["modified"])]
    if picture["file_bytes"] is not None:
        rows.append(("original", exact_bytes(picture["file_bytes"])))
    if picture["sha256"] is not None:
        rows.append(("", f"SHA-256 {picture['sha256']}"))
    if picture["iptc_bytes"]:
        rows.append(("IPTC", exact_bytes(picture["iptc_bytes"])))
    return [row for row in rows if row[1]]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return f"{value:.6g}" if isinstance(value, float) else printable(str(value))


def _cell(value: float | str | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:.2f}"


def _name(name: str | None) -> str:
    return "" if name is None else printable(name)
