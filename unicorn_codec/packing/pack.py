"""Pack a folder of pictures into one ``.uni`` file.

list_folder > choose_model > pack_into_codes, or pack_into_network > write_pictures > measure > commit > report
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np

from unicorn_codec.archive import Archive
from unicorn_codec.atomic_files import open_atomic
from unicorn_codec.checkpoints import check_checkpoint, checkpoint_path
from unicorn_codec.config import AUTO, CodesOptions, OverfitOptions, PackOptions
from unicorn_codec.decoders.network_decoder import NetworkDecoder
from unicorn_codec.decoders.overfitted_decoder import OverfittedDecoder
from unicorn_codec.devices import choose_device
from unicorn_codec.errors import OutputError
from unicorn_codec.format.alpha_plane import MAX_ALPHA_ERROR, is_exact
from unicorn_codec.format.canary import Canary, block_sums
from unicorn_codec.format.footer import CodecTotal
from unicorn_codec.format.index_map import index_of_position
from unicorn_codec.format.names import check_name
from unicorn_codec.format.read_settings import ReadSettings
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import AVIF, EXACT, OTHER_FILE, SEQUENCE
from unicorn_codec.format.sources import FileSource, TailedSource
from unicorn_codec.format.writer import ContainerWriter
from unicorn_codec.inspection import DECODED_BY_MODEL, index_bits, needed_weight_bytes, parts_of
from unicorn_codec.measurement import Matching, Measured, measure_chosen
from unicorn_codec.model_registry import default_name
from unicorn_codec.network_options import NetworkOptions
from unicorn_codec.overfitted.multiplications import multiplications_per_pixel
from unicorn_codec.packing.archive_writing import check_output, id_of, matching_of, write_pictures
from unicorn_codec.packing.into_codes import PackedCodes, pack_into_codes
from unicorn_codec.packing.into_functions import FunctionsMade, pack_into_functions
from unicorn_codec.packing.into_network import pack_into_network
from unicorn_codec.packing.model_choice import choose_model
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.original_metadata import OriginalMetadata
from unicorn_codec.packing.packed import PackedPictures
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.preview import take_preview
from unicorn_codec.packing.reports import FunctionsReport, Learned, NetworkReport, PackReport
from unicorn_codec.packing.self_contained import attach_model, is_wanted
from unicorn_codec.packing.whole_files import WholeFiles
from unicorn_codec.pictures.metrics import bits_per_pixel, psnr_db
from unicorn_codec.pictures.picture_files import OtherFile, printable
from unicorn_codec.pictures.picture_folder import Folder, Note, list_folder
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.pictures.transparency import WHITE
from unicorn_codec.shards.inputs import Inputs, folder_of
from unicorn_codec.transform.autoencoder import LEADING_CHANNELS, Autoencoder, PackagedAutoencoder, load_autoencoder
from unicorn_codec.weights.weight_section import count_parameters

CEILING_PICTURES = 16
"""Pictures on which the ceiling of functions is measured."""


def pack(
    inputs: Inputs,
    output: Path | str,
    options: PackOptions | None = None,
    observer: Observer | None = None,
    names: Sequence[str] | None = None,
) -> PackReport:
    """Pack all pictures below a folder, or in shards, into one file, which appears whole or not at all.

    Args:
        inputs: a folder, or one or more tar and parquet files.
        options: ``CodesOptions`` (the default), ``OverfitOptions`` or ``NetworkOptions``.
        observer: receives the progress.
        names: of the files to pack, relative to the folder; None: all below it.

    Raises:
        UnicornError: see ``errors``; nothing was written then, except for a checkpoint next to the output.
    """
    output, options, observer = Path(output), with_background(options or CodesOptions()), observer or Observer()
    check_output(output, overwrite=options.overwrite)
    check_checkpoint(output, options)
    with folder_of(inputs, output, observer.of_stage("unpacking")) as found:
        report = pack_folder(found.root, output, options, observer, names)
    return replace(report, left_out=(*found.left_out, *report.left_out))


def pack_folder(
    folder: Path, output: Path, options: PackOptions, observer: Observer, names: Sequence[str] | None = None
) -> PackReport:
    """Pack pictures of a folder. Arguments, errors and result are those of ``pack``."""
    started = time.monotonic()
    autoencoder = load_packing_autoencoder(options)  # refuse before the work, not at its end
    is_wanted(options.self_contained, 0, autoencoder)
    originals = options.originals if isinstance(options, CodesOptions) else None
    listed = list_folder(folder, options.read, observer.of_stage("reading"), originals, output=output, names=names)
    for name in listed.all_names:  # before the work, not at its end
        check_name(name)
    choice = None
    if isinstance(options, CodesOptions):
        choice = choose_model(PictureSource(listed, options.read), options, observer)
    if choice is not None:
        options = replace(options, autoencoder=choice.name)
        autoencoder = load_packing_autoencoder(options)
    report = pack_listed(listed, output, options, observer, autoencoder, started=started)
    return replace(report, model_choice=choice)


def pack_listed(
    listed: Folder,
    output: Path,
    options: PackOptions,
    observer: Observer,
    autoencoder: Autoencoder,
    update: bytes | None = None,
    *,
    started: float,
) -> PackReport:
    """Pack the listed pictures of a folder.

    Args:
        update: of the models, learned from other pictures; None: packing may learn one from these.
        started: time at which the work began, of ``time.monotonic``.
    """
    pictures = PictureSource(listed, options.read)
    made = make_packed(pictures, autoencoder, output, options, observer, update)
    seconds = time.monotonic() - started
    metadata = OriginalMetadata(pictures, options.metadata)
    try:
        with open_atomic(output) as file:
            measured = write_and_measure(file, made.container, metadata, autoencoder, observer, options)
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error
    checkpoint_path(output).unlink(missing_ok=True)
    with Archive.of(ContainerReader(FileSource(output)), autoencoder) as written:
        report = report_on(
            written,
            pictures,
            options,
            measured,
            rounds=made.rounds,
            learned=made.learned,
            taken_over=made.taken_over,
            functions=made.functions,
            seconds=seconds,
        )
    return replace(
        report,
        notes=(*report.notes, *metadata.notes, *transparency_notes(made.container)),
        alpha_bytes=made.container.alphas.total,
    )


def with_background(options: PackOptions) -> PackOptions:
    """Return the options with a background if they are for a network, which learns no transparency."""
    if isinstance(options, NetworkOptions) and options.read.background is None:
        return replace(options, read=replace(options.read, background=WHITE))
    return options


def transparency_notes(packed: PackedPictures) -> Iterator[Note]:
    """Yield a note for each picture whose transparency is not stored exactly."""
    for position, alpha in packed.alphas.items():
        if not is_exact(alpha):
            text = f"its transparency is stored within {MAX_ALPHA_ERROR} levels of 255, to save bytes"
            yield Note(printable(packed.names[position]), text)


def write_and_measure(
    file: IO[bytes],
    packed: PackedPictures,
    metadata: OriginalMetadata,
    autoencoder: Autoencoder,
    observer: Observer,
    options: PackOptions | None = None,
) -> Measured:
    """Write all records, measure what a reader gets of them, and write the index with what was measured."""
    self_contained, some = (None, "all") if options is None else (options.self_contained, options.measure)
    whole = WholeFiles(metadata.pictures.folder)
    writer = ContainerWriter(file, id_of(packed, whole))
    indices = write_pictures(writer, packed, metadata=metadata, whole=whole, progress=observer.of_stage("storing"))
    writer.flush()
    if is_wanted(self_contained, writer.offset if packed.names else 0, autoencoder):
        attach_model(writer, writer.decoders[0])
    matching = matching_of(metadata.pictures.folder, indices)
    seed = packed.header.seed
    measured, canaries = measure_unfinished(
        file, writer, seed, metadata.pictures, matching, autoencoder, observer, some
    )
    writer.commit(seed=seed, read=packed.read, psnrs=measured.psnr_codes(), canaries=canaries)
    return measured


def measure_unfinished(
    file: IO[bytes],
    writer: ContainerWriter,
    seed: int,
    pictures: PictureSource,
    matching: Matching,
    autoencoder: Autoencoder,
    observer: Observer,
    some: str,
) -> tuple[Measured, list[Canary]]:
    """Measure the pictures of an archive whose records are in the file, and whose index is not yet."""
    tail = writer.preview(seed=seed)
    source = TailedSource(FileSource(file.name), writer.offset, tail)
    with Archive.of(ContainerReader(source), autoencoder, max_pixels=pictures.read.max_pixels) as archive:
        wanted, sums = first_of_codecs(archive), dict[int, tuple[int, ...]]()

        def see(index: int, pixels: Pixels) -> None:
            if index in wanted:
                sums[index] = block_sums(pixels)

        progress = observer.of_stage("measuring")
        measured = measure_chosen(archive, pictures.folder, pictures.read, progress, matching, some, see)
        unseen = [index for index in wanted if index not in sums]
        sums |= {index: block_sums(pixels) for index, pixels in archive.iterate(unseen)}
        return measured, [Canary(index=index, sums=sums[index]) for index in wanted]


def load_packing_autoencoder(options: PackOptions) -> Autoencoder:
    """Load the autoencoder of the options, or the one that packing begins with where they leave it open."""
    channels = LEADING_CHANNELS if isinstance(options, NetworkOptions) else None
    name = default_name() if options.autoencoder == AUTO else options.autoencoder
    return load_autoencoder(name, choose_device(options.device), channels)


def make_packed(
    pictures: PictureSource,
    autoencoder: Autoencoder,
    output: Path,
    options: PackOptions,
    observer: Observer,
    update: bytes | None = None,
) -> PackedCodes:
    """Pack in the way that the options ask for."""
    if isinstance(options, NetworkOptions):
        packed = PackedCodes(container=pack_into_network(pictures, autoencoder, output, options, observer), rounds=0)
    elif isinstance(options, OverfitOptions):
        container, functions = pack_into_functions(pictures, autoencoder, output, options, observer)
        packed = PackedCodes(container=container, rounds=0, functions=functions)
    elif isinstance(options, CodesOptions) and isinstance(autoencoder, PackagedAutoencoder):
        packed = pack_into_codes(pictures, autoencoder, output, options, observer, update)
    else:
        raise TypeError(f"pack with CodesOptions, OverfitOptions or NetworkOptions, not {type(options).__name__}")
    read = ReadSettings(max_side=options.read.max_side, background=options.read.background)
    return replace(packed, container=replace(packed.container, read=read))


def first_of_codecs(archive: Archive) -> list[int]:
    """Return the first picture of each codec that a model decodes; where there is none, the first one in AVIF."""
    first: dict[int, int] = {}
    for leaf in archive.reader.leaves():
        for codec in np.unique(leaf.codecs).tolist():
            if codec not in (EXACT, OTHER_FILE):
                first.setdefault(codec, leaf.first + int(np.flatnonzero(leaf.codecs == codec)[0]))
    of_model = sorted(index for codec, index in first.items() if codec in DECODED_BY_MODEL)
    return of_model or sorted(first.values())[:1]


def report_on(
    archive: Archive,
    pictures: PictureSource,
    options: PackOptions,
    measured: Measured,
    *,
    rounds: int,
    learned: Learned | None,
    taken_over: int,
    functions: FunctionsMade | None = None,
    seconds: float,
) -> PackReport:
    """Report on a written archive."""
    reader, folder, file_bytes = archive.reader, pictures.folder, archive.reader.source.size
    totals = {total.codec: total for total in reader.footer.totals}
    avif, sequences, exact, files = (
        totals.get(codec, CodecTotal(codec, 0, 0)) for codec in (AVIF, SEQUENCE, EXACT, OTHER_FILE)
    )
    pixels = reader.footer.pixels
    floor = (options.min_psnr_db, options.min_ms_ssim) if isinstance(options, CodesOptions) else (None, None)
    target = options.target if isinstance(options, CodesOptions | OverfitOptions | NetworkOptions) else None
    steps = {decoder.latent_step for decoder in reader.footer.decoders}
    latent_step = reader.footer.decoders[-1].latent_step
    return PackReport(
        pictures=len(archive),
        file_bytes=file_bytes,
        pixels=pixels,
        bits_per_pixel=bits_per_pixel(file_bytes, pixels),
        bits_per_pixel_with_autoencoder=bits_per_pixel(file_bytes + needed_weight_bytes(reader), pixels),
        index_bits=index_bits(reader),
        latent_step=latent_step,
        other_steps=tuple(sorted(steps - {latent_step})),
        rounds=0 if avif.pictures + sequences.pictures + exact.pictures == len(archive) else rounds,
        wanted_bytes=None if target is None else target.file_bytes(pixels),
        seconds=seconds,
        measured=measured,
        model_choice=None,
        sequence_pictures=sequences.pictures,
        sequence_bytes=sequences.bytes,
        avif_pictures=avif.pictures,
        avif_bytes=avif.bytes,
        taken_over=taken_over,
        transparent=folder.transparent,
        alpha_bytes=0,
        exact_pictures=exact.pictures,
        exact_bytes=exact.bytes,
        kept_files=files.pictures,
        kept_bytes=files.bytes,
        kept=tuple(OtherFile(printable(file.name), file.reason) for file in folder.others),
        below_target=measured.below(*floor),
        learned=learned,
        network=report_on_network(archive, pictures),
        functions=None if functions is None else report_on_functions(functions, archive, pictures),
        left_out=folder.left_out,
        notes=folder.notes,
        flattened=folder.flattened,
        scaled=folder.scaled,
        parts=tuple(parts_of(reader)),
    )


def report_on_network(archive: Archive, pictures: PictureSource) -> NetworkReport | None:
    """Report on an archive's network; None if it has none."""
    decoder = archive.decoder(0)
    if not isinstance(decoder, NetworkDecoder):
        return None
    network, autoencoder = decoder.denoising.network, decoder.autoencoder
    multiple = autoencoder.reference.downsampling * network.patch_size
    ceilings_db = [ceiling_db(pictures, position, autoencoder, multiple) for position in range(len(pictures))]
    sample = take_preview(pictures, index_of_position(decoder.header.seed, len(archive)).tolist())
    return NetworkReport(
        parameters=count_parameters(network, autoencoder.reference.latent_channels, len(archive)),
        steps=decoder.denoising.steps,
        ceiling_psnr_db=float(np.mean(ceilings_db)),
        other_noise_psnr_db=sample.psnr_db(decoder, seed=decoder.header.seed ^ 1),
        stored_noise_psnr_db=sample.psnr_db(decoder),
    )


