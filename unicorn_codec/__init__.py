"""unicorn-codec: an archive codec for image collections. A folder of pictures becomes one ``.uni`` file, from which any
picture comes back by its index.

>>> import unicorn_codec
>>> unicorn_codec.pack("photos/", "out.uni")  # doctest: +SKIP
>>> with unicorn_codec.Archive.open("out.uni") as archive:  # doctest: +SKIP
...     archive[42].save("42.png")

``format_spec/uni-1.md`` specifies the file format. Each folder is a layer that uses only those before it:

    format     bytes and bits of a file, its chunks and records, the integer coder
    weights    a network's weights <-> bytes
    codes      quantised latents and their bytes, by an integer context model
    pictures   files and folders of pictures, AVIF and AV1, distortion metrics
    network    the denoiser that learns a set: its parts, its sampler, its training
    transform  the autoencoder: pixels to latents and back
    decoders   an archive's codes, or its network, to pixels

    packing    the writer: a folder to a container, of codes or of a network
    viewing    a gallery in the browser, contact sheets, reports
    bench      this codec compared with others

Between ``decoders`` and ``packing`` lie the modules of the reader: ``archive``, ``measurement``, ``verification``. They
need nothing of packing. ``tests/test_module_order.py`` lists all modules in order, and holds it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unicorn_codec.archive import Archive as Archive
    from unicorn_codec.config import CodesOptions as CodesOptions
    from unicorn_codec.config import Goal as Goal
    from unicorn_codec.config import MetadataOptions as MetadataOptions
    from unicorn_codec.config import OverfitOptions as OverfitOptions
    from unicorn_codec.config import Target as Target
    from unicorn_codec.network_options import NetworkOptions as NetworkOptions
    from unicorn_codec.packing.pack import pack as pack
    from unicorn_codec.regions import Region as Region
    from unicorn_codec.verification import verify as verify

__version__ = "0.1.0"

_MODULES = {
    "Archive": "archive",
    "CodesOptions": "config",
    "Goal": "config",
    "MetadataOptions": "config",
    "NetworkOptions": "network_options",
    "OverfitOptions": "config",
    "Region": "regions",
    "Target": "config",
    "pack": "packing.pack",
    "verify": "verification",
}
"""What callers import from here, and the module that each name lives in. They load torch, so only when asked for."""


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
