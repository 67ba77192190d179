"""The entropy coder, one step after the other."""

import struct
from collections.abc import Sequence
from typing import Any

Table = tuple[int, ...]  # how many slots each symbol has, 2^14 in all
Step = list[tuple[int, int] | None]  # of each lane the number of a table and a symbol, or nothing


def rans_encode(tables: Sequence[Table], steps: Sequence[Step], lanes: int, *, short: bool = False) -> bytes:
    """States, then the 16-bit words in the order in which a reader wants them."""
    states = [255 if short else 1 << 16] * lanes
    last_to_first: list[int] = []
    lifted = not short
    for step in reversed(steps):
        slots = [1 << 14 if coded is None else tables[coded[0]][coded[1]] for coded in step]
        if not lifted and any(state + 65536 >= f << 18 for state, f in zip(states, slots, strict=True)):
            lifted, states = True, [state + 65536 for state in states]
        for lane, coded in reversed(list(enumerate(step))):
            if coded is None:
                continue
            table, symbol = tables[coded[0]], coded[1]
            if states[lane] >= table[symbol] << 18:
                last_to_first.append(states[lane] & 0xFFFF)
                states[lane] >>= 16
            quotient, remainder = divmod(states[lane], table[symbol])
            states[lane] = (quotient << 14) + sum(table[:symbol]) + remainder
    head, tail = struct.pack(f"<{lanes}I", *states), struct.pack(f"<{len(last_to_first)}H", *reversed(last_to_first))
    if short:
        head = head.rstrip(b"\0") if not tail else head[:-1] if head.endswith(b"\0") else head
    return head + tail


def rans_decode(
    tables: Sequence[Table], steps: Sequence[Step], lanes: int, stream: bytes, *, short: bool = False
) -> list[Step]:
    """The steps again; only which table each lane has is taken from those given."""
    if short:
        end = 4 * lanes - len(stream) % 2 if len(stream) > 4 * lanes else len(stream)
        stream = stream[:end] + bytes(4 * lanes - end) + stream[end:]
    states = list(struct.unpack_from(f"<{lanes}I", stream))
    tail = list(struct.unpack(f"<{len(stream) // 2 - 2 * lanes}H", stream[4 * lanes :]))
    lifted = bool(tail) or not short
    found: list[Step] = [[None] * lanes for _ in steps]
    for step, result in zip(steps, found, strict=True):
        for lane, coded in enumerate(step):
            if coded is None:
                continue
            table, slot = tables[coded[0]], states[lane] & 0x3FFF
            symbol = next(s for s in range(len(table)) if slot < sum(table[: s + 1]))
            result[lane] = (coded[0], symbol)
            states[lane] = table[symbol] * (states[lane] >> 14) + slot - sum(table[:symbol])
            if lifted and states[lane] < 1 << 16:
                states[lane] = states[lane] << 16 | tail.pop(0)
        if short and lifted and not tail:
            lifted, states = False, [state - 65536 for state in states]
    assert (tail, states) == ([], [255 if short else 1 << 16] * lanes)
    return found


def rans_values() -> list[dict[str, Any]]:
    """Streams of one and of several lanes, of frequent, rare and certain symbols, and of none."""
    even: Table = (4096, 4096, 4096, 4096)
    skewed: Table = (16381, 1, 1, 1)
    lanes: list[Table] = [even, skewed, (1, 5461, 5461, 5461)]
    listed: list[tuple[str, list[Table], list[Step], int]] = [
        ("even", [even], [[(0, 7 * i // 3 % 4)] for i in range(24)], 1),
        ("frequent", [skewed], [[(0, i // 50)] for i in range(60)], 1),
        ("rare", [skewed], [[(0, 1 + i % 3)] for i in range(12)], 1),
        ("certain", [(16384,)], [[(0, 0), (0, 0)]] * 5, 2),
        ("lanes", lanes, [[(i * j % 3, (i + j) ** 2 % 4) for j in range(5)] for i in range(16)], 5),
        ("silent-lanes", lanes, [[(j, (i ^ j) % 4) if i % (j + 1) else None for j in range(3)] for i in range(16)], 3),
        ("nothing", [even], [], 3),
    ]
    return [rans_case(*each, short=short) for short in (False, True) for each in listed]


def rans_case(name: str, tables: list[Table], steps: list[Step], lanes: int, *, short: bool) -> dict[str, Any]:
    """A stream that comes back as it went in."""
    stream = rans_encode(tables, steps, lanes, short=short)
    assert rans_decode(tables, steps, lanes, stream, short=short) == steps
    name = f"short-{name}" if short else name
    return {"name": name, "short": short, "lanes": lanes, "tables": tables, "steps": steps, "hex": stream.hex()}