def report_on_functions(made: FunctionsMade, archive: Archive, pictures: PictureSource) -> FunctionsReport:
    """Report on an archive's overfitted functions."""
    decoder = archive.decoder(0)
    assert isinstance(decoder, OverfittedDecoder), "the archive was packed with functions"
    autoencoder, steps, full = decoder.autoencoder, made.schedule, made.full
    cell = autoencoder.reference.downsampling
    some = np.unique(np.linspace(0, len(pictures) - 1, min(CEILING_PICTURES, len(pictures))).astype(int)).tolist()
    return FunctionsReport(
        parameters=made.shape.parameter_count,
        common_bytes=made.common_bytes,
        multiplications_per_pixel=multiplications_per_pixel(made.shape, cell),
        candidates=steps.candidates,
        candidate_steps=steps.candidate_steps + steps.kept_steps,
        main_steps=steps.main_steps,
        full_candidates=full.candidates,
        full_candidate_steps=full.candidate_steps + full.kept_steps,
        full_main_steps=full.main_steps,
        ceiling_psnr_db=float(np.mean([ceiling_db(pictures, position, autoencoder, cell) for position in some])),
    )


def ceiling_db(pictures: PictureSource, position: int, autoencoder: Autoencoder, multiple: int) -> float:
    """Return the PSNR of the autoencoder alone on a picture.

    Args:
        multiple: pixels; sides are padded to a multiple of it.
    """
    original = pictures.picture(position)
    latents = autoencoder.encode_pictures([original], multiple)
    height, width = original.shape[:2]
    (decoded,) = autoencoder.decode_pictures(latents, height, width, 1.0)
    return psnr_db(original, decoded)
