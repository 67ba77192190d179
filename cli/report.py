"""What ``pack`` finds and what it has written, as text."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unicorn_codec.pictures.picture_files import LeftOut, OtherFile

from .distortion_text import measured_text, worst_text
from .text import Row, count, duration, exact_bytes, indented, labelled, rate, rate_rows, short_bytes, shortened

if TYPE_CHECKING:  # at run time these would load torch or Pillow
    from unicorn_codec.network.planning import NetworkPlan
    from unicorn_codec.packing.reports import FunctionsReport, Learned, ModelChoice, PackReport
    from unicorn_codec.pictures.picture_folder import Folder, Note
    from unicorn_codec.pictures.picture_table import Picture


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
        *rate_rows(report.bits_per_pixel, report.bits_per_pixel_with_autoencoder),
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
