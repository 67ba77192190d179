"""Open a ``.uni`` file and get any of its pictures back by its index.

read_container > open_decoder > CodeDecoder, or NetworkDecoder > picture
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np

from unicorn_codec.codes.context_model import find_context_model
from unicorn_codec.concurrency import prefetch
from unicorn_codec.config import ReadOptions
from unicorn_codec.decoders.code_decoder import CodeDecoder
from unicorn_codec.decoders.network_decoder import untrained_decoder
from unicorn_codec.decoders.picture_decoder import PictureDecoder
from unicorn_codec.devices import choose_device
from unicorn_codec.errors import (
    AutoencoderMismatch,
    AutoencoderUnavailable,
    CanaryWarning,
    DecoderMismatch,
    IndexOutOfRange,
    PictureTooLarge,
)
from unicorn_codec.format.container import Container, read_container
from unicorn_codec.format.index_map import index_of_position, position_of_index
from unicorn_codec.model_registry import AUTOENCODER, CONTEXT_MODEL, models, names
from unicorn_codec.network.denoiser import load_tensors
from unicorn_codec.pictures.batches import PICTURES_PER_BATCH, batches_by_size
from unicorn_codec.pictures.images import MAX_PIXELS, PillowImage, to_image
from unicorn_codec.pictures.picture_files import printable
from unicorn_codec.transform.autoencoder import (
    Autoencoder,
    PackagedAutoencoder,
    check_reference,
    load_autoencoder,
)
from unicorn_codec.weights.weight_section import parse_tensors


class Archive:
    """An open ``.uni`` file: a read-only sequence of pictures.

    >>> with Archive.open("out.uni") as archive:  # doctest: +SKIP
    ...     archive[42].save("42.png")
    """

    def __init__(self, container: Container, decoder: PictureDecoder, *, max_pixels: int = MAX_PIXELS) -> None:
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
        """Open a file for decoding.

        Args:
            autoencoder: hub name or folder, where it is not the one that the file names.
            max_pixels: larger pictures are not decoded: a small file could claim one that fills the memory.

        Raises:
            FormatError: the file is not a valid archive.
            AutoencoderMismatch: it was made with another autoencoder.
            AutoencoderUnavailable: its autoencoder cannot be loaded.
        """
        return cls.from_container(read_container(path), device=device, autoencoder=autoencoder, max_pixels=max_pixels)

    @classmethod
    def from_container(
        cls,
        container: Container,
        *,
        device: str = "auto",
        autoencoder: str | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> "Archive":
        """Load a container's autoencoder and make an archive of both. Arguments and errors are those of ``open``."""
        wanted = container.header.autoencoder
        if autoencoder is None and wanted.name not in names(AUTOENCODER):
            # The name is data: it must not make this software download or open something by itself.
            raise AutoencoderUnavailable(
                f"this archive needs the autoencoder {printable(wanted.name)!r}, which the package lacks: "
                "give --autoencoder HUB-ID or FOLDER"
            )
        found = load_autoencoder(autoencoder or wanted.name, choose_device(device), wanted.latent_channels)
        return cls.of(container, found, max_pixels=max_pixels)

    @classmethod
    def of(cls, container: Container, autoencoder: Autoencoder, *, max_pixels: int = MAX_PIXELS) -> "Archive":
        """Make an archive of a container. Raises as ``open_decoder``, and ``AutoencoderMismatch``."""
        check_reference(container.header.autoencoder, autoencoder.reference)
        return cls(container, open_decoder(container, autoencoder), max_pixels=max_pixels)

    def __enter__(self) -> "Archive":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: the whole file was read, none is held open."""

    def __len__(self) -> int:
        return self.container.header.pictures

    def __getitem__(self, index: int) -> PillowImage:
        """Return the picture with an index, 0 to M - 1; negative ones count from the end."""
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

    @property
    def read_options(self) -> ReadOptions:
        """How files became pixels when the archive was packed."""
        read = self.container.read
        return ReadOptions(max_side=read.max_side, background=read.background)

    def size(self, index: int) -> tuple[int, int]:
        """Return width and height of the picture with an index."""
        width, height = self.container.sizes[self._positions[index]].tolist()
        return width, height

    def decode(
        self, indices: Iterable[int], *, batch_size: int = PICTURES_PER_BATCH, steps: int | None = None
    ) -> list[PillowImage]:
        """Return the pictures with the given indices, in that order.

        Raises:
            IndexOutOfRange: no picture has this index.
            PictureTooLarge: one of them has more than ``max_pixels``.
        """
        wanted = list(indices)
        pictures = dict(self.iterate(dict.fromkeys(wanted), batch_size=batch_size, steps=steps))
        return [to_image(pictures[index]) for index in wanted]

    def iterate(
        self, indices: Iterable[int], *, batch_size: int = PICTURES_PER_BATCH, steps: int | None = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield pairs of index and pixels, uint8 (H, W, 3), as they are decoded: pictures of a size come together.

        Warns with a ``CanaryWarning`` where the canary decodes to other pixels than when the archive was packed.

        Raises:
            IndexOutOfRange: no picture has this index.
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
        """Decode the canary, if the archive has one.

        Raises:
            DecoderMismatch: it decodes to other pixels than when the archive was packed.
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
            raise IndexOutOfRange(f"index {index} is out of range: the archive has 0 to {len(self) - 1}")
        width, height = self.size(index)
        if width * height > self.max_pixels:
            raise PictureTooLarge(
                f"picture {index} has {width}x{height} pixels, the limit is {self.max_pixels}; "
                "if you trust this file, raise it by --max-pixels (max_pixels of Archive.open)"
            )

    def _canary_fault(self, index: int, pixels: np.ndarray) -> str | None:
        canary = self.container.canary
        if canary is None or index != canary.index or canary.agrees(pixels):
            return None
        return (
            f"picture {index} decodes to other pixels than when the archive was packed: blocks of it differ by up to "
            f"{canary.difference(pixels):.1f} levels in the mean. The libraries here compute something else"
        )


def open_decoder(container: Container, autoencoder: Autoencoder) -> PictureDecoder:
    """Build the decoder of a container's codes or network.

    Raises:
        FormatError: the weights do not fit the network.
        AutoencoderMismatch: the package lacks the context model that the codes were made with.
    """
    header = container.header
    if container.codes is not None:
        if not isinstance(autoencoder, PackagedAutoencoder):
            raise AutoencoderMismatch(
                f"the archive holds codes, but {autoencoder.reference.name!r} has no context model"
            )
        found, channels = container.codes.model_sha256, header.autoencoder.latent_channels
        model = find_context_model(found)
        if model is None or model.channels != channels:
            known = ", ".join(f"{one.name} ({one.sha256.hex()[:16]})" for one in models(CONTEXT_MODEL))
            raise AutoencoderMismatch(
                f"this archive needs the context model {found.hex()[:16]} with {channels} channels, "
                f"this package has {known}"
            )
        if container.tuning is not None:
            autoencoder = autoencoder.with_update(container.tuning)
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
    decoder = untrained_decoder(header.denoising, autoencoder, header.pictures, header.seed)
    load_tensors(decoder.denoiser, tensors)
    return replace(decoder, header=header)
