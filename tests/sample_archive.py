"""Small archives that several tests share, made of codes that nobody decodes."""

import io
import random
from collections.abc import Sequence

import numpy as np

from unicorn_codec.format.canary import Canary
from unicorn_codec.format.decoder_table import Decoder
from unicorn_codec.format.fields import varint
from unicorn_codec.format.header import OWN_CLASS, ModelReference
from unicorn_codec.format.pages import FIRST_PSNR
from unicorn_codec.format.records import record_of_code
from unicorn_codec.format.writer import ContainerWriter

ID = bytes(range(8))
MODEL = ModelReference(
    name="photo-1",
    class_name=OWN_CLASS,
    fingerprint=bytes(range(16)),
    weight_bytes=5_600_000,
    latent_channels=32,
    downsampling=16,
)
DECODER = Decoder(model=MODEL, latent_step=3.0, level=5)
CANARY = Canary(index=0, sums=tuple(range(16)))


def code_of(number: int, length: int = 20) -> bytes:
    """A code of latents, as far as its first byte says."""
    return bytes([20]) + random.Random(number).randbytes(length)


def name_of(number: int) -> str:
    return f"cats/{number:04}.jpg"


def archive(
    count: int = 5, *, names: Sequence[str] | None = None, change: bytes = b"", archive_id: bytes = ID
) -> bytes:
    """An archive of ``count`` pictures, some of other sizes, the last two of a sequence; with a change if wanted."""
    file = io.BytesIO()
    writer = ContainerWriter(file, archive_id)
    weights = writer.add_weights(change) if change else None
    number = writer.add_decoder(Decoder(model=MODEL, latent_step=3.0, level=5, weights=weights))
    for index in range(count):
        code = code_of(index)
        if count > 3 and index >= count - 2:
            code = b"\xff\2first" if index == count - 2 else b"\xff\3" + varint(index - 1) + b"later"
        size = (64, 48) if index % 3 or index >= count - 2 else (17, 9)
        writer.add(record_of_code(index, *size, number, code), names[index] if names else name_of(index))
    indices = np.arange(count)
    writer.commit(seed=7, psnrs=(indices, FIRST_PSNR + 280 + indices % 100), canaries=[CANARY])
    return file.getvalue()
