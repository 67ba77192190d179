"""Reports as text."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unicorn_codec.pictures.picture_files import LeftOut, OtherFile, printable

from .text import Row, count, duration, exact_bytes, indented, labelled, rate, short_bytes, table

if TYPE_CHECKING:  # at run time these would load torch or Pillow
    from unicorn_codec.measurement import Measured, PictureDistortion
    from unicorn_codec.network.planning import NetworkPlan
    from unicorn_codec.packing.reports import FunctionsReport, Learned, ModelChoice, PackReport
    from unicorn_codec.pictures.images import Folder, Note, Picture
    from unicorn_codec.verification import BelowStored

MAX_NAMES_SHOWN = 20


def found_text(folder: "Folder", plan: "NetworkPlan | None") -> str:
    """Describe the input before coding starts: pictures, files left out, the planned network."""
    pictures = folder.all_pictures
    pixels = sum(picture.width * picture.height for picture in pictures)
    rows: list[Row] = [
        ("pictures", f"{count(len(pictures), 'picture')}, {count(pixels, 'pixel')}, {_size_range(pictures)}"),
        *([("transparency", f"kept of {count(folder.transparent, 'picture')}")] if folder.transparent else []),
        *([("exact", f"{count(len(folder.exact), 'picture')}, stored byte for byte")] if folder.exact else []),
        *([("kept", f"{count(len(folder.others), 'other file')}, byte for byte")] if folder.others else []),
        *_changed_rows(folder.flattened, folder.scaled, folder.left_out),
    ]
    if plan is not None:
        rows += _plan_rows(plan)
    return labelled(rows)


def _plan_rows(plan: "NetworkPlan") -> list[Row]:
    network, per_value = plan.network, plan.parameters / plan.latent_values
    return [
        (
            "network",
            f"{count(plan.parameters, 'parameter')} ({per_value:.2f} per latent value): "
            f"{count(network.depth, 'block')}, hidden size {network.hidden_size}",
        ),
        ("file", f"about {short_bytes(plan.file_bytes)}, {rate(8 * plan.file_bytes / plan.pixels)} bits per pixel"),
        ("memory", f"about {short_bytes(plan.memory_bytes)}"),
    ]


def _size_range(pictures: "Sequence[Picture]") -> str:
    sizes = sorted({(p.width * p.height, p.width, p.height) for p in pictures})
    (_, *smallest), (_, *largest) = sizes[0], sizes[-1]
    if len(sizes) == 1:
        return f"all {smallest[0]}x{smallest[1]}" if len(pictures) > 1 else f"{smallest[0]}x{smallest[1]}"
    return f"{smallest[0]}x{smallest[1]} to {largest[0]}x{largest[1]}"


def _changed_rows(flattened: int, scaled: int, left_out: Sequence[LeftOut]) -> list[Row]:
    """Warn of pictures that are changed or left out."""
    rows = []
    if flattened:
        rows.append(("warning", f"transparency of {count(flattened, 'picture')} was flattened onto the background"))
    if scaled:
        rows.append(("warning", f"{count(scaled, 'picture')} scaled down (Lanczos)"))
    pictures = sum(file.is_picture for file in left_out)
    if pictures:
        rows.append(("warning", f"{count(pictures, 'picture')} left out, listed below"))
    if len(left_out) > pictures:
        rows.append(("left out", f"{count(len(left_out) - pictures, 'other file')}, listed below"))
    return rows


def pack_text(output: Path, report: "PackReport") -> str:
    """Describe the written file: its size, rate and distortion."""
    done = labelled([
        ("written", f"{output}: {exact_bytes(report.file_bytes)}"),
        ("pictures", f"{count(report.pictures, 'picture')}, {count(report.pixels, 'pixel')}"),
        ("took", duration(report.seconds)),
        ("rate", f"{rate(report.bits_per_pixel)} bits per pixel"),
        *_autoencoder_row(report.bits_per_pixel, report.bits_per_pixel_with_autoencoder),
        ("index", f"{count(report.index_bits, 'bit')} a picture"),
        *_coded_rows(report),
        *_transparency_rows(report),
        *_changed_rows(report.flattened, report.scaled, report.left_out),
    ])  # fmt: skip
    parts = [done, *_sample_line(report), measured_text(report.measured)]
    if report.below_target:
        parts.append(
            "below the quality floor, which AVIF does not reach either\n" + indented(worst_text(report.below_target))
        )
    if report.notes:
        parts.append("notes\n" + indented(notes_text(report.notes)))
    if report.kept:
        parts.append("kept byte for byte\n" + indented(kept_text(report.kept)))
    if report.left_out:
        parts.append("left out\n" + indented(left_out_text(report.left_out)))
    return "\n\n".join(parts)


def _sample_line(report: "PackReport") -> list[str]:
    """Say which pictures were measured, unless all were."""
    some = report.measured.pictures
    if some in (0, report.pictures):
        return []
    return [f"measured: the {some:,} of {report.pictures:,} pictures with the lowest indices, drawn by the seed"]


def _autoencoder_row(plain: float, with_weights: float) -> list[Row]:
    """Format the rate with the autoencoder's weights; no row for a file that needs none."""
    if plain == with_weights:
        return []
    return [("", f"{rate(with_weights)} bits per pixel with the autoencoder's weights")]


