"""Pack a folder of pictures into one ``.uni`` file.

list_folder > pack_into_codes, or pack_into_network > serialize > measure > write_container > report
"""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from unicorn_codec.archive import Archive
from unicorn_codec.checkpoints import check_checkpoint, checkpoint_path
from unicorn_codec.config import CodesOptions, NetworkOptions, PackOptions
from unicorn_codec.decoders.network_decoder import NetworkDecoder
from unicorn_codec.devices import choose_device
from unicorn_codec.format.canary import Canary, block_sums
from unicorn_codec.format.code_table import is_avif, is_in_sequence
from unicorn_codec.format.container import Container, check_output, parse, read_container, serialize, write_container
from unicorn_codec.format.index_map import position_of_index
from unicorn_codec.format.picture_table import check_names, serialize_sizes
from unicorn_codec.format.quality_table import Hundredths, to_hundredths
from unicorn_codec.format.read_settings import ReadSettings
from unicorn_codec.inspection import needed_weight_bytes
from unicorn_codec.measurement import Measured, measure
from unicorn_codec.packing.into_codes import pack_into_codes
from unicorn_codec.packing.into_network import pack_into_network
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.preview import take_preview
from unicorn_codec.packing.reports import NetworkReport, PackReport
from unicorn_codec.pictures.images import list_folder
from unicorn_codec.pictures.metrics import bits_per_pixel, psnr_db
from unicorn_codec.transform.autoencoder import LEADING_CHANNELS, Autoencoder, PackagedAutoencoder, load_autoencoder
from unicorn_codec.weights.weight_section import count_parameters


def pack(
    folder: Path | str, output: Path | str, options: PackOptions | None = None, observer: Observer | None = None
) -> PackReport:
    """Pack all pictures below a folder into one file, which appears whole or not at all.

    Args:
        options: ``CodesOptions`` (the default) or ``NetworkOptions``.
        observer: receives the progress.

    Raises:
        UnicornError: see ``errors``; nothing was written then, except for a checkpoint next to the output.
    """
    output, options, observer = Path(output), options or CodesOptions(), observer or Observer()
    started = time.monotonic()
    check_output(output, overwrite=options.overwrite)
    check_checkpoint(output, options)
    autoencoder = load_packing_autoencoder(options)
    pictures = PictureSource(list_folder(folder, options.read, observer.of_stage("reading")), options.read)
    check_names(pictures.folder.names, len(pictures))  # before the work, not at its end
    serialize_sizes(pictures.folder.sizes, len(pictures))
    container, rounds = make_container(pictures, autoencoder, output, options, observer)
    seconds = time.monotonic() - started
    # Measured is what a reader will get: decoded from the very bytes of the file.
    archive = Archive.of(parse(serialize(container), strict=True), autoencoder)
    measured = measure(archive, pictures.folder, options.read, observer.of_stage("measuring"))
    container = replace(container, psnrs=psnrs_of(archive, measured), canary=canary_of(archive))
    write_container(output, container, overwrite=options.overwrite)
    checkpoint_path(output).unlink(missing_ok=True)
    written = Archive.of(read_container(output, strict=True), autoencoder)
    return report_on(written, output, pictures, options, measured, rounds=rounds, seconds=seconds)


def load_packing_autoencoder(options: PackOptions) -> Autoencoder:
    """Load the autoencoder of the options, on their device."""
    channels = LEADING_CHANNELS if isinstance(options, NetworkOptions) else None
    return load_autoencoder(options.autoencoder, choose_device(options.device), channels)


def make_container(
    pictures: PictureSource, autoencoder: Autoencoder, output: Path, options: PackOptions, observer: Observer
) -> tuple[Container, int]:
    """Pack in the way that the options ask for; return the container and the rounds of refinement."""
    if isinstance(options, NetworkOptions):
        container, rounds = pack_into_network(pictures, autoencoder, output, options, observer), 0
    elif isinstance(options, CodesOptions) and isinstance(autoencoder, PackagedAutoencoder):
        packed = pack_into_codes(pictures, autoencoder, output, options, observer)
        container, rounds = packed.container, packed.rounds
    else:
        raise TypeError(f"pack with CodesOptions or NetworkOptions, not {type(options).__name__}")
    read = ReadSettings(max_side=options.read.max_side, background=options.read.background)
    return replace(container, read=read), rounds


