"""Names of pictures: the format's rules, and the hash for lookup.

Names are stored unchanged. Names that differ only in Unicode's normal form are distinct; a lookup by either finds both,
the exact one first.
"""

import hashlib
import re
import unicodedata

from unicorn_codec.format.fields import FORBIDDEN_CHARACTERS, check
from unicorn_codec.format.limits import MAX_NAME_BYTES

_FORBIDDEN = re.compile(rf"[\n{FORBIDDEN_CHARACTERS}]|(?:^|/)\.{{0,2}}(?:/|$)")


def is_forbidden_name(name: str) -> bool:
    """Return whether the format refuses a name's characters or components."""
    return _FORBIDDEN.search(name) is not None


def check_name(name: str) -> None:
    """Raise ``InvalidSetting`` unless a name is valid.

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
    """Return the 64-bit hash of a name, which is equal for all normal forms."""
    normal = unicodedata.normalize("NFC", name).encode()
    return int.from_bytes(hashlib.sha256(normal).digest()[:8], "big")


def same_name(one: str, other: str) -> bool:
    """Return whether two names are equal up to the normal form."""
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
