"""A dataset gives an archive's pictures to every kind of worker, with the same pixels."""

import pickle
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from unicorn_codec.archive import Archive
from unicorn_codec.errors import ArchiveUnreadable, IndexOutOfRange, InvalidSetting
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.pictures.pixels import PillowImage
from unicorn_codec.torch import PictureDataset, collate_pictures
from unicorn_codec.transform.autoencoder import BATCH_PIXELS, PackagedAutoencoder

GOLDEN = Path(__file__).parent / "golden"
STATUS = Path("/proc/self/statm")
MAX_PICKLE_BYTES = 1000
MAX_GROWTH = 3 << 20
"""Bytes in 72 decoded pictures, each of which holds a few hundred kB while it is decoded."""


def folder_of(name: str) -> str:
    return name.split("/")[0]


def to_side_16(image: PillowImage) -> torch.Tensor:
    return torch.from_numpy(np.array(image.resize((16, 16))).astype(np.float32))


def pixels_of_all(path: Path) -> list[torch.Tensor]:
    with Archive.open(path, device="cpu") as archive:
        return [torch.from_numpy(np.array(archive[index])).permute(2, 0, 1) for index in archive.indices]


@pytest.mark.parametrize("start", [None, "spawn", "fork"])
@pytest.mark.parametrize("batch_decode", [False, True])
def test_all_kinds_of_workers_give_the_pixels_of_the_archive(
    coded: tuple[Path, PackReport], start: str | None, batch_decode: bool
) -> None:
    path, _ = coded
    dataset = PictureDataset(path, batch_decode=batch_decode, device="cpu")
    first = dataset[0]  # the archive and its model are open in this process before a worker is forked
    workers = 0 if start is None else 2
    loader = DataLoader(
        dataset,
        batch_size=2,
        num_workers=workers,
        multiprocessing_context=start,
        persistent_workers=workers > 0,
        collate_fn=collate_pictures,
    )
    wanted = pixels_of_all(path)
    assert torch.equal(first, wanted[0])
    for _ in range(2):  # persistent workers keep their archive for the second epoch
        found = [picture for batch in loader for picture in batch]
        assert len(found) == len(wanted) == len(dataset)
        for picture, expected in zip(found, wanted, strict=True):
            assert picture.dtype == torch.uint8
            if batch_decode:  # the networks may sum a batch in another order
                assert picture.shape == expected.shape
                assert (picture.int() - expected.int()).abs().max() <= 1
            else:
                assert torch.equal(picture, expected)


def test_only_a_path_travels_to_a_worker(coded: tuple[Path, PackReport]) -> None:
    path, _ = coded
    dataset = PictureDataset(path, transform=to_side_16)
    assert dataset[0].shape == (16, 16, 3) and len(dataset.indices) == len(dataset)
    pickled = pickle.dumps(dataset)
    assert len(pickled) <= MAX_PICKLE_BYTES
    assert torch.equal(pickle.loads(pickled)[1], dataset[1])


def test_indices_choose_pictures_and_their_order(coded: tuple[Path, PackReport]) -> None:
    path, _ = coded
    everything, some = PictureDataset(path), PictureDataset(path, indices=[4, 1])
    assert len(some) == 2 and some.name(0) == everything.name(4)
    assert torch.equal(some[0], everything[4]) and torch.equal(some[-1], everything[1])
    with pytest.raises(IndexError):
        some[2]
    for wrong in ([0, 6], [-1]):
        with pytest.raises(IndexOutOfRange, match="no picture has the index"):
            PictureDataset(path, indices=wrong)


def test_what_is_no_index_and_no_device_is_refused(coded: tuple[Path, PackReport]) -> None:
    path, _ = coded
    for wrong in ([1.5], ["1"]):
        with pytest.raises(TypeError, match="integer"):
            PictureDataset(path, indices=wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidSetting, match="unknown device 'gpu': use auto, cpu or cuda"):
        PictureDataset(path, device="gpu")[0]


def test_labels_come_from_names(coded: tuple[Path, PackReport]) -> None:
    path, _ = coded
    dataset = PictureDataset(path, transform=to_side_16, label=folder_of)
    pictures, labels = next(iter(DataLoader(dataset, batch_size=6)))
    assert pictures.shape == (6, 16, 16, 3)
    assert sorted(labels) == sorted(folder_of(dataset.name(position)) for position in range(6))
    assert labels.count("tall") == 2


def test_pictures_of_several_sizes_collate_into_a_list(coded: tuple[Path, PackReport]) -> None:
    path, _ = coded
    dataset = PictureDataset(path, label=len)
    pictures, labels = collate_pictures([dataset[position] for position in range(6)])
    assert isinstance(pictures, list) and labels.shape == (6,)
    assert {tuple(picture.shape) for picture in pictures} == {(3, 40, 50), (3, 70, 33)}
    same = [position for position in range(6) if dataset[position][0].shape == (3, 40, 50)]
    stacked, _ = collate_pictures([dataset[position] for position in same])
    assert stacked.shape == (4, 3, 40, 50)


def test_transparent_pictures_lie_on_a_background_or_keep_their_transparency() -> None:
    path = GOLDEN / "transparency.uni"
    flattened, kept = PictureDataset(path), PictureDataset(path, background=None)
    assert {flattened[position].shape[0] for position in range(len(flattened))} == {3}
    assert 4 in {kept[position].shape[0] for position in range(len(kept))}


def test_files_that_are_no_pictures_are_left_out() -> None:
    with Archive.open(GOLDEN / "exact.uni") as archive:
        assert len(PictureDataset(GOLDEN / "exact.uni")) == len(archive.indices) < len(archive.members)


def test_a_missing_archive_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(ArchiveUnreadable):
        PictureDataset(tmp_path / "missing.uni")


@pytest.mark.skipif(not STATUS.exists(), reason="this system does not say how much memory a process has")
def test_memory_does_not_grow_with_the_epochs(coded: tuple[Path, PackReport]) -> None:
    path, _ = coded
    dataset = PictureDataset(path)
    resident = []
    for _ in range(9):
        for position in 2 * list(range(len(dataset))):
            dataset[position]
        resident.append(int(STATUS.read_text().split()[1]) * resource.getpagesize())
    assert resident[-1] - resident[2] <= MAX_GROWTH, f"{resident} bytes"


@pytest.mark.filterwarnings("ignore::unicorn_codec.errors.CanaryWarning")  # all pixels are zeros
def test_a_batch_is_decoded_together_on_the_chosen_device_and_by_no_network_on_the_cpu(
    coded: tuple[Path, PackReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device without memory takes the GPU's place: whatever reaches it cannot have been computed here."""
    away, batches = torch.device("meta"), list[torch.Size]()
    monkeypatch.setattr("unicorn_codec.archive.choose_device", lambda name: away if name == "cuda" else None)
    monkeypatch.setitem(BATCH_PIXELS, away.type, BATCH_PIXELS["cuda"])
    decode = PackagedAutoencoder.decode

    def watched(self: PackagedAutoencoder, latents: torch.Tensor, step: float) -> torch.Tensor:
        decoded = decode(self, latents, step)
        assert latents.device == decoded.device == away
        batches.append(latents.shape)
        return torch.zeros(decoded.shape)  # as if copied back

    monkeypatch.setattr(PackagedAutoencoder, "decode", watched)
    dataset = PictureDataset(coded[0], batch_decode=True, device="cuda")
    (pictures,) = DataLoader(dataset, batch_size=6, collate_fn=collate_pictures)
    assert len(pictures) == 6 and sorted(shape[0] for shape in batches) == [2, 4], "one batch of each size"
