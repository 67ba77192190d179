"""Packed bytes: raw data, or a zstd frame if that is shorter."""

import zstandard

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.fields import Fields, varint
from unicorn_codec.format.limits import MAX_EXPANSION, MAX_RAW_BYTES, MAX_WINDOW_BYTES

_MAGIC = b"\x28\xb5\x2f\xfd"
_LEVEL = 19


def pack_bytes(raw: bytes, level: int | None = None) -> bytes:
    """Write packed bytes: twice the raw length, plus one for zstd, then raw data or a frame.

    Args:
        level: of zstd; None: the highest that is sensible, at which large data that do not compress take long.
    """
    if level is None:
        level = _LEVEL if len(raw) <= MAX_WINDOW_BYTES else 3
    frame = zstandard.ZstdCompressor(level=level).compress(raw)
    if len(frame) < len(raw) <= MAX_EXPANSION * len(frame) and _window_bytes(frame) <= MAX_WINDOW_BYTES:
        return varint(len(raw) << 1 | 1) + frame
    return varint(len(raw) << 1) + raw


def unpack_bytes(data: bytes, limit: int = MAX_RAW_BYTES) -> bytes:
    """Invert ``pack_bytes``.

    Raises ``InvalidField`` for invalid data. The raw length is checked against the limit and the available bytes before
    memory is allocated.
    """
    fields = Fields(data)
    head = fields.varint(what="the raw length")
    raw_length, is_frame = head >> 1, head & 1
    if raw_length > limit:
        raise InvalidField(f"packed bytes: raw length {raw_length}, at most {limit} are allowed here")
    stored = fields.rest()
    if is_frame:
        if not len(stored) < raw_length <= MAX_EXPANSION * len(stored):
            raise InvalidField(
                f"packed bytes: raw length {raw_length} from {len(stored)} bytes; a zstd frame must be shorter than "
                f"its raw bytes, by a factor of {MAX_EXPANSION} at most"
            )
        return unpack_frame(stored, raw_length)
    if raw_length != len(stored):
        raise InvalidField(f"packed bytes: raw length {raw_length}, but {len(stored)} bytes are stored")
    return stored


def unpack_frame(frame: bytes, raw_length: int) -> bytes:
    """Return the bytes in exactly one zstd frame.

    Raises ``InvalidField`` unless they are ``raw_length`` bytes, which must be allowed already.
    """
    if not frame.startswith(_MAGIC):
        raise InvalidField("packed bytes: not a zstd frame")
    try:
        parameters = zstandard.get_frame_parameters(frame)
        if parameters.content_size != raw_length:
            raise InvalidField(f"packed bytes: raw length {raw_length}, the zstd frame says {parameters.content_size}")
        if parameters.dict_id:
            raise InvalidField(f"packed bytes: the zstd frame needs the dictionary {parameters.dict_id}")
        if parameters.window_size > MAX_WINDOW_BYTES:
            window = parameters.window_size
            raise InvalidField(f"packed bytes: a zstd window of {window} bytes, allowed are {MAX_WINDOW_BYTES}")
        return zstandard.ZstdDecompressor().decompress(frame, read_across_frames=False, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise InvalidField(f"packed bytes: not exactly one valid zstd frame ({error})") from error


def _window_bytes(frame: bytes) -> int:
    return zstandard.get_frame_parameters(frame).window_size
