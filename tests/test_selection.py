"""Which pictures a name selects: the exact text, then its normal form, then a pattern."""

import unicodedata
from collections.abc import Sequence
from typing import Literal, NoReturn

import pytest

from tests.sample_archive import archive
from unicorn_cli.selection import select_by_name
from unicorn_codec.archive import Archive
from unicorn_codec.errors import NameNotFound
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.sources import MemorySource

Form = Literal["NFC", "NFD"]


def holding(names: Sequence[str]) -> Archive:
    """An archive of pictures of these names, in the order of the index."""

    def load(_: object) -> NoReturn:
        raise AssertionError("nothing is decoded")

    return Archive(ContainerReader(MemorySource(archive(len(names), names=names))), load)


NAMES = ["IMG [1].jpg", "IMG 1.jpg", "[abc].jpg", "a.jpg", "b/a.jpg", "*.jpg"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("IMG [1].jpg", [0]),
        ("IMG 1.jpg", [1]),
        ("[abc].jpg", [2]),
        ("a.jpg", [3]),
        ("*.jpg", [5]),
        ("*a.jpg", [3, 4]),
        ("IMG ?.jpg", [1]),
        ("[ab].jpg", [3]),
        ("b/*", [4]),
    ],
)
def test_brackets_and_asterisks_in_real_names(pattern: str, found: list[int]) -> None:
    assert select_by_name([pattern], holding(NAMES)) == found


def test_several_names_select_each_picture_once() -> None:
    assert select_by_name(["a.jpg", "*a.jpg", "[abc].jpg"], holding(NAMES)) == [3, 4, 2]


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
@pytest.mark.parametrize("name", ["Müller.jpg", "Äpfel/Café.jpg", "Äpfel/*", "M?ller.jpg"])
def test_accents_composed_or_not(stored: Form, typed: Form, name: str) -> None:
    names = [unicodedata.normalize(stored, text) for text in ("plain.jpg", "Müller.jpg", "Äpfel/Café.jpg")]
    assert select_by_name([unicodedata.normalize(typed, name)], holding(names)) == [1 if "ller" in name else 2]


def test_two_names_that_differ_by_normal_form_alone_are_two() -> None:
    names = [unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD")]
    assert [select_by_name([name], holding(names)) for name in names] == [[0], [1]]


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(NameNotFound, match=r"c\.jpg"):
        select_by_name(["a.jpg", "c.jpg"], holding(NAMES))
