"""Files that hold a model, and the text of the specification."""

import hashlib
from collections.abc import Mapping

from vector_makers.archive import FINGERPRINT, File
from vector_makers.fields import changed, leb, stored
from vector_makers.sample_archives import Invalid, Valid, expected, three


def stored_model(changes: Mapping[str, bytes] | None = None, damage: int = 0) -> bytes:
    """The payload of a chunk a whose tensors are none, with what is to be wrong in it."""
    fields = {"name": b"\7photo-1", "config": leb(2) + b"{}", "decoder": leb(3) + b"dec", "context": leb(3) + b"ctx"}
    content = changed(fields, changes or {})
    sha256 = hashlib.sha256(FINGERPRINT + content).digest()
    return FINGERPRINT + bytes([sha256[0] ^ damage]) + sha256[1:] + stored(content)


def self_contained(payload: bytes, letter: str = "a") -> bytes:
    """A file with a chunk of a model, or of the specification."""
    file = File()
    file.decoder()
    file.records(three())
    at = file.add(letter, payload)
    file.attachments.append((letter.encode(), at[0], at[1]))
    file.root = file.leaf()
    return file.footer()


def self_contained_files() -> list[Valid]:
    """Files with a model, and with the specification."""
    models = expected(models=[["photo-1", "7b7d", "646563", "637478"]])
    return [
        ("model", "UNI-153", self_contained(stored_model()), models),
        ("specification", "UNI-154", self_contained(stored("é".encode()), "s"), expected(texts=["é"])),
    ]


def model_errors() -> list[Invalid]:
    """Files with a model that is wrong."""
    cases = [
        ("model-with-more", {"context": leb(3) + b"ctx?"}),
        ("model-cut", {"context": leb(4) + b"ctx"}),
        ("model-with-a-long-configuration", {"config": leb(4097) + bytes(4097)}),
        ("model-with-a-bad-name", {"name": b"\1\n"}),
    ]
    return [
        *((name, "UNI-150", "InvalidField", self_contained(stored_model(change))) for name, change in cases),
        ("model-too-short", "UNI-150", "InvalidField", self_contained(FINGERPRINT)),
        ("model-of-another-sha-256", "UNI-151", "ChecksumMismatch", self_contained(stored_model(damage=1))),
        ("specification-that-is-no-text", "UNI-150", "InvalidField", self_contained(stored(b"\xff"), "s")),
    ]
