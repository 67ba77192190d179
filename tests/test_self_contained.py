"""A self-contained archive opens with software that lacks its model, and costs nothing where the model is there."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load, save

from tests.conftest import draw
from unicorn_cli.main import cli
from unicorn_codec import model_registry
from unicorn_codec.archive import Archive
from unicorn_codec.codes.context_model import load_context_model, parse_context_model
from unicorn_codec.config import CodesOptions, Goal, OriginalOptions, Target
from unicorn_codec.editing import repair_file
from unicorn_codec.errors import AutoencoderUnavailable, ChecksumMismatch, InvalidField, InvalidSetting
from unicorn_codec.format.chunks import MODEL, TEXT
from unicorn_codec.format.growth import compact
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.sources import FileSource
from unicorn_codec.format.stored_model import StoredModel, parse_model, serialize_model
from unicorn_codec.inspection import describe, specification_of
from unicorn_codec.network_options import NetworkOptions
from unicorn_codec.packing import self_contained
from unicorn_codec.packing.add import add
from unicorn_codec.packing.pack import load_packing_autoencoder, pack
from unicorn_codec.packing.self_contained import SELF_CONTAINED_BYTES, is_wanted, specification
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.stored_autoencoder import StoredAutoencoder

FAST = CodesOptions(target=Target(Goal.STEP, 4.0), effort=0, device="cpu")
SPECIFICATION = Path(__file__).parent.parent / "format_spec" / "uni-1.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(3):
        write_picture(draw(number, 64, 48), folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "out.uni"
    pack(folder, path, replace(FAST, self_contained=True))
    return path


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Empty the registry when called."""
    return lambda: monkeypatch.setattr(model_registry, "_manifest", lambda: ("none", ()))


def pixels_of(path: Path) -> dict[int, np.ndarray]:
    with Archive.open(path, device="cpu") as archive:
        return dict(archive.iterate(archive.indices))


def stored_in(path: Path) -> StoredModel:
    with Archive.open(path, device="cpu") as archive:
        (payload,) = archive.reader.attachments(MODEL)
        return parse_model(payload)


def same(a: dict[int, np.ndarray], b: dict[int, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[index], b[index]) for index in a)


def test_it_opens_without_the_model(whole: Path, lacking: Callable[[], None]) -> None:
    before = pixels_of(whole)
    lacking()
    assert same(before, pixels_of(whole))


def test_another_archive_does_not(folder: Path, tmp_path: Path, lacking: Callable[[], None]) -> None:
    pack(folder, tmp_path / "out.uni", FAST)
    lacking()
    with pytest.raises(AutoencoderUnavailable):
        pixels_of(tmp_path / "out.uni")


def test_who_has_the_model_does_not_read_that_of_the_archive(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ContainerReader, "attachments", None)
    assert len(pixels_of(whole)) == 3


def test_it_adds_less_than_six_megabytes(whole: Path, folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "plain.uni", FAST)
    added = whole.stat().st_size - (tmp_path / "plain.uni").stat().st_size
    assert 5_000_000 < added < 6_000_000
    values = describe(whole)
    assert values["self_contained"] and not describe(tmp_path / "plain.uni")["self_contained"]
    assert values["bits_per_pixel"] == values["bits_per_pixel_with_autoencoder"]
    (part,) = (part for part in values["parts"] if part["part"] == "model and specification")
    assert abs(part["bytes"] - added) < 100


def test_the_specification_is_in_it(whole: Path, folder: Path, tmp_path: Path) -> None:
    assert specification() == SPECIFICATION.read_bytes()
    assert specification_of(whole).encode() == SPECIFICATION.read_bytes()
    shown = CliRunner().invoke(cli, ["inspect", str(whole), "--specification"])
    assert shown.exit_code == 0 and shown.stdout == SPECIFICATION.read_text()
    pack(folder, tmp_path / "plain.uni", FAST)
    with pytest.raises(InvalidSetting, match="holds no specification"):
        specification_of(tmp_path / "plain.uni")


def test_the_size_decides_where_nothing_is_said() -> None:
    autoencoder = load_packing_autoencoder(FAST)
    assert is_wanted(None, SELF_CONTAINED_BYTES, autoencoder) and not is_wanted(None, 1 << 20, autoencoder)
    assert is_wanted(True, 0, autoencoder) and not is_wanted(False, 1 << 40, autoencoder)
    other: Any = object()
    assert not is_wanted(None, 1 << 40, other)
    with pytest.raises(InvalidSetting, match="model of the package"):
        is_wanted(True, 0, other)
    assert NetworkOptions().self_contained is None


def test_it_stays_self_contained(whole: Path, tmp_path: Path, lacking: Callable[[], None]) -> None:
    path, more = tmp_path / "out.uni", tmp_path / "more"
    path.write_bytes(whole.read_bytes())
    more.mkdir()
    write_picture(draw(7, 64, 48), more / "new.png")
    add(path, more, FAST)
    compact(path)
    mended = tmp_path / "mended.uni"
    repair_file(path, mended)
    before = pixels_of(path)
    lacking()
    assert len(before) == 4 and same(before, pixels_of(path)) and same(before, pixels_of(mended))
    assert specification_of(mended).encode() == SPECIFICATION.read_bytes()


