"""Fields that files are made of: numbers, columns, packed bytes."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any


def pack(codes: Sequence[int], bits: int) -> bytes:
    """Most significant bit first, zero bits at the end."""
    text = "".join(f"{code:0{bits}b}" for code in codes) if bits else ""
    text += "0" * (-len(text) % 8)
    return bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))


def leb(number: int, pad: int = 0) -> bytes:
    """LEB128; with some needless bytes if wanted."""
    found = bytearray()
    while number >= 128 or pad:
        pad -= number < 128
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def crc16(data: bytes, start: int) -> int:
    """The CRC-16 of XMODEM, begun with a number."""
    crc = start
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return crc


def tagged(tag: int, *numbers: int, data: bytes = b"") -> bytes:
    """A field of a record's extras."""
    content = b"".join(map(leb, numbers)) + data
    return bytes([tag]) + leb(len(content)) + content


def column(numbers: Sequence[int], bits: int | None = None, lowest: int | None = None) -> bytes:
    """A column, as narrow as it can be unless something else is wanted."""
    lowest = min(numbers) if lowest is None else lowest
    bits = (max(numbers) - lowest).bit_length() if bits is None else bits
    return bytes([bits]) + leb(lowest) + pack([n - lowest for n in numbers], bits)


def stored(raw: bytes) -> bytes:
    """Packed bytes as they are."""
    return leb(2 * len(raw)) + raw


def in_columns(names: Sequence[bytes]) -> bytes:
    """The first bytes of all names, then the second ones, and so on, with zeros behind the shorter names."""
    longest = max(map(len, names))
    return bytes(name[place] if place < len(name) else 0 for place in range(longest) for name in names)


def zeros_frame(count: int) -> bytes:
    """A zstd frame of one run-length block: ``count`` zero bytes, 256 to 65791."""
    return b"\x28\xb5\x2f\xfd\x60" + struct.pack("<H", count - 256) + (count << 3 | 3).to_bytes(3, "little") + b"\0"


def raw_frame(raw: bytes, window: int | None = None) -> bytes:
    """A zstd frame of one block as it is: at most 255 bytes, or a window of 2^window bytes and no content size."""
    head = b"\x20" + bytes([len(raw)]) if window is None else b"\0" + bytes([(window - 10) << 3])
    return b"\x28\xb5\x2f\xfd" + head + (len(raw) << 3 | 1).to_bytes(3, "little") + raw


def zstd(raw_length: int, frame: bytes) -> bytes:
    """Packed bytes as a zstd frame."""
    return leb(2 * raw_length + 1) + frame


def changed(fields: Mapping[str, bytes], changes: Mapping[str, bytes]) -> bytes:
    """Fields one after the other, at their usual values where nothing else is asked for."""
    assert set(changes) <= set(fields), set(changes) - set(fields)
    return b"".join(changes.get(name, usual) for name, usual in fields.items())


def bit_packing_values() -> list[dict[str, Any]]:
    """Codes with extremes of several widths."""
    widths = (0, 1, 3, 7, 8, 13, 14, 16, 31, 32)
    listed = [(bits, [0, (1 << bits) - 1, (1 << bits) // 3, 0, (1 << bits) // 2]) for bits in widths]
    return [{"bits": bits, "codes": codes, "hex": pack(codes, bits).hex()} for bits, codes in listed]