def _coded_rows(report: "PackReport") -> list[Row]:
    """Describe the codes, or the network and its ceiling."""
    network = report.network
    if report.functions is not None:
        return _function_rows(report.functions)
    if network is None:
        wanted = report.wanted_bytes
        missed = wanted is not None and report.file_bytes < 0.95 * wanted
        less = f": the finest, below the target of {short_bytes(round(wanted or 0))}" if missed else ""
        others = (
            ", of other pictures "
            + " to ".join(f"{step:.3g}" for step in dict.fromkeys((min(report.other_steps), max(report.other_steps))))
            if report.other_steps
            else ""
        )
        step = f"quantisation step {report.latent_step:.3g}{others}{less}"
        refined = [("", f"refined in {count(report.rounds, 'round')}")] if report.rounds else []
        codes: list[Row] = [("codes", step), *refined] if report.exact_pictures < report.pictures else []
        decided = [*_model_rows(report.model_choice), *_learned_rows(report.learned)]
        return [*codes, *decided, *_avif_rows(report), *_whole_rows(report)]
    return [
        ("network", f"{count(network.parameters, 'parameter')}, {count(network.steps, 'sampling step')}"),
        ("ceiling", f"{network.ceiling_psnr_db:.2f} dB PSNR: the autoencoder alone"),
        (
            "other noise",
            f"{network.other_noise_psnr_db:.2f} dB PSNR; the same pictures from "
            f"the stored seed's noise {network.stored_noise_psnr_db:.2f} dB",
        ),
    ]


def _function_rows(functions: "FunctionsReport") -> list[Row]:
    """Describe overfitted functions: their training, and what of it was skipped."""
    steps, full = functions.main_steps, functions.full_main_steps
    candidates = f"{count(functions.candidates, 'candidate')} of {functions.candidate_steps:,} steps"
    skipped = f"best of {functions.full_candidates} of {functions.full_candidate_steps:,}, then {full:,}"
    rows: list[Row] = [
        (
            "functions",
            f"{count(functions.parameters, 'parameter')} a picture, "
            f"{functions.multiplications_per_pixel:.1f} multiplications per pixel",
        ),
        ("", f"best of {candidates}, then {steps:,} steps" + (f" (full effort: {skipped})" if steps < full else "")),
    ]
    if functions.common_bytes:
        rows.append(("", f"started from a common function of {short_bytes(functions.common_bytes)}"))
    return [*rows, ("ceiling", f"{functions.ceiling_psnr_db:.2f} dB PSNR: the autoencoder alone")]


def learned_text(learned: "Learned") -> str:
    """Say in a line what learning decided, and why."""
    codes = f"codes of about {short_bytes(learned.code_bytes)}"
    if not learned.tried:
        return f"nothing: {codes} are too few to pay for an update"
    spent = f"{count(learned.steps, 'step')} in {duration(learned.seconds)}"
    if not learned.kept:
        return f"nothing that pays for its bytes, after {spent}: the networks know such pictures"
    return (
        f"an update of {short_bytes(learned.bytes)}, {spent}; at equal quality it saves about "
        f"{short_bytes(learned.saved_bytes)} of {codes}, its own bytes taken off"
    )


def _model_rows(choice: "ModelChoice | None") -> list[Row]:
    """Say which model packing chose, and why."""
    if choice is None:
        return []
    if not choice.excess:
        return [("model", f"{choice.name}, which the codes in the files are of")]
    others = " and ".join(f"{100 * part:.1f} % more with {name}" for name, part in choice.excess.items())
    return [("model", f"{choice.name}; at equal quality, codes of a sample take {others}")]


def _learned_rows(learned: "Learned | None") -> list[Row]:
    return [] if learned is None else [("learned", learned_text(learned))]


def _transparency_rows(report: "PackReport") -> list[Row]:
    if not report.transparent:
        return []
    return [("transparency", f"kept of {count(report.transparent, 'picture')}, {exact_bytes(report.alpha_bytes)}")]


