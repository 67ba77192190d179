"""What is packed or compared: a folder, or shards whose members become one for that time."""

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from unicorn_codec.errors import InvalidSetting, OutputError, UnicornError
from unicorn_codec.format.sources import is_url
from unicorn_codec.pictures.picture_files import LeftOut, reason_of
from unicorn_codec.shards import tar_files
from unicorn_codec.shards.members import MemberFolder
from unicorn_codec.shards.parquet_files import SUFFIX, read_parquet
from unicorn_codec.shards.remote_files import read_remote, without_password
from unicorn_codec.shards.temporary_folder import remove_abandoned, temporary_folder

MAX_SHARDS = 100_000
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")

Inputs = Path | str | Sequence[Path | str]


@dataclass(frozen=True, slots=True)
class InputFolder:
    """A folder of pictures.

    Args:
        left_out: members of shards that are not in it, with the reason.
    """

    root: Path
    left_out: tuple[LeftOut, ...] = ()


@contextmanager
def folder_of(
    inputs: Inputs, near: Path | None, progress: Callable[[int, int], None] = lambda *_: None
) -> Iterator[InputFolder]:
    """Give a folder as it is, or put remote files or shards into a temporary one that vanishes at the end.

    Args:
        inputs: a folder; the URL of one, which fsspec knows; or tar and parquet files, also by patterns such as
            ``shards-{000..009}.tar``.
        near: an output file; the temporary folder lies next to it. None: in the system's folder of temporary files.
        progress: called with the number of shards that are unpacked, and of all.

    Raises:
        InvalidSetting: a folder is among several inputs.
        ImageFolderError: a shard is missing or damaged.
        OutputError: there is no place for the temporary folder.
        PackageMissing: a parquet file or a URL is given, and pyarrow or fsspec is not installed.
    """
    given = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    parent = Path(tempfile.gettempdir()) if near is None else near.absolute().parent
    remove_abandoned(parent)
    urls = [one for one in given if is_url(one)]
    if urls:
        if len(given) > 1:
            raise InvalidSetting(
                f"give one folder, or tar and parquet files; {without_password(str(urls[0]))} is a URL"
            )
        url = str(urls[0])
        with _temporary_folder(parent) as root, _shown_as(without_password(url), root):
            folder = MemberFolder(root)
            folder.add_all(read_remote(url, progress), Path(without_password(url)))
            yield InputFolder(folder.root, tuple(folder.left_out))
        return
    paths = [path for one in given for path in expand_braces(one)]
    if len(paths) == 1 and not is_shard(paths[0]):
        yield InputFolder(paths[0])
        return
    if not paths or not all(map(is_shard, paths)):
        other = next((path for path in paths if not is_shard(path)), "nothing")
        raise InvalidSetting(f"give one folder, or tar and parquet files; {other} is none of these files")
    shown = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    with _temporary_folder(parent) as root, _shown_as(shown, root):
        folder = MemberFolder(root)
        for done, path in enumerate(paths, start=1):
            folder.add_all(read_parquet(path) if is_parquet(path) else tar_files.read_tar(path), path)
            progress(done, len(paths))
        yield InputFolder(folder.root, tuple(folder.left_out))


@contextmanager
def _temporary_folder(parent: Path) -> Iterator[Path]:
    with ExitStack() as stack:
        try:
            root = stack.enter_context(temporary_folder(parent))
        except OSError as error:
            raise OutputError(f"cannot write to {parent}: {reason_of(error)}") from error
        yield root


@contextmanager
def _shown_as(inputs: str, temporary: Path) -> Iterator[None]:
    """Name what the user gave in errors, and not the temporary folder."""
    try:
        yield
    except UnicornError as error:
        error.args = tuple(str(part).replace(str(temporary), inputs) for part in error.args)
        raise


def is_shard(path: Path) -> bool:
    """Return whether a path is that of a tar or parquet file, by its suffix."""
    return path.name.lower().endswith((*tar_files.SUFFIXES, SUFFIX)) and not path.is_dir()


def is_parquet(path: Path) -> bool:
    """Return whether a path is that of a parquet file, by its suffix."""
    return path.name.lower().endswith(SUFFIX)


def expand_braces(pattern: Path | str) -> list[Path]:
    """Return the paths of a pattern as shells expand it, without nested braces: ``{a,b}``, ``{000..009}``.

    A path that exists is none. Raises ``InvalidSetting`` for more than ``MAX_SHARDS`` paths.
    """
    text = os.fspath(pattern)
    parts = _BRACES.split(text)
    if len(parts) == 1 or os.path.lexists(text):
        return [Path(text)]
    choices, count = [], 1
    for number, part in enumerate(parts):
        found = [part] if number % 2 == 0 else _choices(part)
        count *= len(found)
        if count > MAX_SHARDS:
            raise InvalidSetting(f"{text} stands for more than {MAX_SHARDS} files")
        choices.append(found)
    return [Path("".join(chosen)) for chosen in product(*choices)]


def _choices(text: str) -> Sequence[str]:
    """Return what a pair of braces stands for; itself where that is nothing."""
    if (bounds := _RANGE.fullmatch(text)) is not None:
        first, last = int(bounds[1]), int(bounds[2])
        if abs(last - first) >= MAX_SHARDS:
            raise InvalidSetting(f"{{{text}}} stands for more than {MAX_SHARDS} files")
        width = max(map(len, bounds.groups())) if any(one.startswith("0") for one in bounds.groups()) else 0
        step = 1 if last >= first else -1
        return [f"{number:0{width}}" for number in range(first, last + step, step)]
    return text.split(",") if "," in text else [f"{{{text}}}"]
