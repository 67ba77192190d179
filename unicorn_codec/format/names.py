"""Names of pictures: what the format allows, and the hash by which one is found.

A name is stored as it was given. Two names that differ by their Unicode normal form alone are two names; both are found
by either, the exact one first.
"""

import hashlib
import re
import unicodedata

from unicorn_codec.format.fields import FORBIDDEN_CHARACTERS, check
from unicorn_codec.format.limits import MAX_NAME_BYTES

_FORBIDDEN = re.compile(rf"[\n{FORBIDDEN_CHARACTERS}]|(?:^|/)\.{{0,2}}(?:/|$)")


def is_forbidden_name(name: str) -> bool:
    """Whether the format refuses a name for what it is made of."""
    return _FORBIDDEN.search(name) is not None


def check_name(name: str) -> None:
    """Raise ``InvalidSetting`` unless a picture may be called so.

    A name has 1 to ``MAX_NAME_BYTES`` bytes of UTF-8 and is relative, with ``/`` between its components, none of which
    is empty, ``.`` or ``..``; it holds no control character and no backslash.
    """
    check(
        not is_forbidden_name(name),
        f"the name {name!r} holds a forbidden character, is absolute, or has a component '', '.' or '..'",
    )
    length = len(name.encode())
    check(length <= MAX_NAME_BYTES, f"a name has {length} bytes, at most {MAX_NAME_BYTES} are allowed")


def name_hash(name: str) -> int:
    """Return the 64 bits by which a name and its equals in other normal forms are found."""
    normal = unicodedata.normalize("NFC", name).encode()
    return int.from_bytes(hashlib.sha256(normal).digest()[:8], "big")


def same_name(one: str, other: str) -> bool:
    """Whether two names are equal but for their normal form."""
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
