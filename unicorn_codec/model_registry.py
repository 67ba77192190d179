"""The models that ship with the package, by role and name.

``pretrained/manifest.json`` lists them. Adding a model takes a file and an entry there: archives name models by name
and SHA-256, so neither the format nor this module knows any of them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import zstandard

from unicorn_codec.errors import ModelUnavailable

AUTOENCODER = "autoencoder"
CONTEXT_MODEL = "context-model"
THUMBNAIL = "thumbnail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of the package.

    Args:
        name: what archives and options call it. An autoencoder and the context model of its latents share a name.
        role: ``AUTOENCODER``, ``CONTEXT_MODEL`` or ``THUMBNAIL``.
        file: safetensors file in ``pretrained``, compressed by Zstandard where its name ends in ``.zst``.
        sha256: SHA-256 of the safetensors bytes; archives name a context model by it.
        size: bytes of the safetensors file, before compression.
        config: arguments of the network's class.
    """

    name: str
    role: str
    file: str
    sha256: bytes
    size: int
    config: Mapping[str, Any]

    def read(self) -> bytes:
        """Return the safetensors bytes.

        Raises:
            ModelUnavailable: the file is missing or is not the one that the manifest lists.
        """
        try:
            data = (resources.files("unicorn_codec") / "pretrained" / self.file).read_bytes()
            if self.file.endswith(".zst"):
                data = zstandard.ZstdDecompressor().decompress(data, max_output_size=self.size)
        except (OSError, zstandard.ZstdError) as error:
            raise ModelUnavailable(f"the package's model {self.file} cannot be read: {error}") from error
        if hashlib.sha256(data).digest() != self.sha256:
            raise ModelUnavailable(f"the package's model {self.file} is damaged: install unicorn-codec again")
        return data


def models(role: str) -> tuple[Model, ...]:
    """Return the package's models of a role, in the manifest's order."""
    return tuple(model for model in _manifest()[1] if model.role == role)


def names(role: str) -> tuple[str, ...]:
    """Return the names of the package's models of a role."""
    return tuple(model.name for model in models(role))


def get_model(role: str, name: str | None = None) -> Model:
    """Return the model with a role and name; None: the default one.

    Raises:
        ModelUnavailable: the package has no such model.
    """
    name = default_name() if name is None else name
    for model in models(role):
        if model.name == name:
            return model
    raise ModelUnavailable(f"the package has no {role} {name!r}; it has {', '.join(names(role))}")


def default_name() -> str:
    """Return the name of the models that packing uses unless told otherwise."""
    return _manifest()[0]


@cache
def _manifest() -> tuple[str, tuple[Model, ...]]:
    listed = json.loads((resources.files("unicorn_codec") / "pretrained" / "manifest.json").read_text("utf-8"))
    return listed["default"], tuple(
        Model(
            name=entry["name"],
            role=entry["role"],
            file=entry["file"],
            sha256=bytes.fromhex(entry["sha256"]),
            size=entry["bytes"],
            config=entry.get("config", {}),
        )
        for entry in listed["models"]
    )
