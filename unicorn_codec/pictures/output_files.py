"""Output paths. Names stored in an archive are untrusted, and nothing is written outside the output folder.

``output_names`` makes readable names that every common file system takes; ``output_path`` guards the folder itself.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath

from unicorn_codec.errors import OutputError
from unicorn_codec.pictures.picture_files import SUFFIXES, native_name, printable, reason_of

MAX_COMPONENT_BYTES = 200
MAX_PATH_BYTES = 1024

_USUAL = (".jpg", ".png", ".jpeg", ".JPG", ".JPEG", ".webp")
_FORBIDDEN = frozenset('<>:"|?*\\')
_UNPRINTABLE = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE | re.DOTALL)


def output_names(names: Sequence[str], suffix: str, whole: Collection[int] = ()) -> list[str]:
    """Return one relative POSIX path per name, in the same order: ``<folders>/<stem><suffix>``.

    Give all names of an archive, so that a picture has the same path whichever pictures are unpacked. Where two
    would meet, also where only case differs, they keep their own suffix (``a.jpg.png``, ``a.webp.png``); where that
    is not enough, the later in sorted order gets a number (``a.jpg (2).png``). Parts that lead outside a folder
    vanish; characters, device names and lengths that some system refuses are replaced.

    Args:
        whole: positions of files that come back byte for byte, and so keep their names as far as this system takes
            them.
    """
    cleaned = [_native(name) if position in whole else _clean(name) for position, name in enumerate(names)]
    short = [
        path if position in whole else _without_picture_suffix(path) + suffix for position, path in enumerate(cleaned)
    ]
    folders = {_key(str(parent)) for path in cleaned for parent in PurePosixPath(path).parents}
    meetings = Counter(map(_key, short))
    taken = set(folders)
    numbers: Counter[str] = Counter()
    paths = [""] * len(names)
    order = sorted(range(len(names)), key=lambda p: (p not in whole, names[p].encode("utf-8", "surrogatepass"), p))
    for position in order:
        key, ending = _key(short[position]), os.path.splitext(cleaned[position])[1] if position in whole else suffix
        is_free = position in whole or (meetings[key] == 1 and key not in folders)
        wanted = short[position] if is_free else cleaned[position] + suffix
        path, stem = wanted, wanted[: len(wanted) - len(ending)]
        while _key(path) in taken:
            numbers[stem] += 1
            path = f"{stem} ({numbers[stem] + 1}){ending}"
        taken.add(_key(path))
        paths[position] = path
    return paths


def names_of_output(path: str, suffix: str) -> Iterator[tuple[str, bool]]:
    """Yield names that ``output_names`` alone would turn into a path, likeliest first.

    Each comes with whether its file then has to come back byte for byte. Names that share the path's stem with another
    one's, or that hold what ``output_names`` replaces, are not among them.
    """
    endings = dict.fromkeys((*_USUAL, *(ending for known in SUFFIXES for ending in (known, known.upper()))))
    stem = path[: len(path) - len(suffix)]
    decoded = [stem + ending for ending in endings] + [stem] if path.endswith(suffix) else []
    yield path, True
    for name in decoded:
        if output_names([name], suffix) == [path]:
            yield name, False


def output_path(folder: Path | str, name: str) -> Path:
    """Return the location of a relative path in the output folder.

    Raises:
        OutputError: the path leads outside, also by a link that lies in the folder.
    """
    root = Path(folder)
    path = root / native_name(name)
    parts = name.split("/")
    if {"", ".", ".."} & set(parts) or "\0" in name:
        raise OutputError(f"{printable(name)!r} is no path inside an output folder")
    try:
        inside = path.parent.resolve().is_relative_to(root.resolve())
        if not inside:
            raise OutputError(f"{root / printable(name)} leads outside {root}")
    except RuntimeError as error:  # raised by pathlib for a link to itself
        raise OutputError(f"{root / printable(name)}: its folder is a link to itself") from error
    except OSError as error:
        raise OutputError(f"{root / printable(name)}: {reason_of(error)}") from error
    return path


def make_folder(folder: Path) -> None:
    """Create a folder and its parents if they do not exist. Raises ``OutputError``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot create the folder {folder}: {reason_of(error)}") from error


def _clean(name: str) -> str:
    """Return a relative path with harmless components and the same suffix."""
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    components = [_clean_component(part) for part in parts] or ["unnamed"]
    path = "/".join(components)
    return path if len(path.encode()) <= MAX_PATH_BYTES else components[-1]


def _native(name: str) -> str:
    """Return the path of a file that comes back byte for byte: its own name, hidden or not, where the system has it."""
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    if os.name == "nt" or not parts or len(name.encode()) > MAX_PATH_BYTES:
        return _clean(name)
    return "/".join(parts)


def _clean_component(part: str) -> str:
    harmless = "".join("_" if c in _FORBIDDEN or unicodedata.category(c) in _UNPRINTABLE else c for c in part)
    if harmless.startswith(".") or _DEVICE.fullmatch(harmless):  # hidden, or opened as a device by Windows
        harmless = "_" + harmless.removeprefix(".")
    stem, suffix = os.path.splitext(harmless)
    room = MAX_COMPONENT_BYTES - len(suffix.encode())
    if suffix.lower() in SUFFIXES:
        harmless = stem.encode()[:room].decode(errors="ignore") + suffix
    else:
        harmless = harmless.encode()[:MAX_COMPONENT_BYTES].decode(errors="ignore")
    return harmless.rstrip(". ") or "_"


def _without_picture_suffix(path: str) -> str:
    stem, suffix = os.path.splitext(path)
    return stem if suffix.lower() in SUFFIXES else path


def _key(path: str) -> str:
    """Return a key that is equal for paths that some file system treats as equal: it ignores case and normal form."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())
