"""An archive of many pictures with names of all sorts, made of the codes of a small one in no time."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unicorn_codec.format.pages import psnr_code
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import record_of_code
from unicorn_codec.format.sources import FileSource
from unicorn_codec.format.writer import ContainerWriter

HOSTILE = (
    "<img src=x onerror=alert(1)>.png",
    "</script><script>alert(1)</script>.jpg",
    "\" onmouseover=alert(1) '.png",
    "{{ 7*7 }}${7*7}.png",
    "a\u202egnp.exe.png",
)
"""Names that a careless page would take for markup."""


def write_many(path: Path, coded: Path, count: int, names: Sequence[str] = HOSTILE) -> None:
    """Write ``count`` pictures that repeat those of a packed archive; the first ones have the given names."""
    source = FileSource(coded)
    reader = ContainerReader(source)
    rows = [row for leaf in reader.leaves() for index in leaf.living.tolist() if (row := leaf.row(index))]
    with open(path, "wb") as file:
        writer = ContainerWriter(file, bytes(range(8)))
        number = writer.add_decoder(reader.decoder(0))
        for index in range(count):
            row = rows[index % len(rows)]
            name = names[index] if index < len(names) else f"set {index % 7}/picture {index:04}.png"
            writer.add(record_of_code(index, row.width, row.height, number, reader.record(row).code), name)
        psnrs = np.arange(count), np.array([psnr_code(20 + index % 200 / 10) for index in range(count)])
        writer.commit(seed=7, psnrs=psnrs, canaries=[])
    source.close()
