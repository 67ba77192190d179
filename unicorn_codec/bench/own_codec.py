"""This codec as one of those that a benchmark compares."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from unicorn_codec.archive import Archive
from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.bench.rivals import Codec, Sizes
from unicorn_codec.config import CodesOptions, Goal, PackOptions, ReadOptions, Target
from unicorn_codec.effort import LONG_EFFORT, RANDOM_EFFORT
from unicorn_codec.inspection import describe
from unicorn_codec.network_options import NetworkOptions, TrainConfig
from unicorn_codec.packing.pack import pack
from unicorn_codec.pictures.pixels import Pixels

OWN_NAME = "unicorn"
EFFORTS = {f"unicorn-effort-{rounds}": rounds for rounds in (0, RANDOM_EFFORT, LONG_EFFORT)}
"""Efforts to compare, by name: unrefined codes, random refinement, and long refinement."""

CODE_STEPS = (8.0, 4.8, 2.3, 1.5)
"""Quantisation steps of a benchmark by default. They give every folder a range of rates without a search."""

INDEX_ONLY_RATES = (0.5, 1.0)
"""Target rates of index-only archives, in bits per pixel."""


@dataclass(frozen=True, kw_only=True)
class Unicorn(Codec):
    """Packs all pictures into one ``.uni`` file. Packing includes measuring that file, as ``pack`` always does."""

    settings: Mapping[str, PackOptions]
    name: str = OWN_NAME
    title: str = OWN_NAME
    file_name: ClassVar[str] = "out.uni"

    def encode(self, pictures: PictureSet, setting: str, folder: Path) -> None:
        pack(pictures.folder.root, folder / self.file_name, self.settings[setting])

    def decode(self, folder: Path, sizes: Sizes) -> Iterator[Pixels]:
        device = next(iter(self.settings.values())).device
        with Archive.open(folder / self.file_name, device=device) as archive:
            index_of_name = {name: index for index, name in archive.names.items()}
            indices = [index_of_name[name] for name in sorted(index_of_name, key=lambda name: name.encode("utf-8"))]
            early: dict[int, Pixels] = {}
            wanted = iter(indices)
            due = next(wanted, None)
            for index, pixels in archive.iterate(indices):
                early[index] = pixels  # pictures are decoded in groups of one size, so some wait for their turn
                while due in early:
                    yield early.pop(due)
                    due = next(wanted, None)


def own_settings(*, read: ReadOptions, seconds: float | None, seed: int, device: str) -> dict[str, PackOptions]:
    """Return the settings of a benchmark by default: codes at some steps, and index-only networks of some sizes.

    Args:
        seconds: of training for each network. None: no index-only archives.
    """
    codes = CodesOptions(read=read, seed=seed, device=device)
    settings: dict[str, PackOptions] = {
        f"codes, step {step:g}": replace(codes, target=Target(Goal.STEP, step)) for step in CODE_STEPS
    }
    if seconds is None:
        return settings
    network = NetworkOptions(read=read, seed=seed, device=device, train=TrainConfig(seconds=seconds))
    return settings | {
        f"index only, {rate:g} bpp": replace(network, target=Target(Goal.RATE, rate)) for rate in INDEX_ONLY_RATES
    }


def autoencoder_bytes(folder: Path) -> int:
    """Return the size of the autoencoder's weights, which decoding needs in addition to the file."""
    weight_bytes: int = describe(folder / Unicorn.file_name)["autoencoder"]["bytes"]
    return weight_bytes
