"""The decoders of an archive: their models and weights, checked against what the archive says."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from unicorn_codec.codes.context_model import ContextModel, find_context_model, parse_context_model
from unicorn_codec.decoders.code_decoder import CodeDecoder, CodeSource
from unicorn_codec.decoders.picture_decoder import PictureDecoder
from unicorn_codec.errors import AutoencoderMismatch, InvalidField
from unicorn_codec.format.chunks import MODEL
from unicorn_codec.format.decoder_table import Decoder
from unicorn_codec.format.network_table import parse_update
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import Record
from unicorn_codec.format.stored_model import fingerprint_of, parse_model
from unicorn_codec.model_registry import CONTEXT_MODEL, models
from unicorn_codec.pictures.picture_files import printable
from unicorn_codec.transform.autoencoder import Autoencoder, PackagedAutoencoder
from unicorn_codec.transform.stored_autoencoder import StoredAutoencoder

KEPT_CODE_BYTES = 1 << 24
"""Bytes of cached codes, on which later pictures of sequences depend."""


class ArchiveCodes:
    """An archive's codes and opacities, read one by one. The latest are cached for pictures that depend on them."""

    def __init__(self, reader: ContainerReader) -> None:
        self._reader = reader
        self._kept: OrderedDict[int, Record] = OrderedDict()
        self._kept_bytes = 0

    def code(self, index: int) -> bytes:
        """Return the code of a picture, removed or not. Raises ``FormatError`` if it is damaged."""
        return self._record(index).code

    def tiles(self, index: int) -> Sequence[bytes]:
        """Return the codes of the tiles of a picture. Raises ``FormatError`` as ``code``."""
        return self._record(index).codes

    def alpha(self, index: int) -> bytes | None:
        """Return the bytes of a picture's opacity; None if it is opaque. Raises ``FormatError`` as ``code``."""
        return self._record(index).alpha

    def _record(self, index: int) -> Record:
        if index not in self._kept:
            row = self._reader.any_row(index) or self._reader.row(index)
            self._kept[index] = self._reader.record(row)
            self._kept_bytes += bytes_of(self._kept[index])
            while self._kept_bytes > KEPT_CODE_BYTES and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                self._kept_bytes -= bytes_of(dropped)
        return self._kept[index]


def bytes_of(record: Record) -> int:
    """Return the bytes of all parts of a record."""
    return sum(len(part.data) for part in record.parts)


def stored_autoencoder(reader: ContainerReader, described: Decoder, device: torch.device) -> StoredAutoencoder | None:
    """Return the autoencoder of a decoder if the archive holds it. Raises ``FormatError`` if it is damaged."""
    for payload in reader.attachments(MODEL):
        if fingerprint_of(payload) == described.model.fingerprint:
            return StoredAutoencoder(parse_model(payload), described.model, device)
    return None


def load_decoder(
    reader: ContainerReader, described: Decoder, autoencoder: Autoencoder, *, fast: bool = False
) -> PictureDecoder:
    """Build a decoder of an archive.

    Args:
        fast: compute the pixels of codes by ``fast_arithmetic``.

    Raises:
        FormatError: its weights are damaged, or do not fit.
        AutoencoderMismatch: the autoencoder, or its context model, is not the one that the archive was packed with.
    """
    model, reference = described.model, autoencoder.reference
    if (model.latent_channels, model.downsampling) != (reference.latent_channels, reference.downsampling):
        raise AutoencoderMismatch(
            f"this archive's latents have {model.latent_channels} channels and {model.downsampling} pixels a side, "
            f"those of {reference.name!r} have {reference.latent_channels} and {reference.downsampling}"
        )
    weights = None if described.weights is None else reader.weights(described.weights)
    if described.is_network:
        if not isinstance(autoencoder, StoredAutoencoder):
            check_model(described, [reference.model().fingerprint], reference.name)
        assert weights is not None, "a network has weights"
        return _network_decoder(weights, described, autoencoder)
    if described.is_functions:
        if not isinstance(autoencoder, StoredAutoencoder):
            check_model(described, [reference.model().fingerprint], reference.name)
        assert weights is not None, "functions have a shape"
        return overfitted_decoder(ArchiveCodes(reader), weights, described, autoencoder)
    if not isinstance(autoencoder, PackagedAutoencoder):
        raise AutoencoderMismatch(f"this archive holds codes, and {reference.name!r} has no context model")
    context_model = context_model_of(described, autoencoder)
    if weights is not None:
        from unicorn_codec.transform.folder_update import UpdatedModels

        updated = UpdatedModels(autoencoder, context_model).with_update(parse_update(weights))
        autoencoder, context_model = updated.autoencoder, updated.context_model
    return CodeDecoder(
        codes=ArchiveCodes(reader),
        latent_step=described.latent_step,
        level=described.level,
        short=described.short,
        autoencoder=autoencoder,
        model=context_model,
        fast=fast,
    )


