"""Pack a folder of pictures into one ``.uni`` file, and get any of them back by its number.

pack:   list_folder > pack_into_codes, or pack_into_network > serialize > measure > write_container
unpack: read_container > CodeDecoder, or NetworkDecoder > picture
"""

import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np

from unicorn_codec.checkpoints import check_checkpoint, checkpoint_of
from unicorn_codec.codes.code_model import find_code_model
from unicorn_codec.concurrency import in_threads, prefetch
from unicorn_codec.config import PackOptions, ReadOptions
from unicorn_codec.decoding import CodeDecoder, Decoder, NetworkDecoder
from unicorn_codec.devices import at_work, choose_device
from unicorn_codec.errors import (
    AutoencoderMismatch,
    AutoencoderUnavailable,
    CanaryWarning,
    DecoderMismatch,
    IndexOutOfRange,
    PictureTooLarge,
)
from unicorn_codec.format.canary import Canary, block_sums
from unicorn_codec.format.code_table import is_avif, is_in_sequence
from unicorn_codec.format.container import Container, check_output, parse, read_container, serialize, write_container
from unicorn_codec.format.index_map import index_of_position, position_of_index
from unicorn_codec.format.picture_table import check_names, serialize_sizes
from unicorn_codec.format.quality_table import Hundredths, to_hundredths
from unicorn_codec.inspection import needed_weight_bytes
from unicorn_codec.model_registry import AUTOENCODER, CODE_MODEL, models, names
from unicorn_codec.network.denoiser import load_tensors
from unicorn_codec.packing.into_codes import pack_into_codes
from unicorn_codec.packing.into_network import new_decoder, pack_into_network, take_sample
from unicorn_codec.pictures.batches import PICTURES_PER_BATCH, batches_by_size
from unicorn_codec.pictures.images import MAX_PIXELS, Folder, PillowImage, Pixels, list_folder, read_picture, to_image
from unicorn_codec.pictures.metrics import bits_per_pixel, psnr_db
from unicorn_codec.pictures.picture_files import printable
from unicorn_codec.reports import Measured, NetworkReport, Observer, PackReport, PictureDistortion, VerifyReport
from unicorn_codec.transform.autoencoder import (
    LEADING_CHANNELS,
    Autoencoder,
    PackagedAutoencoder,
    check_reference,
    load_autoencoder,
)
from unicorn_codec.weights.weight_section import count_parameters, parse_tensors


def pack(folder: Path, output: Path, options: PackOptions, observer: Observer | None = None) -> PackReport:
    """Pack all pictures below a folder into one file, which appears whole or not at all.

    Raises:
        UnicornError: see ``errors``; nothing was written then, but for a checkpoint beside the output.
    """
    observer = observer or Observer()
    started = time.monotonic()
    check_output(output, overwrite=options.overwrite)
    check_checkpoint(output, options)
    channels = LEADING_CHANNELS if options.index_only else None
    autoencoder = load_autoencoder(options.autoencoder, choose_device(options.device), channels)
    pictures = list_folder(folder, options.read, observer.of_stage("reading"))
    check_names(pictures.names, len(pictures.names))  # what no file can hold must not wait for the end
    serialize_sizes(pictures.sizes, len(pictures.names))
    if options.index_only:
        container, rounds = pack_into_network(pictures, autoencoder, output, options, observer), 0
    else:
        container, rounds = pack_into_codes(pictures, autoencoder, output, options, observer)
    seconds = time.monotonic() - started
    # Measured is what a reader will get: what comes out of the very bytes of the file, not what went into them.
    archive = Archive.of(parse(serialize(container), strict=True), autoencoder)
    measured = archive.measure(pictures, options.read, observer)
    container = replace(container, psnrs=archive.by_position(measured), canary=canary_of(archive))
    write_container(output, container, overwrite=options.overwrite)
    checkpoint_of(output).unlink(missing_ok=True)
    return report_on(output, pictures, autoencoder, options, measured, rounds=rounds, seconds=seconds)


def canary_of(archive: "Archive") -> Canary:
    """What an archive's first picture decodes to here, of those that the autoencoder decodes if there are any."""
    codes, positions = archive.container.codes, position_of_index(archive.container.header.seed, len(archive))
    latent = (n for n, p in enumerate(positions.tolist()) if codes is None or not is_avif(codes.streams[p]))
    index = next(latent, 0)
    (pixels,) = archive.decoder.read([index], *archive.size(index))()
    return Canary(index=index, sums=block_sums(pixels))