def _whole_rows(report: "PackReport") -> list[Row]:
    """Describe the pictures and other files that are stored byte for byte."""
    rows = []
    if report.exact_pictures:
        rows.append(("exact", f"{count(report.exact_pictures, 'picture')}, {exact_bytes(report.exact_bytes)}"))
    if report.kept_files:
        rows.append(("kept", f"{count(report.kept_files, 'other file')}, {exact_bytes(report.kept_bytes)}"))
    return rows


def _avif_rows(report: "PackReport") -> list[Row]:
    """Describe the pictures stored as AV1 or taken over, and missed targets."""
    rows = []
    if report.sequence_pictures:
        stored = f"{count(report.sequence_pictures, 'near-duplicate')} in sequences (AV1)"
        rows.append(("", f"{stored}, {exact_bytes(report.sequence_bytes)}"))
    if report.taken_over:
        rows.append(("", f"{count(report.taken_over, 'picture')} with the code that the file carries, taken over"))
    if report.avif_pictures:
        stored = f"{count(report.avif_pictures, 'picture')} stored as AVIF"
        rows.append(("", f"{stored}, {exact_bytes(report.avif_bytes)}"))
        if report.wanted_bytes is not None and report.file_bytes > 1.03 * report.wanted_bytes:
            rows.append(("warning", f"larger than the target of {short_bytes(report.wanted_bytes)}: {stored}"))
    if report.below_target:
        missing = count(len(report.below_target), "picture")
        rows.append(("warning", f"{missing} below the quality floor, listed below: AVIF does not reach it either"))
    return rows


def left_out_text(left_out: Sequence[LeftOut]) -> str:
    """List all files that are not in the archive with the reason, one per line, pictures first."""
    return "\n".join(f"{file.name}: {file.reason}" for file in sorted(left_out, key=lambda file: not file.is_picture))


def kept_text(kept: "Sequence[OtherFile]") -> str:
    """List files that are stored byte for byte without being read as pictures, with the reason."""
    return shortened([f"{file.name}: {file.reason}" for file in kept])


def notes_text(notes: "Sequence[Note]") -> str:
    """List notes on pictures, one per line."""
    return "\n".join(f"{note.name}: {note.text}" for note in notes)


def shortened(lines: Sequence[str]) -> str:
    """Join the first ``MAX_NAMES_SHOWN`` lines, and count the rest."""
    more = [f"and {len(lines) - MAX_NAMES_SHOWN:,} more"] if len(lines) > MAX_NAMES_SHOWN else []
    return "\n".join([*lines[:MAX_NAMES_SHOWN], *more])


def measured_text(measured: "Measured") -> str:
    """Summarize the distortion, and list the worst pictures."""
    if not measured.rows:
        return "not measured"
    rows = [
        ("PSNR, dB", *(f"{value:.2f}" for value in _summary(measured.psnr_db))),
        ("MS-SSIM", *(f"{value:.4f}" for value in _summary(measured.ms_ssim))),
    ]
    summary = table(("", "mean", "5th percentile", "min"), rows, left=(0,))
    return f"{summary}\n\nworst\n{indented(worst_text(measured.worst))}"


def _summary(distortion: Any) -> tuple[float, float, float]:
    return distortion.mean, distortion.p05, distortion.min


def worst_text(pictures: "Sequence[PictureDistortion]") -> str:
    """List pictures with their distortion."""
    rows = [(str(w.index), f"{w.psnr_db:.2f}", f"{w.ms_ssim:.4f}", printable(w.name)) for w in pictures]
    return table(("index", "PSNR, dB", "MS-SSIM", "name"), rows, left=(3,))


def below_stored_text(picture: "BelowStored") -> str:
    """Describe a picture that has another PSNR than when it was packed."""
    stored = "as packed" if math.isinf(picture.stored_db) else f"{picture.stored_db:.1f} dB"
    return (
        f"{printable(picture.name)}: {picture.psnr_db:.2f} dB PSNR, {stored} when packed: "
        "the original has changed, or the picture is damaged"
    )


def below_text(picture: "PictureDistortion") -> str:
    """Describe a picture below the quality floor."""
    return (
        f"{printable(picture.name)}: below the quality floor, "
        f"{picture.psnr_db:.2f} dB PSNR, MS-SSIM {picture.ms_ssim:.4f}"
    )


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
    return [
        ("rate", f"{rate(values['bits_per_pixel'])} bits per pixel"),
        *_autoencoder_row(values["bits_per_pixel"], values["bits_per_pixel_with_autoencoder"]),
    ]


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
