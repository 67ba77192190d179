"""An archive as a dataset of Hugging Face: nothing is copied, and workers share a streamed one."""

import sys
from pathlib import Path

import numpy as np
import pytest

from unicorn_codec.archive import Archive
from unicorn_codec.errors import IndexOutOfRange, PackageMissing
from unicorn_codec.huggingface import to_hf_dataset
from unicorn_codec.packing.reports import PackReport


def test_rows_are_decoded_when_they_are_read(coded: tuple[Path, PackReport]) -> None:
    pytest.importorskip("datasets")
    path, _ = coded
    dataset = to_hf_dataset(path, device="cpu")
    with Archive.open(path, device="cpu") as archive:
        assert len(dataset) == len(archive) and dataset.column_names == ["index", "name", "width", "height"]
        for row, index in zip(dataset, archive.indices, strict=True):
            assert (row["index"], row["name"]) == (index, archive.name(index))
            assert row["image"].size == (row["width"], row["height"]) == archive.size(index)
            assert np.array_equal(np.asarray(row["image"]), np.asarray(archive[index]))
    assert [image.mode for image in dataset[1:3]["image"]] == ["RGB", "RGB"]
    assert sorted(dataset.shuffle(seed=1)["name"]) == sorted(dataset["name"])


def test_a_streamed_dataset_is_shared_by_workers(
    coded: tuple[Path, PackReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("datasets")
    from torch.utils.data import DataLoader

    path, _ = coded
    monkeypatch.setattr("unicorn_codec.huggingface.PICTURES_PER_SHARD", 2)
    dataset = to_hf_dataset(path, streaming=True, device="cpu")
    loader = DataLoader(dataset, batch_size=None, num_workers=2)
    rows = list(loader)
    with Archive.open(path, device="cpu") as archive:
        assert sorted(row["index"] for row in rows) == archive.indices
        for row in rows:
            difference = np.asarray(row["image"]).astype(int) - np.asarray(archive[row["index"]])
            assert np.abs(difference).max() <= 1, "decoded together, the networks may sum in another order"


def test_indices_choose_rows(coded: tuple[Path, PackReport]) -> None:
    pytest.importorskip("datasets")
    path, _ = coded
    assert list(to_hf_dataset(path, [4, 1])["index"]) == [4, 1]
    with pytest.raises(IndexOutOfRange, match="no picture has the index 9"):
        to_hf_dataset(path, [0, 9])


def test_without_datasets_an_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(PackageMissing, match=r"unicorn-codec\[datasets\]"):
        to_hf_dataset("out.uni")