def report_on(
    output: Path,
    pictures: Folder,
    autoencoder: Autoencoder,
    options: PackOptions,
    measured: Measured,
    *,
    rounds: int,
    seconds: float,
) -> PackReport:
    """Open a file again and tell what it holds."""
    with Archive.open(output, device=options.device, autoencoder=options.autoencoder) as archive:
        header = archive.container.header
        file_bytes = output.stat().st_size
        codes = archive.container.codes
        avif = [] if codes is None else [code for code in codes.streams if is_avif(code)]
        sequence = [code for code in avif if is_in_sequence(code)]
        return PackReport(
            pictures=len(archive),
            file_bytes=file_bytes,
            pixels=pictures.pixels,
            bits_per_pixel=bits_per_pixel(file_bytes, pictures.pixels),
            bits_per_pixel_with_autoencoder=bits_per_pixel(
                file_bytes + needed_weight_bytes(archive.container), pictures.pixels
            ),
            index_bits=header.index_bits,
            latent_step=header.latent_step,
            rounds=0 if len(avif) == len(archive) else rounds,
            wanted_bytes=options.target_bytes(pictures.pixels),
            seconds=seconds,
            measured=measured,
            sequence_pictures=len(sequence),
            sequence_bytes=sum(map(len, sequence)),
            avif_pictures=len(avif) - len(sequence),
            avif_bytes=sum(map(len, avif)) - sum(map(len, sequence)),
            below_target=measured.below(options.min_psnr_db, options.min_ms_ssim),
            network=report_on_network(archive, pictures, autoencoder, options.read),
            skipped=pictures.skipped,
            flattened=pictures.flattened,
            scaled=pictures.scaled,
            sections=archive.container.sections,
        )


def report_on_network(
    archive: "Archive", pictures: Folder, autoencoder: Autoencoder, read: ReadOptions
) -> NetworkReport | None:
    """What is to be told of an archive's network, if it has one."""
    decoder = archive.decoder
    if not isinstance(decoder, NetworkDecoder):
        return None
    network, indices = decoder.denoising.network, archive.indices
    multiple = autoencoder.reference.downsampling * network.patch_size
    ceilings_db = []
    for picture in pictures.pictures:
        original = read_picture(pictures, picture, read)
        latents = autoencoder.encode_pictures([original], multiple)
        (decoded,) = autoencoder.decode_pictures(latents, picture.height, picture.width, 1.0)
        ceilings_db.append(psnr_db(original, decoded))
    sample = take_sample(pictures, read, indices)
    return NetworkReport(
        parameters=count_parameters(network, autoencoder.reference.latent_channels, len(archive)),
        steps=decoder.denoising.steps,
        ceiling_psnr_db=float(np.mean(ceilings_db)),
        other_noise_psnr_db=sample.psnr_db(decoder, seed=decoder.header.seed ^ 1),
        stored_noise_psnr_db=sample.psnr_db(decoder),
    )


