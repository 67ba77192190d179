"""Packs the archives of a question and measures the written files."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.experiments.pictures import write_pictures
from benchmarks.experiments.questions import TRAININGS, Question, Size, Work
from benchmarks.experiments.results import Row
from unicorn_codec.archive import Archive
from unicorn_codec.config import PackOptions
from unicorn_codec.decoders.network_decoder import NetworkDecoder
from unicorn_codec.devices import choose_device
from unicorn_codec.format.header import AutoencoderReference, NetworkConfig
from unicorn_codec.format.index_map import index_of_position
from unicorn_codec.measurement import measure
from unicorn_codec.network.planning import shape_network
from unicorn_codec.network_options import NetworkOptions, TrainConfig
from unicorn_codec.packing.archive_writing import read_packed, write_packed
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.packed import PackedPictures
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.pictures.batches import PICTURES_PER_BATCH
from unicorn_codec.pictures.picture_folder import Folder, list_folder, read_picture
from unicorn_codec.transform.autoencoder import LEADING_CHANNELS, load_autoencoder
from unicorn_codec.weights.minifloat import fit_format
from unicorn_codec.weights.weight_section import count_parameters, parse_weights, serialize_weights

CLOSE_ENOUGH = 0.02
"""Networks whose bytes differ by less than this count as equal. Among them the standard depth is preferred."""

FLAT_DB = 0.1
"""A training is long enough when one of half its length reaches a PSNR that is lower by less than this."""

LATENT_PEAK_STDS = 6.0
"""Range of latents of standard deviation 1/3, taken as [-1, 1]: the peak of their PSNR is six deviations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Settings that all runs share.

    Args:
        sources: pictures, at least as many as any question needs.
        epochs, most_epochs: of the first training and, at most, of the last one.
        autoencoder: whose latents are learned.
    """

    size: Size
    sources: tuple[Path, ...]
    epochs: int
    most_epochs: int
    autoencoder: str
    device: str


def network_of(work: Work, size: Size, reference: AutoencoderReference) -> NetworkConfig:
    """Return the network whose weights take about the given bytes, for any condition and embedding."""
    channels, cell = reference.latent_channels, reference.downsampling
    usual = count_parameters(shape_network(size.hidden_size, size.depth, cell), channels, work.pictures)
    target = usual * work.relative_size * work.pictures / size.pictures

    def error(network: NetworkConfig) -> float:
        return abs(count_parameters(network, channels, work.pictures) / target - 1)

    shapes = [
        shape_network(width, depth, cell, condition=work.condition, index_embedding=work.index_embedding)
        for depth in range(max(1, size.depth - 1), size.depth + 2)
        for width in range(8, 4 * size.hidden_size, 4)
    ]
    close = [network for network in shapes if error(network) <= CLOSE_ENOUGH]
    return min(close or shapes, key=lambda n: (abs(n.depth - size.depth), error(n)) if close else (0, error(n)))


def run_work(bench: Bench, question: Question, work: Work, seed: int) -> Iterator[tuple[str | None, Row]]:
    """Train one archive until it gains no more, and return its row, or one for each variant that the question makes.

    Trainings of rising length start anew, since the learning rates follow from the length.
    """
    reference = load_autoencoder(bench.autoencoder, choose_device("cpu"), LEADING_CHANNELS).reference
    network = network_of(work, bench.size, reference)
    fixed = {"hidden_size": network.hidden_size, "depth": network.depth, "torch": torch.__version__}
    with TemporaryDirectory() as made:
        folder, output = Path(made) / "pictures", Path(made) / "out.uni"
        write_pictures(bench.sources[: work.pictures], folder, side=bench.size.side, seed=seed, similar=work.similar)
        epochs, before, gain_db = bench.epochs, None, None
        while True:
            options = options_of(bench, work, network, seed, epochs)
            report = pack(folder, output, options)
            listed = list_folder(folder, options.read)
            row = measure_archive(output, listed, report, options)
            gain_db = None if before is None else row["psnr_db"] - before
            if (gain_db is not None and gain_db < FLAT_DB) or 2 * epochs > bench.most_epochs:
                break
            epochs, before = 2 * epochs, row["psnr_db"]
        fixed |= {"epochs": epochs, "last_gain_db": gain_db, "flat": gain_db is not None and gain_db < FLAT_DB}
        for variant, container in variants_of(question, read_packed(output)):
            if container is not None:
                write_packed(output, container, overwrite=True)
                row = measure_archive(output, listed, report, options)
            yield variant, fixed | row


def options_of(bench: Bench, work: Work, network: NetworkConfig, seed: int, epochs: int) -> NetworkOptions:
    """Return the options to pack with."""
    return NetworkOptions(
        hidden_size=network.hidden_size,
        depth=network.depth,
        train=TrainConfig(epochs=epochs, **TRAININGS[work.training]),
        condition=work.condition,
        index_embedding=work.index_embedding,
        prediction=work.prediction,
        latent_std=work.latent_std,
        weight_bits=work.weight_bits,
        sampling_steps=work.steps,
        autoencoder=bench.autoencoder,
        overwrite=True,
        seed=seed,
        device=bench.device,
    )


def variants_of(question: Question, trained: PackedPictures) -> Iterator[tuple[str | None, PackedPictures | None]]:
    """Yield variants of a trained archive: itself (None), or the same weights stored or sampled in other ways."""
    denoising = trained.header.denoising
    assert denoising is not None and trained.weights is not None
    if question.weight_bits:
        values = parse_weights(trained.weights)[1]
        for bits in question.weight_bits:
            chosen = fit_format(values, *NetworkOptions(weight_bits=bits).float_bits)
            yield f"{bits} bits", replace(trained, weights=serialize_weights(values, chosen))
    elif question.steps:
        for steps in question.steps:
            header = replace(trained.header, denoising=replace(denoising, steps=steps))
            yield f"{steps} steps", replace(trained, header=header)
    else:
        yield None, None


def measure_archive(output: Path, pictures: Folder, report: PackReport, options: PackOptions) -> Row:
    """Measure bytes and distortion of a file, in pixels and in latents."""
    assert report.network is not None
    with Archive.open(output, device=options.device) as archive:
        decoder = archive.decoder(0)
        assert isinstance(decoder, NetworkDecoder)
        latent_psnr_db, sampling_s = measure_latents(archive, decoder, pictures, options)
        pixels = measure(archive, pictures, options.read)
        return {
            "parameters": report.network.parameters,
            "file_bytes": output.stat().st_size,
            "bits_per_pixel": 8 * output.stat().st_size / pictures.pixels,
            "psnr_db": pixels.psnr_db.mean,
            "ms_ssim": pixels.ms_ssim.mean,
            "latent_psnr_db": latent_psnr_db,
            "ceiling_db": report.network.ceiling_psnr_db,
            "other_noise_db": report.network.other_noise_psnr_db - report.network.stored_noise_psnr_db,
            "steps": decoder.denoising.steps,
            "sampling_ms": 1000 * sampling_s / len(archive),
        }


def measure_latents(
    archive: Archive, decoder: NetworkDecoder, pictures: Folder, options: PackOptions
) -> tuple[float, float]:
    """Return the PSNR of the latents in dB, and the seconds that sampling all of them takes."""
    denoising = decoder.denoising
    stds = torch.tensor(denoising.stds).view(-1, 1, 1)
    means = torch.tensor(denoising.means).view(-1, 1, 1)
    squares, seconds = [], 0.0
    by_position = index_of_position(decoder.header.seed, len(archive)).tolist()
    multiple = decoder.header.autoencoder.downsampling * denoising.network.patch_size
    for start in range(0, len(archive), PICTURES_PER_BATCH):
        chosen = pictures.pictures[start : start + PICTURES_PER_BATCH]
        originals = [read_picture(pictures, picture, options.read) for picture in chosen]
        target = (decoder.autoencoder.encode_pictures(originals, multiple) - means) / stds
        indices = by_position[start : start + PICTURES_PER_BATCH]
        started = time.monotonic()
        found = decoder.sample(indices, chosen[0].width, chosen[0].height).cpu() / denoising.latent_std
        seconds += time.monotonic() - started
        squares.append((found - target).square().mean(dim=(1, 2, 3)))
    error = torch.cat(squares).mean()
    return float(10 * torch.log10(LATENT_PEAK_STDS**2 / error)), seconds
