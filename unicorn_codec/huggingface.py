"""Pictures of an archive as a dataset of Hugging Face's ``datasets``.

>>> from unicorn_codec.huggingface import to_hf_dataset
>>> to_hf_dataset("out.uni")[0]["image"].save("0.png")  # doctest: +SKIP
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unicorn_codec.errors import IndexOutOfRange, PackageMissing
from unicorn_codec.pictures.transparency import WHITE, Colour
from unicorn_codec.process_archive import ProcessArchive

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

PICTURES_PER_SHARD = 256
"""Of a streamed dataset: what one worker reads before it takes the next shard."""

PICTURES_AT_ONCE = 32
"""Of a streamed dataset: pictures that are decoded together."""


def to_hf_dataset(
    path: Path | str,
    indices: Iterable[int] | None = None,
    *,
    streaming: bool = False,
    device: str = "auto",
    background: Colour | None = WHITE,
) -> "Dataset | IterableDataset":
    """Return an archive's pictures as a dataset with the columns image, index, name, width and height.

    Nothing is copied: rows of the map-style dataset are decoded when they are read, and ``map`` or ``push_to_hub``
    write what they decode.

    Args:
        path: of the archive, or a URL that fsspec reads.
        indices: of the pictures, in this order; all of them by default.
        streaming: return an iterable dataset, in shards that workers share among each other.
        device: auto, cpu or cuda, on which rows that are read together are decoded together.
        background: (R, G, B) onto which transparent pictures are flattened; None: keep their transparency.

    Raises:
        PackageMissing: ``datasets`` is not installed.
        FormatError, ArchiveUnreadable: the file is missing or not a valid archive.
        IndexOutOfRange: no picture has one of the indices.
    """
    try:
        import datasets
    except ImportError as error:
        raise PackageMissing("to_hf_dataset needs datasets: pip install 'unicorn-codec[datasets]'") from error
    rows = Rows(path, device, background)
    known = rows.opened.archive.indices
    chosen = known if indices is None else [int(index) for index in indices]
    if lacking := set(chosen) - set(known):
        raise IndexOutOfRange(f"{path}: no picture has the index {min(lacking)}")
    if streaming:
        shards = [chosen[at : at + PICTURES_PER_SHARD] for at in range(0, len(chosen), PICTURES_PER_SHARD)]
        return datasets.IterableDataset.from_generator(rows.of_shards, gen_kwargs={"shards": shards})
    return datasets.Dataset.from_dict(rows.columns(chosen)).with_transform(rows)


class Rows:
    """Rows of a dataset. Each process opens the archive for itself; see ``to_hf_dataset``."""

    def __init__(self, path: Path | str, device: str, background: Colour | None) -> None:
        self.opened = ProcessArchive(path, device=device, background=background)

    def columns(self, indices: Sequence[int]) -> dict[str, list[Any]]:
        """Return all columns but the pictures."""
        archive = self.opened.archive
        names, sizes = archive.names_of(indices), [archive.size(index) for index in indices]
        return {
            "index": list(indices),
            "name": [names[index] for index in indices],
            "width": [width for width, _ in sizes],
            "height": [height for _, height in sizes],
        }

    def __call__(self, columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Add the pictures to some rows, unless columns without their indices are wanted alone."""
        if "index" not in columns:
            return columns
        return {"image": self.opened.decode(columns["index"]), **columns}

    def of_shards(self, shards: Sequence[Sequence[int]]) -> Iterator[dict[str, Any]]:
        """Yield the rows of some shards, which are lists of indices."""
        for shard in shards:
            for at in range(0, len(shard), PICTURES_AT_ONCE):
                columns = self(self.columns(shard[at : at + PICTURES_AT_ONCE]))
                for values in zip(*columns.values(), strict=True):
                    yield dict(zip(columns, values, strict=True))