class Archive:
    """An open ``.uni`` file: a read-only sequence of pictures.

    >>> with Archive.open("out.uni") as archive:  # doctest: +SKIP
    ...     archive[42].save("42.png")
    """

    def __init__(self, container: Container, decoder: Decoder, *, max_pixels: int = MAX_PIXELS) -> None:
        self.container = container
        self.decoder = decoder
        self.max_pixels = max_pixels
        self._positions = position_of_index(container.header.seed, container.header.pictures)

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        device: str = "auto",
        autoencoder: str | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> "Archive":
        """Read a file and make ready to decode.

        Args:
            autoencoder: hub name or folder, where it is not the one that the file names.
            max_pixels: larger pictures are not decoded: a file of some bytes could claim one that fills the memory.

        Raises:
            FormatError: the file is not a valid archive.
            AutoencoderMismatch: it was made with another autoencoder.
            AutoencoderUnavailable: its autoencoder cannot be loaded.
        """
        container = read_container(path)
        wanted = container.header.autoencoder
        if autoencoder is None and wanted.name not in names(AUTOENCODER):
            # The name is data: it must not make this software download or open something by itself.
            raise AutoencoderUnavailable(
                f"this archive needs the autoencoder {printable(wanted.name)!r}: tell where it is, "
                "by --autoencoder HUB-ID or FOLDER"
            )
        found = load_autoencoder(autoencoder or wanted.name, choose_device(device), wanted.latent_channels)
        return cls.of(container, found, max_pixels=max_pixels)

    @classmethod
    def of(cls, container: Container, autoencoder: Autoencoder, *, max_pixels: int = MAX_PIXELS) -> "Archive":
        """Make ready to decode what was read already. Raises as ``open_decoder``, and ``AutoencoderMismatch``."""
        check_reference(container.header.autoencoder, autoencoder.reference)
        return cls(container, open_decoder(container, autoencoder), max_pixels=max_pixels)

    def __enter__(self) -> "Archive":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held open: the whole file was read."""

    def __len__(self) -> int:
        return self.container.header.pictures

    def __getitem__(self, index: int) -> PillowImage:
        """The picture with a number, 0 to M - 1 (negative ones count from the end)."""
        return self.decode([index + len(self) if -len(self) <= index < 0 else index])[0]

    @cached_property
    def indices(self) -> list[int]:
        """Index of each picture, by position."""
        return index_of_position(self.container.header.seed, len(self)).tolist()

    @cached_property
    def names(self) -> list[str]:
        """Name of each picture, by index; its number where the file holds no names."""
        if self.container.names is None:
            return [str(index) for index in range(len(self))]
        return [self.container.names[position] for position in self._positions]

    def size(self, index: int) -> tuple[int, int]:
        """Width and height of the picture with an index."""
        width, height = self.container.sizes[self._positions[index]].tolist()
        return width, height

    def decode(
        self, indices: Iterable[int], *, batch_size: int = PICTURES_PER_BATCH, steps: int | None = None
    ) -> list[PillowImage]:
        """Pictures with the given numbers, in the order asked for.

        Raises:
            IndexOutOfRange: no picture has such a number.
            PictureTooLarge: one of them has more than ``max_pixels``.
        """
        wanted = list(indices)
        pictures = dict(self.iterate(dict.fromkeys(wanted), batch_size=batch_size, steps=steps))
        return [to_image(pictures[index]) for index in wanted]

    def iterate(
        self, indices: Iterable[int], *, batch_size: int = PICTURES_PER_BATCH, steps: int | None = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Pairs of index and pixels, uint8 (H, W, 3), as they get ready: sizes are grouped, so the order may change.

        Warns with a ``CanaryWarning`` where the archive tells what a picture decodes to, and it decodes to another.

        Raises:
            IndexOutOfRange: no picture has such a number.
            PictureTooLarge: one of them has more than ``max_pixels``.
        """
        wanted = list(indices)
        for index in wanted:
            self._check_allowed(index)
        for numbers, pictures in prefetch(self._read(self.decoder.together(wanted), batch_size, steps)):
            for index, pixels in zip(numbers, pictures(), strict=True):
                if steps is None and (fault := self._canary_fault(index, pixels)):
                    warnings.warn(fault, CanaryWarning, stacklevel=2)
                yield index, pixels

    def _read(
        self, indices: list[int], batch_size: int, steps: int | None
    ) -> Iterator[tuple[list[int], Callable[[], Iterator[np.ndarray]]]]:
        for batch in batches_by_size([self.size(index) for index in indices], batch_size):
            numbers = [indices[place] for place in batch]
            yield numbers, self.decoder.read(numbers, *self.size(numbers[0]), steps=steps)

    def check_canary(self) -> None:
        """Decode the picture that the archive tells the outcome of, if it does.

        Raises:
            DecoderMismatch: it is another one.
            PictureTooLarge: it has more than ``max_pixels``.
        """
        canary = self.container.canary
        if canary is None:
            return
        self._check_allowed(canary.index)
        (pixels,) = self.decoder.read([canary.index], *self.size(canary.index))()
        if fault := self._canary_fault(canary.index, pixels):
            raise DecoderMismatch(fault)

    def _check_allowed(self, index: int) -> None:
        if not 0 <= index < len(self):
            raise IndexOutOfRange(f"there is no picture {index}: the archive has 0 to {len(self) - 1}")
        width, height = self.size(index)
        if width * height > self.max_pixels:
            raise PictureTooLarge(
                f"picture {index} has {width}x{height} pixels, allowed are {self.max_pixels} in all; "
                "--max-pixels (max_pixels of Archive.open) allows more, if this file can be trusted"
            )

    def _canary_fault(self, index: int, pixels: np.ndarray) -> str | None:
        canary = self.container.canary
        if canary is None or index != canary.index or canary.agrees(pixels):
            return None
        return (
            f"picture {index} decodes to another picture than when the archive was made: parts of it differ by "
            f"{canary.difference(pixels):.1f} levels in the mean. Software or libraries compute differently here"
        )

    def measure(self, pictures: Folder, read: ReadOptions, observer: Observer) -> Measured:
        """Distortion of every picture that the folder has the original of."""
        originals = {p.name: p for p in pictures.pictures}
        names = self.names
        indices = [i for i, name in enumerate(names) if name in originals]

        def pairs() -> Iterator[tuple[int, Pixels, Pixels]]:
            for index, decoded in self.iterate(indices):
                yield index, read_picture(pictures, originals[names[index]], read), decoded

        def compare(pair: tuple[int, Pixels, Pixels]) -> PictureDistortion:
            index, original, decoded = pair
            return PictureDistortion.of(index, names[index], original, decoded)

        rows = list[PictureDistortion]()
        threads = at_work(max((p.width * p.height for p in originals.values()), default=1), os.cpu_count() or 1)
        for row in in_threads(compare, pairs(), threads=threads) if threads > 1 else map(compare, pairs()):
            rows.append(row)
            observer.stage("measuring", len(rows), len(indices))
        return Measured.of(rows)

    def by_position(self, measured: Measured) -> Hundredths:
        """PSNRs of all pictures as a file holds them."""
        of_index = {row.index: row.psnr_db for row in measured.rows}
        return to_hundredths([of_index[index] for index in self.indices])