@pytest.mark.parametrize(
    ("choice", "limit", "is_added"),
    [(None, 10_000, True), (None, 100_000, False), (None, 10, False), (True, 100_000, True), (False, 10_000, False)],
    ids=["becomes large", "stays small", "was large", "chosen", "chosen against"],
)
def test_an_archive_that_grows_becomes_self_contained(
    choice: bool | None,
    limit: int,
    is_added: bool,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lacking: Callable[[], None],
) -> None:
    path, more = tmp_path / "out.uni", tmp_path / "more"
    pack(folder, path, FAST)
    more.mkdir()
    write_picture(draw(9, 256, 192), more / "new.png")
    monkeypatch.setattr(self_contained, "SELF_CONTAINED_BYTES", limit)
    add(path, more, replace(FAST, self_contained=choice, originals=OriginalOptions(patterns=("*",))))
    assert path.stat().st_size > 10_000
    assert len(list(ContainerReader(FileSource(path)).attachments(MODEL))) == is_added
    add_again = replace(FAST, self_contained=choice)
    write_picture(draw(8, 64, 48), more / "newer.png")
    (more / "new.png").unlink()
    add(path, more, add_again)
    assert len(list(ContainerReader(FileSource(path)).attachments(MODEL))) == is_added
    lacking()
    if is_added:
        Archive.open(path, device="cpu")[0].load()


def test_repair_drops_a_damaged_model(whole: Path, tmp_path: Path, lacking: Callable[[], None]) -> None:
    reader = ContainerReader(FileSource(whole))
    (at,) = (one.offset for one in reader.footer.attachments if one.letter == MODEL)
    reader.source.close()
    data = bytearray(whole.read_bytes())
    data[at + 1000] ^= 255
    damaged, mended = tmp_path / "damaged.uni", tmp_path / "mended.uni"
    damaged.write_bytes(data)
    assert len(pixels_of(damaged)) == 3  # the package has the model
    repair_file(damaged, mended)
    with Archive.open(mended, device="cpu") as archive:
        assert {one.letter for one in archive.reader.footer.attachments} == {TEXT}
    lacking()
    with pytest.raises(ChecksumMismatch):
        pixels_of(damaged)


# --- hostile models ---


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder_widths": [1 << 20] * 4},
        {"encoder_widths": [32, 64, 128]},
        {"encoder_widths": "abcd"},
        {"decoder_widths": [], "decoder_depths": []},
        {"decoder_widths": [160, 128, 64, 32, 16], "decoder_depths": [6, 6, 3, 1, 1]},
        {"decoder_depths": [1 << 30, 6, 3, 1]},
        {"decoder_depths": [5, 6, 3, 1]},
        {"decoder_blocks": "bottleneck"},
        {"decoder_blocks": ["residual"]},
        {"latent_channels": 1 << 30},
        {"latent_channels": True},
        {"max_step": 1},
        {"max_step": None},
        {"more": 1},
    ],
)
def test_a_hostile_configuration_is_refused(changes: dict[str, Any], whole: Path) -> None:
    stored = stored_in(whole)
    described = load_packing_autoencoder(FAST).reference.model()
    for config in (json.dumps(json.loads(stored.config) | changes).encode(), b"[" * 4000, b"\xff", b"{}", b"3"):
        with pytest.raises(InvalidField):
            StoredAutoencoder(replace(stored, config=config), described, torch.device("cpu"))


def test_hostile_tensors_are_refused(whole: Path) -> None:
    stored = stored_in(whole)
    described = load_packing_autoencoder(FAST).reference.model()
    tensors = load(stored.decoder)
    name = next(name for name in tensors if name.endswith(".scale"))
    bias = next(name for name in tensors if name.endswith(".bias"))
    wrong = [
        {key: tensor for key, tensor in tensors.items() if key != bias},
        tensors | {bias: tensors[bias][:-1].clone()},
        tensors | {name: tensors[name].flatten()[:-1].clone()},
        tensors | {"decoder.99.weight": torch.zeros(1)},
        tensors | {"decoder.99.weight.scale": torch.zeros(1)},
    ]
    for data in (*map(save, wrong), b"", stored.decoder[:-1], (1 << 62).to_bytes(8, "little") + b"{}"):
        with pytest.raises(InvalidField):
            StoredAutoencoder(replace(stored, decoder=data), described, torch.device("cpu"))
    with pytest.raises(InvalidField, match="channels"):
        StoredAutoencoder(stored, replace(described, latent_channels=100), torch.device("cpu"))


def test_hostile_context_models_are_refused(whole: Path) -> None:
    data = stored_in(whole).context_model
    assert parse_context_model(data).sha256 == load_context_model().sha256
    tensors = load(data)
    wrong: list[dict[str, torch.Tensor]] = [
        {key: tensor for key, tensor in tensors.items() if key != "linear"},
        tensors | {"frequencies": tensors["frequencies"] * 0},
        tensors | {"frequencies": tensors["frequencies"][:-1].clone()},
        tensors | {"mean": tensors["mean"].float()},
        tensors | {"earlier": tensors["earlier"].int()},
        tensors | {"magnitudes": tensors["magnitudes"][:-1].clone()},
    ]
    for changed in (*map(save, wrong), b"", data[:-1]):
        with pytest.raises(InvalidField):
            parse_context_model(changed)


def test_a_model_of_another_hash_is_refused(whole: Path) -> None:
    payload = serialize_model(stored_in(whole))
    with pytest.raises(ChecksumMismatch):
        parse_model(bytes([payload[0] ^ 1]) + payload[1:])
    assert parse_model(payload) == stored_in(whole)


def test_a_stored_decoder_decodes_as_the_packaged_one(whole: Path) -> None:
    packaged = load_packing_autoencoder(FAST)
    assert isinstance(packaged, PackagedAutoencoder)
    stored = StoredAutoencoder(stored_in(whole), packaged.reference.model(), torch.device("cpu"))
    latents = torch.randn(1, 64, 3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(stored.decode(latents, 3.0), packaged.decode(latents, 3.0))
