"""The model and the specification inside an archive, for readers that have neither."""

from importlib import resources

from unicorn_codec.format.chunks import MODEL, TEXT
from unicorn_codec.format.decoder_table import OF_CODES, Decoder
from unicorn_codec.format.fields import check
from unicorn_codec.format.header import ModelReference
from unicorn_codec.format.stored_model import serialize_model, serialize_text
from unicorn_codec.format.writer import ContainerWriter
from unicorn_codec.transform.autoencoder import Autoencoder, PackagedAutoencoder
from unicorn_codec.transform.stored_autoencoder import model_to_store

SELF_CONTAINED_BYTES = 100_000_000
"""Bytes of records from which an archive is self-contained by default: model and text then take a sixteenth of it."""


def is_wanted(choice: bool | None, record_bytes: float, autoencoder: Autoencoder) -> bool:
    """Return whether an archive gets model and specification; without a choice, its size decides.

    Raises ``InvalidSetting`` if it should, and the model is not one of the package.
    """
    is_packaged = isinstance(autoencoder, PackagedAutoencoder)
    check(is_packaged or not choice, "only a model of the package can be stored in an archive")
    return is_packaged and record_bytes >= SELF_CONTAINED_BYTES if choice is None else choice


def is_wanted_now(choice: bool | None, before: float, after: float, autoencoder: Autoencoder) -> bool:
    """Return whether an archive without model and specification gets them as it grows; sizes are in bytes.

    Without a choice it does if it becomes so large as those that have them by default. One that was before, and has
    none, was packed with the choice against them.

    Raises ``InvalidSetting`` as ``is_wanted``.
    """
    wanted = is_wanted(choice, after, autoencoder)
    return wanted and (choice is True or before < SELF_CONTAINED_BYTES)


def attach_model(writer: ContainerWriter, decoder: Decoder) -> None:
    """Write the packaged model that a decoder needs, and the text of the specification."""
    writer.attach(MODEL, serialize_model(model_to_store(decoder.model, with_codes=decoder.kind == OF_CODES)))
    writer.attach(TEXT, serialize_text(specification()))


def attached_bytes(reference: ModelReference) -> int:
    """Return about the bytes of what ``attach_model`` writes for codes of a model."""
    return len(serialize_model(model_to_store(reference, with_codes=True))) + len(serialize_text(specification()))


def specification() -> bytes:
    """Return the text of the format's specification."""
    return (resources.files("unicorn_codec") / "pretrained" / "uni-1.md").read_bytes()