def open_decoder(container: Container, autoencoder: Autoencoder) -> Decoder:
    """The decoder of an archive's codes or of its network.

    Raises:
        FormatError: the weights are not those of the network.
        AutoencoderMismatch: the codes were made with another code model than this software's.
    """
    header = container.header
    if container.codes is not None:
        if not isinstance(autoencoder, PackagedAutoencoder):
            raise AutoencoderMismatch(
                f"this archive's codes are not of {autoencoder.reference.name!r}: it has no code model"
            )
        found, channels = container.codes.model_sha256, header.autoencoder.latent_channels
        model = find_code_model(found)
        if model is None or model.channels != channels:
            known = ", ".join(f"{one.name} ({one.sha256.hex()[:16]})" for one in models(CODE_MODEL))
            raise AutoencoderMismatch(
                f"this archive needs the code model {found.hex()[:16]} with {channels} channels, "
                f"this package has {known}"
            )
        if container.tuning is not None:
            autoencoder = autoencoder.changed(container.tuning)
        return CodeDecoder(
            header=header,
            codes=container.codes,
            positions=position_of_index(header.seed, header.pictures),
            autoencoder=autoencoder,
            model=model,
        )
    assert header.denoising is not None and container.weights is not None, "a container holds codes or a network"
    # Before anything is built: the header alone could claim any size.
    tensors = parse_tensors(container.weights, header)
    decoder = new_decoder(header.denoising, autoencoder, header.pictures, header.seed)
    load_tensors(decoder.denoiser, tensors)
    return replace(decoder, header=header)


def verify(
    path: Path,
    against: Path,
    *,
    read: ReadOptions | None = None,
    device: str = "auto",
    autoencoder: str | None = None,
    max_pixels: int = MAX_PIXELS,
    observer: Observer | None = None,
) -> VerifyReport:
    """Decode an archive and compare every picture with its original.

    Raises:
        FormatError: the file is damaged.
        DecoderMismatch: its pictures decode to others here than where it was made.
        ImageFolderError: the folder cannot be read.
    """
    read, observer = read or ReadOptions(), observer or Observer()
    archive = Archive.open(path, device=device, autoencoder=autoencoder, max_pixels=max_pixels)
    archive.check_canary()
    pictures = list_folder(against, read, observer.of_stage("reading"))
    sizes = {name: archive.size(index) for index, name in enumerate(archive.names)}
    matching, problems = [], []
    for picture in pictures.pictures:
        size = sizes.pop(picture.name, None)
        if size is None:
            problems.append(f"{picture.name}: not in the archive")
        elif size != (picture.width, picture.height):
            problems.append(f"{picture.name}: {picture.width}x{picture.height}, in the archive {size[0]}x{size[1]}")
        else:
            matching.append(picture)
    problems += [f"{name}: not in the folder" for name in sizes]
    measured = archive.measure(replace(pictures, pictures=tuple(matching)), read, observer) if matching else None
    return VerifyReport(measured=measured, problems=tuple(problems))