def psnrs_of(archive: Archive, measured: Measured) -> Hundredths:
    """Return the PSNRs of all pictures by position, as a file holds them."""
    of_index = {row.index: row.psnr_db for row in measured.rows}
    return to_hundredths([of_index[index] for index in archive.indices])


def canary_of(archive: Archive) -> Canary:
    """Decode the first picture that goes through the autoencoder, or the first one where none does."""
    codes, positions = archive.container.codes, position_of_index(archive.container.header.seed, len(archive))
    latent = (n for n, p in enumerate(positions.tolist()) if codes is None or not is_avif(codes.streams[p]))
    index = next(latent, 0)
    (pixels,) = archive.decoder.read([index], *archive.size(index))()
    return Canary(index=index, sums=block_sums(pixels))


def report_on(
    archive: Archive,
    path: Path,
    pictures: PictureSource,
    options: PackOptions,
    measured: Measured,
    *,
    rounds: int,
    seconds: float,
) -> PackReport:
    """Report on a written archive."""
    container, folder, file_bytes = archive.container, pictures.folder, path.stat().st_size
    avif = [] if container.codes is None else [code for code in container.codes.streams if is_avif(code)]
    sequences = [code for code in avif if is_in_sequence(code)]
    floor = (options.min_psnr_db, options.min_ms_ssim) if isinstance(options, CodesOptions) else (None, None)
    target = options.target if isinstance(options, CodesOptions | NetworkOptions) else None
    return PackReport(
        pictures=len(archive),
        file_bytes=file_bytes,
        pixels=folder.pixels,
        bits_per_pixel=bits_per_pixel(file_bytes, folder.pixels),
        bits_per_pixel_with_autoencoder=bits_per_pixel(file_bytes + needed_weight_bytes(container), folder.pixels),
        index_bits=container.header.index_bits,
        latent_step=container.header.latent_step,
        rounds=0 if len(avif) == len(archive) else rounds,
        wanted_bytes=None if target is None else target.file_bytes(folder.pixels),
        seconds=seconds,
        measured=measured,
        sequence_pictures=len(sequences),
        sequence_bytes=sum(map(len, sequences)),
        avif_pictures=len(avif) - len(sequences),
        avif_bytes=sum(map(len, avif)) - sum(map(len, sequences)),
        below_target=measured.below(*floor),
        network=report_on_network(archive, pictures),
        left_out=folder.left_out,
        notes=folder.notes,
        flattened=folder.flattened,
        scaled=folder.scaled,
        sections=container.sections,
    )


def report_on_network(archive: Archive, pictures: PictureSource) -> NetworkReport | None:
    """Report on an archive's network; None if it has none."""
    decoder = archive.decoder
    if not isinstance(decoder, NetworkDecoder):
        return None
    network, autoencoder = decoder.denoising.network, decoder.autoencoder
    multiple = autoencoder.reference.downsampling * network.patch_size
    ceilings_db = []
    for position in range(len(pictures)):
        original = pictures.picture(position)
        latents = autoencoder.encode_pictures([original], multiple)
        height, width = original.shape[:2]
        (decoded,) = autoencoder.decode_pictures(latents, height, width, 1.0)
        ceilings_db.append(psnr_db(original, decoded))
    sample = take_preview(pictures, archive.indices)
    return NetworkReport(
        parameters=count_parameters(network, autoencoder.reference.latent_channels, len(archive)),
        steps=decoder.denoising.steps,
        ceiling_psnr_db=float(np.mean(ceilings_db)),
        other_noise_psnr_db=sample.psnr_db(decoder, seed=decoder.header.seed ^ 1),
        stored_noise_psnr_db=sample.psnr_db(decoder),
    )
