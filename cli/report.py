"""What the commands tell a person, as text."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unicorn_codec.picture_files import Unreadable, printable

from .text import Row, count, duration, exact_bytes, indented, labelled, rate, short_bytes, table

if TYPE_CHECKING:  # at run time these would load torch or Pillow
    from unicorn_codec.images import Folder, Picture
    from unicorn_codec.planning import Plan
    from unicorn_codec.reports import Measured, PackReport, Worst

MAX_NAMES_SHOWN = 20


def found_text(folder: "Folder", plan: "Plan") -> str:
    """Before any work: the pictures, the network they get, and what to expect."""
    pictures, network = folder.pictures, plan.network
    rows: list[Row] = [
        ("pictures", f"{count(len(pictures), 'picture')}, {count(plan.pixels, 'pixel')}, {_size_range(pictures)}"),
        *_changed_rows(folder.flattened, folder.scaled, folder.skipped),
    ]
    if folder.other_files:
        rows.append(("passed over", f"{count(folder.other_files, 'file')} of other kinds"))
    per_value = plan.parameters / plan.latent_values
    rows += [
        (
            "network",
            f"{count(plan.parameters, 'parameter')} ({per_value:.2f} a latent value): "
            f"{count(network.depth, 'block')}, hidden size {network.hidden_size}",
        ),
        ("file", f"about {short_bytes(plan.file_bytes)}, {rate(8 * plan.file_bytes / plan.pixels)} bits per pixel"),
        ("memory", f"about {short_bytes(plan.memory_bytes)}"),
    ]
    return labelled(rows)


def _size_range(pictures: "Sequence[Picture]") -> str:
    sizes = sorted({(p.width * p.height, p.width, p.height) for p in pictures})
    (_, *smallest), (_, *largest) = sizes[0], sizes[-1]
    if len(sizes) == 1:
        return f"all {smallest[0]}x{smallest[1]}" if len(pictures) > 1 else f"{smallest[0]}x{smallest[1]}"
    return f"{smallest[0]}x{smallest[1]} to {largest[0]}x{largest[1]}"


def _changed_rows(flattened: int, scaled: int, skipped: Sequence[Unreadable]) -> list[Row]:
    """What will not come back as it was."""
    rows = []
    if flattened:
        rows.append(("warning", f"transparency of {count(flattened, 'picture')} is flattened on the background"))
    if scaled:
        rows.append(("warning", f"{count(scaled, 'picture')} scaled down (Lanczos)"))
    if skipped:
        rows.append(("warning", f"{count(len(skipped), 'file')} left out: cannot be read"))
    return rows


def pack_text(output: Path, report: "PackReport") -> str:
    """After the work: what was written and how good it is, all measured on the file."""
    done = labelled([
        ("written", f"{output}: {exact_bytes(report.file_bytes)}"),
        ("pictures", f"{count(report.images, 'picture')}, {count(report.pixels, 'pixel')}"),
        ("took", duration(report.seconds)),
        ("rate", f"{rate(report.bits_per_pixel)} bits per pixel"),
        ("", f"{rate(report.bits_per_pixel_with_autoencoder)} bits per pixel with the autoencoder's weights"),
        ("index", f"{count(report.index_bits, 'bit')} a picture"),
        ("network", f"{count(report.parameters, 'parameter')}, {count(report.steps, 'sampling step')}"),
        ("ceiling", f"{report.ceiling_psnr_db:.2f} dB PSNR: the autoencoder alone"),
        (
            "other noise",
            f"{report.other_noise_psnr_db:.2f} dB PSNR; the same pictures from "
            f"the stored seed's noise {report.same_images_psnr_db:.2f} dB",
        ),
        *_changed_rows(report.flattened, report.scaled, report.skipped),
    ])  # fmt: skip
    parts = [done, measured_text(report.measured)]
    if report.skipped:
        parts.append("left out\n" + indented(skipped_text(report.skipped)))
    return "\n\n".join(parts)


def skipped_text(skipped: Sequence[Unreadable]) -> str:
    """One line a file, and how many more there are."""
    return shortened([f"{fault.name}: {fault.reason}" for fault in skipped])


def shortened(lines: Sequence[str]) -> str:
    """The first lines, and how many more there are."""
    more = [f"and {len(lines) - MAX_NAMES_SHOWN:,} more"] if len(lines) > MAX_NAMES_SHOWN else []
    return "\n".join([*lines[:MAX_NAMES_SHOWN], *more])


def measured_text(measured: "Measured") -> str:
    """Distortion of all pictures, then the worst ones."""
    rows = [
        ("PSNR, dB", *(f"{value:.2f}" for value in _summary(measured.psnr_db))),
        ("MS-SSIM", *(f"{value:.4f}" for value in _summary(measured.ms_ssim))),
    ]
    summary = table(("", "mean", "5th percentile", "min"), rows, left=(0,))
    return f"{summary}\n\nworst\n{indented(worst_text(measured.worst))}"


def _summary(distortion: Any) -> tuple[float, float, float]:
    return distortion.mean, distortion.p05, distortion.min


def worst_text(images: "Sequence[Worst]") -> str:
    """The images that came back least well."""
    rows = [(str(w.index), f"{w.psnr_db:.2f}", f"{w.ms_ssim:.4f}", printable(w.name)) for w in images]
    return table(("index", "PSNR, dB", "MS-SSIM", "name"), rows, left=(3,))


def inspect_text(path: Path, values: dict[str, Any]) -> str:
    """A table of what ``inspection.describe`` found."""
    autoencoder, network, weights = values["autoencoder"], values["network"], values["weights"]
    facts = labelled([
        ("file", f"{path}, format version {values['format_version']}"),
        ("size", exact_bytes(values["file_bytes"])),
        ("pictures", f"{count(values['images'], 'picture')}, {count(values['pixels'], 'pixel')}"),
        ("rate", f"{rate(values['bits_per_pixel'])} bits per pixel"),
        ("", f"{rate(values['bits_per_pixel_with_autoencoder'])} bits per pixel with the autoencoder's weights"),
        ("index", f"{count(values['index_bits'], 'bit')} a picture, seed {values['seed']}"),
        ("decoding", f"{count(values['steps'], 'sampling step')}"),
        ("network", f"{count(network['parameters'], 'parameter')}: {count(network['depth'], 'block')}, "
                    f"hidden size {network['hidden_size']}"),
        ("", f"condition {network['condition']}, index embedding {network['index_embedding']}"),
        ("weights", f"{weights['bits_per_weight']} bits each, {exact_bytes(weights['bytes'])}"),
        ("autoencoder", f"{autoencoder['name']}, {exact_bytes(autoencoder['bytes'])}"),
        ("", f"SHA-256 {autoencoder['sha256']}"),
    ])  # fmt: skip
    sections = [(s["type"], f"{s['offset']:,}", f"{s['bytes']:,}") for s in values["sections"]]
    parts = [facts, table(("section", "offset", "bytes"), sections, left=(0,))]
    if "entries" in values:
        entries = [(str(e["index"]), f"{e['width']}x{e['height']}", _name(e["name"])) for e in values["entries"]]
        parts.append(table(("index", "size", "name"), entries, left=(2,)))
    return "\n\n".join(parts)


def _name(name: str | None) -> str:
    return "" if name is None else printable(name)
