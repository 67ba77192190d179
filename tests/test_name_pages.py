"""Pages of names: the order and the layout in which they take the fewest bytes."""

from pathlib import Path

import pytest

from tests.sample_archive import ID, MODEL
from unicorn_codec.errors import InvalidField, InvalidSetting
from unicorn_codec.format.decoder_table import Decoder
from unicorn_codec.format.growth import compact, growing
from unicorn_codec.format.index_map import index_of_position
from unicorn_codec.format.limits import MAX_ROWS
from unicorn_codec.format.name_pages import NOT_DRAWN, Drawing, parse_drawing, parse_names, serialize_names
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import record_of_code
from unicorn_codec.format.sources import FileSource
from unicorn_codec.format.writer import ContainerWriter

SEED = 2026


def drawn(count: int, seed: int = SEED) -> list[str]:
    """Names that count up, at indices drawn by lot."""
    names = [""] * count
    for position, index in enumerate(index_of_position(seed, count).tolist()):
        names[index] = f"holidays/IMG_{position:04}.jpg"
    return names


@pytest.mark.parametrize("rows", [1, 150, 200, 260])
def test_names_come_back_whatever_rows_were_added_or_removed(rows: int) -> None:
    names = (drawn(200) + [f"new/{n}" for n in range(60)])[:rows]
    names[rows // 2] = ""
    payload = serialize_names(0, names, Drawing(200, SEED))
    assert parse_names(payload, 0, rows) == names


def test_numbers_that_count_up_take_next_to_nothing_in_the_order_of_the_folder() -> None:
    names = drawn(200)
    payload = serialize_names(0, names, Drawing(200, SEED))
    assert parse_drawing(payload) == Drawing(200, SEED)
    assert len(payload) < 120 < 240 < len(serialize_names(0, names))


def test_names_are_stored_as_lines_where_columns_are_longer() -> None:
    names = ["a" * 300, *(f"{n}" for n in range(9))]
    payload = serialize_names(0, names)
    assert parse_names(payload, 0, 10) == names and len(payload) < 60


@pytest.mark.parametrize("names", [["é/ü.png", "", "日本.jpg"], ["", ""], ["x"]])
def test_any_names_come_back(names: list[str]) -> None:
    assert parse_names(serialize_names(0, names), 0, len(names)) == names
    assert parse_names(serialize_names(MAX_ROWS, names), MAX_ROWS, len(names)) == names


def test_an_order_that_does_not_help_is_not_stored() -> None:
    names = [f"{n:05}.png" for n in range(300)]
    assert parse_drawing(serialize_names(0, names, Drawing(300, SEED))) == NOT_DRAWN
    assert parse_drawing(serialize_names(0, drawn(300), Drawing(MAX_ROWS + 1, SEED))) == NOT_DRAWN


def test_bad_names_are_refused() -> None:
    with pytest.raises(InvalidSetting):
        serialize_names(0, ["a\nb"])
    with pytest.raises(InvalidField):
        parse_names(serialize_names(0, ["a", "b"]), 0, 3)


def test_the_order_of_names_survives_growth_and_compaction(tmp_path: Path) -> None:
    path = tmp_path / "out.uni"
    names = drawn(100, 7)
    with open(path, "w+b") as file:
        writer = ContainerWriter(file, ID)
        writer.add_decoder(Decoder(model=MODEL, latent_step=3.0, level=5))
        for index, name in enumerate(names):
            writer.add(record_of_code(index, 64, 48, 0, b"\5code"), name)
        writer.commit(seed=7)
    assert drawing_in(path) == Drawing(100, 7)
    with growing(path) as (reader, writer):
        writer.add(record_of_code(100, 64, 48, 0, b"\5code"), "another")
        writer.remove([reader.row(99)])
        writer.commit(seed=8)
    assert drawing_in(path) == Drawing(100, 7)
    compact(path)
    assert drawing_in(path) == Drawing(100, 7)
    reader = ContainerReader(FileSource(path))
    assert reader.name(100) == "another" and reader.name(42) == names[42]


def drawing_in(path: Path) -> Drawing:
    return ContainerReader(FileSource(path)).drawing()