def _network_decoder(weights: bytes, described: Decoder, autoencoder: Autoencoder) -> PictureDecoder:
    """Build the decoder of an index-only archive. Raises ``FormatError`` if its weights are damaged, or do not fit."""
    from unicorn_codec.decoders.network_decoder import untrained_decoder
    from unicorn_codec.format.network_table import parse_network
    from unicorn_codec.network.denoiser import load_tensors
    from unicorn_codec.weights.weight_section import parse_tensors

    stored = parse_network(weights, described.model, described.latent_step)
    # Parsed before the network is built, because the header can claim any size.
    tensors = parse_tensors(stored.weights, stored.header)
    denoising = stored.header.denoising
    assert denoising is not None, "a network has its denoising"
    decoder = untrained_decoder(denoising, autoencoder, stored.header.pictures, stored.header.seed)
    load_tensors(decoder.denoiser, tensors)
    return replace(decoder, header=stored.header, first=stored.first)


def overfitted_decoder(
    codes: CodeSource, weights: bytes, described: Decoder, autoencoder: Autoencoder
) -> PictureDecoder:
    """Build the decoder of overfitted functions. Raises ``FormatError`` if their weights are damaged."""
    from unicorn_codec.decoders.overfitted_decoder import OverfittedDecoder
    from unicorn_codec.format.function_table import parse_functions
    from unicorn_codec.overfitted.function_code import base_of
    from unicorn_codec.overfitted.function_shape import FunctionShape

    stored = parse_functions(weights, described.model.latent_channels)
    shape = FunctionShape(described.model.latent_channels, stored.settings)
    return OverfittedDecoder(
        codes=codes,
        scale=described.latent_step,
        shape=shape,
        base=base_of(shape, stored.common),
        autoencoder=autoencoder,
    )


def context_model_of(described: Decoder, autoencoder: PackagedAutoencoder) -> ContextModel:
    """Return the context model of a decoder: that of the package, or that of the archive if the autoencoder is too.

    Raises as ``load_decoder``.
    """
    if isinstance(autoencoder, StoredAutoencoder):
        found = parse_context_model(autoencoder.stored.context_model)
        if found.channels != described.model.latent_channels:
            raise InvalidField(f"context model: {found.channels} channels, not {described.model.latent_channels}")
        return found
    reference = autoencoder.reference
    known = {reference.model(one.sha256).fingerprint: one.sha256 for one in models(CONTEXT_MODEL)}
    check_model(described, known, reference.name)
    packaged = find_context_model(known[described.model.fingerprint])
    assert packaged is not None, "the registry lists it"
    return packaged


def check_model(described: Decoder, known: Mapping[bytes, object] | Sequence[bytes], name: str) -> None:
    """Raise ``AutoencoderMismatch`` unless a decoder's fingerprint is a known one."""
    if described.model.fingerprint not in known:
        known_ones = ", ".join(fingerprint.hex()[:16] for fingerprint in known) or "none"
        raise AutoencoderMismatch(
            f"this archive was packed with the model {printable(described.model.name)!r}, fingerprint "
            f"{described.model.fingerprint.hex()[:16]}; the installed {printable(name)!r} has {known_ones}"
        )
