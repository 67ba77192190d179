"""Lists of pictures that a generation removed, from which the index can be rebuilt without them."""

from collections.abc import Iterable
from itertools import pairwise

from unicorn_codec.format.fields import Fields, check, refusing, varint
from unicorn_codec.format.limits import MAX_PICTURES


def serialize_removed(indices: Iterable[int]) -> bytes:
    """Write the payload of a list of removed pictures: their number, the first index, and the steps to the others."""
    listed = sorted(indices)
    steps = [listed[0], *(b - a for a, b in pairwise(listed))]
    return varint(len(steps)) + b"".join(map(varint, steps))


def removed_in(payload: bytes) -> list[int]:
    """Read the indices in a list of removed pictures. Raises ``InvalidField``."""
    fields, index, indices = Fields(payload), 0, list[int]()
    with refusing("removed pictures"):
        count = fields.varint(MAX_PICTURES, "their number")
        check(count > 0, "a list of none")
        for number in range(count):
            step = fields.varint(MAX_PICTURES - 1 - index, "a step to the next")
            check(step > 0 or not number, "they must ascend")
            index += step
            indices.append(index)
        fields.finish()
    return indices
