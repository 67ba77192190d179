"""Pack a folder of pictures into one ``.uni`` file, and get any of them back by its number.

pack:   list_folder > encode_folder > train_denoiser > encode_weights > write_container > measure
unpack: read_container > parse_weights > Denoiser > Decoder.sample > Decoder.render > picture
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np
import torch

from unicorn_codec.autoencoder import check_reference, load_autoencoder
from unicorn_codec.config import PackOptions, ReadOptions
from unicorn_codec.container import Container, check_output, read_container, write_container
from unicorn_codec.decoding import Decoder
from unicorn_codec.denoiser import build_denoiser, load_tensors
from unicorn_codec.devices import choose_device
from unicorn_codec.errors import IndexOutOfRange
from unicorn_codec.images import Folder, PillowImage, list_folder, read_picture, to_image
from unicorn_codec.index_map import index_of_position, position_of_index
from unicorn_codec.latent_set import batches_by_size, encode_folder, normalise_latents
from unicorn_codec.metrics import bits_per_pixel
from unicorn_codec.packing import (
    LATENT_STD,
    Sample,
    choose_sampling,
    encode_weights,
    make_header,
    plan_for,
    settings_digest,
    sizes_of,
    train_denoiser,
)
from unicorn_codec.reports import Comparison, Measured, Observer, PackReport, VerifyReport, mean_psnr_db
from unicorn_codec.weights import parse_weights, split_tensors

SAMPLE_IMAGES = 16


def pack(folder: Path, output: Path, options: PackOptions, observer: Observer | None = None) -> PackReport:
    """Pack all pictures below a folder into one file, which appears whole or not at all.

    Raises:
        UnicornError: see ``errors``; nothing was written then, but for a checkpoint beside the output.
    """
    observer = observer or Observer()
    started = time.monotonic()
    check_output(output, overwrite=options.overwrite)
    device = choose_device(options.device)
    autoencoder = load_autoencoder(options.autoencoder, device)
    pictures = list_folder(folder, options.read, observer.of_stage("reading"))
    plan = plan_for(pictures, autoencoder.reference, options)
    observer.found(pictures, plan)

    multiple = autoencoder.reference.downsampling * plan.network.patch_size
    raw_latents = encode_folder(pictures, options.read, autoencoder, multiple, observer.of_stage("encoding"))
    indices = index_of_position(options.seed, len(raw_latents)).tolist()
    latents = normalise_latents(raw_latents, indices, LATENT_STD, options.seed)
    header = make_header(plan, latents, autoencoder.reference, options)

    with torch.random.fork_rng():
        torch.manual_seed(options.seed)
        denoiser = build_denoiser(header).to(device)
    decoder = Decoder(header=header, denoiser=denoiser, autoencoder=autoencoder)
    sample = take_sample(pictures, options.read, indices)
    checkpoint = output.with_name(output.name + ".checkpoint")
    train_denoiser(
        decoder,
        latents,
        options,
        digest=settings_digest(pictures, header, options),
        checkpoint=checkpoint,
        sample=sample,
        on_progress=observer.training,
        on_preview=observer.preview,
    )
    weights = encode_weights(decoder, options)
    header = choose_sampling(decoder, sample, options.steps)
    sizes = sizes_of(pictures)
    names = tuple(p.name for p in pictures.pictures)
    write_container(
        output, Container(header=header, sizes=sizes, names=names, weights=weights), overwrite=options.overwrite
    )
    checkpoint.unlink(missing_ok=True)
    seconds = time.monotonic() - started

    with Archive.open(output, device=options.device, autoencoder=options.autoencoder) as archive:
        ceilings = [
            autoencoder.decode_pictures(raw_latents[i][None], p.height, p.width, 1.0)[0]
            for i, p in enumerate(pictures.pictures)
        ]
        originals = [read_picture(pictures, p, options.read) for p in pictures.pictures]
        pixels = int(sizes.astype(np.int64).prod(1).sum())
        file_bytes = output.stat().st_size
        return PackReport(
            images=len(archive),
            file_bytes=file_bytes,
            pixels=pixels,
            bits_per_pixel=bits_per_pixel(file_bytes, pixels),
            bits_per_pixel_with_autoencoder=bits_per_pixel(file_bytes + header.autoencoder.weight_bytes, pixels),
            index_bits=header.index_bits,
            parameters=plan.parameters,
            steps=header.steps,
            seconds=seconds,
            measured=archive.measure(pictures, options.read, observer),
            ceiling_psnr_db=mean_psnr_db(originals, ceilings),
            other_noise_psnr_db=sample.psnr_db(archive.decoder, seed=options.seed ^ 1),
            same_images_psnr_db=sample.psnr_db(archive.decoder),
            skipped=pictures.skipped,
            flattened=pictures.flattened,
            scaled=pictures.scaled,
            sections=archive.container.sections,
        )


def take_sample(pictures: Folder, read: ReadOptions, indices: Sequence[int]) -> Sample:
    """Some pictures of the commonest size, evenly from the whole folder."""
    batches = batches_by_size([(p.width, p.height) for p in pictures.pictures], largest=len(indices))
    commonest = max(batches, key=len)
    chosen = commonest[:: -(-len(commonest) // SAMPLE_IMAGES)]
    return Sample(
        indices=tuple(indices[position] for position in chosen),
        originals=tuple(read_picture(pictures, pictures.pictures[position], read) for position in chosen),
    )


class Archive:
    """An open ``.uni`` file: a read-only sequence of pictures.

    >>> with Archive.open("out.uni") as archive:  # doctest: +SKIP
    ...     archive[42].save("42.png")
    """

    def __init__(self, container: Container, decoder: Decoder) -> None:
        self.container = container
        self.decoder = decoder
        self._positions = position_of_index(container.header.seed, container.header.images)

    @classmethod
    def open(cls, path: Path | str, *, device: str = "auto", autoencoder: str | None = None) -> "Archive":
        """Read a file and make ready to decode.

        Args:
            autoencoder: hub name or folder, where it is not the one that the file names.

        Raises:
            FormatError: the file is not a valid archive.
            AutoencoderMismatch: it was made with another autoencoder.
            AutoencoderUnavailable: its autoencoder cannot be loaded.
        """
        container = read_container(path)
        header, chosen_device = container.header, choose_device(device)
        _, values = parse_weights(container.weights)
        tensors = split_tensors(values, header)  # before anything is built: the header alone could claim any size
        denoiser = build_denoiser(header)
        load_tensors(denoiser, tensors)
        found = load_autoencoder(autoencoder or header.autoencoder.name, chosen_device)
        check_reference(header.autoencoder, found.reference)
        return cls(container, Decoder(header=header, denoiser=denoiser.to(chosen_device).eval(), autoencoder=found))

    def __enter__(self) -> "Archive":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held open: the whole file was read."""

    def __len__(self) -> int:
        return self.container.header.images

    def __getitem__(self, index: int) -> PillowImage:
        """The picture with a number, 0 to M - 1 (negative ones count from the end)."""
        return self.decode([index + len(self) if -len(self) <= index < 0 else index])[0]

    @property
    def names(self) -> list[str]:
        """Name of each picture, by index; its number where the file holds no names."""
        if self.container.names is None:
            return [str(index) for index in range(len(self))]
        return [self.container.names[position] for position in self._positions]

    def size(self, index: int) -> tuple[int, int]:
        """Width and height of the picture with an index."""
        width, height = self.container.sizes[self._positions[index]].tolist()
        return width, height

    def decode(self, indices: Iterable[int], *, batch_size: int = 32, steps: int | None = None) -> list[PillowImage]:
        """Pictures with the given numbers, in the order asked for.

        Raises:
            IndexOutOfRange: no image has such a number.
        """
        wanted = list(indices)
        pictures = dict(self.iterate(dict.fromkeys(wanted), batch_size=batch_size, steps=steps))
        return [to_image(pictures[index]) for index in wanted]

    def iterate(
        self, indices: Iterable[int], *, batch_size: int = 32, steps: int | None = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Pairs of index and pixels, uint8 (H, W, 3), as they get ready: sizes are grouped, so the order may change.

        Raises:
            IndexOutOfRange: no image has such a number.
        """
        wanted = list(indices)
        for index in wanted:
            if not 0 <= index < len(self):
                raise IndexOutOfRange(f"there is no image {index}: the archive has 0 to {len(self) - 1}")
        for batch in batches_by_size([self.size(index) for index in wanted], largest=batch_size):
            numbers = [wanted[place] for place in batch]
            yield from zip(numbers, self.decoder.decode(numbers, *self.size(numbers[0]), steps=steps), strict=True)

    def measure(self, pictures: Folder, read: ReadOptions, observer: Observer) -> Measured:
        """Distortion of every image that the folder has the original of."""
        originals = {p.name: p for p in pictures.pictures}
        names = self.names
        indices = [i for i, name in enumerate(names) if name in originals]
        comparison = Comparison()
        for done, (index, decoded) in enumerate(self.iterate(indices), start=1):
            original = read_picture(pictures, originals[names[index]], read)
            comparison.add(index, names[index], original, decoded)
            observer.stage("measuring", done, len(indices))
        return comparison.measured()


def verify(
    path: Path,
    against: Path,
    *,
    read: ReadOptions | None = None,
    device: str = "auto",
    autoencoder: str | None = None,
    observer: Observer | None = None,
) -> VerifyReport:
    """Decode an archive and compare every image with its original.

    Raises:
        FormatError: the file is damaged.
        ImageFolderError: the folder cannot be read.
    """
    read, observer = read or ReadOptions(), observer or Observer()
    archive = Archive.open(path, device=device, autoencoder=autoencoder)
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
