"""Differences of two archives, found from their records; no picture is decoded."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from unicorn_codec.errors import FormatError
from unicorn_codec.format.chunks import MODEL
from unicorn_codec.format.code_kinds import is_gray, unit_of_code
from unicorn_codec.format.decoder_table import KINDS, Decoder
from unicorn_codec.format.pages import Row
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import ALPHA, CODECS, EXACT, NETWORK, OTHER_FILE, SEQUENCE, Part
from unicorn_codec.format.sources import Source, open_source
from unicorn_codec.metadata import PictureMetadata, metadata_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A picture, or another file, of one of the archives; ``name`` is None if it has none."""

    index: int
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A picture of both archives that differs.

    Args:
        index, old_index: in the new and in the old archive.
        changes: what differs, of ``index``, ``size``, ``codec``, ``code``, ``transparency``, ``decoder`` and
            ``metadata``.
    """

    index: int
    old_index: int
    name: str | None
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting of the whole archive that differs."""

    setting: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """What changed from an old archive to a new one; ``same`` is the number of pictures that did not."""

    added: tuple[Member, ...]
    removed: tuple[Member, ...]
    changed: tuple[Change, ...]
    settings: tuple[Setting, ...]
    same: int

    @property
    def is_empty(self) -> bool:
        """Whether both archives hold the same."""
        return not (self.added or self.removed or self.changed or self.settings)


def compare_files(
    old: str | os.PathLike[str],
    new: str | os.PathLike[str],
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Differences:
    """Compare two files or URLs.

    Pictures are paired by index and name, then by name, and those without a name by index. Places in the file and
    generations do not count, so that a compacted archive is the same as before.

    Args:
        progress: called with the numbers of compared pictures and of all pairs.

    Raises:
        ArchiveUnreadable, PackageMissing: one of them cannot be read.
        FormatError: one of them is damaged.
    """
    with closing(open_source(old)) as old_source, closing(open_source(new)) as new_source:
        return _compare(_Contents(old, old_source), _Contents(new, new_source), progress)


def _compare(before: "_Contents", after: "_Contents", progress: Callable[[int, int], None]) -> Differences:
    pairs = list(_pairs(before.names, after.names))
    changed, paired, found = [], {index for index, _ in pairs}, {index for _, index in pairs}
    for number, (old_index, index) in enumerate(pairs, 1):
        if changes := tuple(_changes(before, old_index, after, index)):
            changed.append(Change(index=index, old_index=old_index, name=after.names[index], changes=changes))
        progress(number, len(pairs))
    return Differences(
        added=tuple(Member(index=i, name=name) for i, name in after.names.items() if i not in found),
        removed=tuple(Member(index=i, name=name) for i, name in before.names.items() if i not in paired),
        changed=tuple(sorted(changed, key=lambda change: change.index)),
        settings=tuple(_settings(before, after)),
        same=len(pairs) - len(changed),
    )


@contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Begin the message of a ``FormatError`` with the file that is damaged."""
    try:
        yield
    except FormatError as error:
        raise type(error)(f"{os.fspath(path)}: {error}") from error


class _Contents:
    """Names, decoders and records of an archive. Each method raises ``FormatError`` where it is damaged."""

    def __init__(self, path: str | os.PathLike[str], source: Source) -> None:
        self._path = path
        self.names: dict[int, str | None] = {}
        with _naming(path):
            self.reader = ContainerReader(source)
            for leaf in self.reader.leaves():
                names = self.reader.names_of(leaf)
                for index in leaf.living.tolist():
                    self.names[index] = (names[index - leaf.first] or None) if names else None
            self.decoders = [_decoder_values(self.reader, decoder) for decoder in self.reader.footer.decoders]

    def content(self, index: int) -> dict[str, Any]:
        """Return what is compared of a picture, by the words of ``Change``, without its metadata."""
        with _naming(self._path):
            return self._content(self.reader.row(index))

    def _content(self, row: Row) -> dict[str, Any]:
        return {
            "size": (row.width, row.height),
            "codec": CODECS[row.codec],
            "code": self._code(row),
            "transparency": [part.data for part in self._parts(row) if part.kind == ALPHA],
            "decoder": self.decoders[row.decoder],
        }

    def metadata(self, index: int) -> PictureMetadata:
        """Return what the archive knows of a picture's original."""
        with _naming(self._path):
            return metadata_of(self.reader, self.reader.row(index), _raise)

    def _parts(self, row: Row) -> tuple[Part, ...]:
        return self.reader.record(row).parts if row.length else ()

    def _code(self, row: Row) -> Any:
        """Return the code of a row in a form that depends neither on places in the file nor on other indices."""
        if row.codec == NETWORK:
            return row.index, self.reader.footer.seed
        if row.codec in (EXACT, OTHER_FILE):
            return self.reader.stored_file(row).sha256
        if row.codec == SEQUENCE:
            codes = [self.reader.record(link).code for link in self.reader.chain(row)]
            return [(is_gray(code), unit_of_code(code)) for code in codes]
        return [part.data for part in self._parts(row) if part.kind != ALPHA]


def _raise(error: FormatError) -> None:
    raise error


def _pairs(old: dict[int, str | None], new: dict[int, str | None]) -> Iterator[tuple[int, int]]:
    """Yield pairs of indices of the same picture, in the old and in the new archive."""
    left: defaultdict[str, list[int]] = defaultdict(list)
    for index, name in old.items():
        if index in new and new[index] == name:
            yield index, index
        elif name is not None:
            left[name].append(index)
    for index, name in new.items():
        if name is not None and old.get(index) != name and left[name]:
            yield left[name].pop(0), index


def _changes(before: _Contents, old_index: int, after: _Contents, index: int) -> Iterator[str]:
    """Yield the names of what differs of a picture, as ``Change`` has them."""
    if index != old_index:
        yield "index"
    old, new = before.content(old_index), after.content(index)
    yield from (name for name in new if new[name] != old[name])
    if before.metadata(old_index) != after.metadata(index):
        yield "metadata"


def _decoder_values(reader: ContainerReader, decoder: Decoder) -> dict[str, Any]:
    """Describe a decoder by values that do not depend on its place in the file."""
    weights = None if decoder.weights is None else hashlib.sha256(reader.weights(decoder.weights)).hexdigest()
    return {
        "model": decoder.model.name,
        "fingerprint": decoder.model.fingerprint.hex(),
        "kind": KINDS[decoder.kind],
        "latent_step": decoder.latent_step,
        "level": decoder.level,
        "weights_sha256": weights,
    }


def _settings(before: _Contents, after: _Contents) -> Iterator[Setting]:
    old, new = (_setting_values(contents) for contents in (before, after))
    yield from (Setting(setting=name, old=old[name], new=new[name]) for name in new if new[name] != old[name])


def _setting_values(contents: _Contents) -> dict[str, Any]:
    footer = contents.reader.footer
    background = footer.read.background
    return {
        "decoders": contents.decoders,
        "max_side": footer.read.max_side,
        "background": None if background is None else list(background),
        "self_contained": any(attachment.letter == MODEL for attachment in footer.attachments),
    }
