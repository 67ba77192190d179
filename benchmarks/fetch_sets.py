"""Make the picture sets of the benchmarks from public sources, and check every picture by its SHA-256.

    python benchmarks/fetch_sets.py --out sets                           # all sets that can be made
    python benchmarks/fetch_sets.py --out sets --only kodak-24 --from kodak-24=file:///downloads/kodak.zip
    python benchmarks/fetch_sets.py --out sets --check                   # only check what is there

A source is an archive (zip or tar) at a URL, by default one commit of the repository that published the pictures.
Pictures are recognised by their content, whatever they are called there: each is brought to the set's form, and kept
under the name that ``benchmarks/sets`` lists with its checksum. Pictures that are missing in the end are counted, and
the script ends with 1. ``benchmarks/README.md`` says what each set is and where else it is published.
"""

import argparse
import hashlib
import io
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

LISTS = Path(__file__).parent / "sets"
PICTURES = (".jpg", ".jpeg", ".png")
GITHUB = "https://codeload.github.com/{repository}/zip/{commit}"

Form = Callable[[bytes], bytes]


def as_published(data: bytes) -> bytes:
    return data


def square_256(data: bytes) -> bytes:
    """Cut out the centre, scale it to 256x256 (Lanczos), and code it as JPEG of quality 95 with full chroma."""
    with Image.open(io.BytesIO(data)) as opened:
        picture = opened.convert("RGB")
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    box = (left, top, left + edge, top + edge)
    coded = io.BytesIO()
    picture.resize((256, 256), Image.Resampling.LANCZOS, box).save(coded, "JPEG", quality=95, subsampling=0)
    return coded.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicSet:
    """A set and the archive that holds its pictures.

    Args:
        below: folder of the archive, under its top one, that holds the pictures.
        form: how its pictures are brought to the set's form.
    """

    name: str
    url: str
    below: str
    form: Form


SETS = (
    PublicSet(
        name="kodak-24",
        url=GITHUB.format(
            repository="MohamedBakrAli/Kodak-Lossless-True-Color-Image-Suite",
            commit="bee868459a9ec72907b9ec6ba6b2c4ec4cab15d4",
        ),
        below="",
        form=as_published,
    ),
    PublicSet(
        name="cells-300",
        url=GITHUB.format(repository="Shenggan/BCCD_Dataset", commit="c2d77ff57be86616ba8e45389401d65fe0f24102"),
        below="BCCD/JPEGImages",
        form=as_published,
    ),
    PublicSet(
        name="grocery-1000",
        url=GITHUB.format(
            repository="marcusklasson/GroceryStoreDataset", commit="3921a323442788644ea0776ce9b11d7e11a3cd04"
        ),
        below="dataset",
        form=square_256,
    ),
)
"""Sets whose licences allow everyone to make them. Other sets are only checked."""


def listed(name: str) -> dict[str, str]:
    """Return the names of a set's pictures by their SHA-256."""
    lines = (LISTS / f"{name}.sha256").read_text().splitlines()
    return dict(line.split("  ", 1) for line in lines)


def pictures_of(archive: Path, below: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of every picture of a zip or tar file."""

    def wanted(name: str) -> bool:
        path = PurePosixPath(name)
        inside = PurePosixPath(*path.parts[1:])
        return path.suffix.lower() in PICTURES and (not below or inside.is_relative_to(below))

    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for name in filter(wanted, zipped.namelist()):
                yield name, zipped.read(name)
        return
    with tarfile.open(archive) as tarred:
        for member in tarred:
            if member.isfile() and wanted(member.name):
                opened = tarred.extractfile(member)
                assert opened is not None, "a regular file of a tar archive"
                yield member.name, opened.read()


def make_set(public: PublicSet, archive: Path, folder: Path) -> int:
    """Write every listed picture that an archive holds, and return how many are still missing."""
    missing = listed(public.name)
    folder.mkdir(parents=True, exist_ok=True)
    for _, data in pictures_of(archive, public.below):
        made = public.form(data)
        name = missing.pop(hashlib.sha256(made).hexdigest(), None)
        if name is not None:
            (folder / name).write_bytes(made)
    return len(missing)


def missing_from(name: str, folder: Path) -> int:
    """Return how many listed pictures a folder lacks or holds with other bytes."""
    wanted = listed(name)
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*") if path.is_file()}
    return sum(found.get(picture) != digest for digest, picture in wanted.items())


def fetch(public: PublicSet, url: str, folder: Path) -> int:
    """Download a set's source, make the set from it, and return how many pictures are missing."""
    print(f"{public.name}: {url}", flush=True)
    archive = folder.parent / f"{public.name}.part"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(url) as response, archive.open("wb") as file:
            while block := response.read(1 << 20):
                file.write(block)
        return make_set(public, archive, folder)
    except (OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        sys.exit(f"{public.name}: {url} cannot be read ({error}); download it by hand and give it by --from")
    finally:
        archive.unlink(missing_ok=True)


def other_sources(given: Sequence[str]) -> Mapping[str, str]:
    """Return URLs by the names of sets, from arguments such as ``kodak-24=file:///kodak.zip``."""
    pairs = [one.partition("=") for one in given]
    for name, _, url in pairs:
        if name not in {public.name for public in SETS} or not url:
            sys.exit(f"--from {name}: give SET=URL, with one of {', '.join(public.name for public in SETS)}")
    return {name: url for name, _, url in pairs}


def main(arguments: Sequence[str] | None = None) -> None:
    """Make or check the sets; exits with 1 if pictures are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the sets, a folder each")
    parser.add_argument("--only", nargs="+", metavar="SET", help="make or check only these sets")
    parser.add_argument("--from", dest="sources", nargs="+", default=[], metavar="SET=URL", help="other sources")
    parser.add_argument("--check", action="store_true", help="download nothing: check what is there")
    args = parser.parse_args(arguments)
    sources = other_sources(args.sources)
    known = sorted(path.stem for path in LISTS.glob("*.sha256"))
    if unknown := set(args.only or ()) - set(known):
        sys.exit(f"no set {', '.join(sorted(unknown))}: choose from {', '.join(known)}")
    missing = 0
    for name in args.only or known:
        folder = args.out / name
        public = next((public for public in SETS if public.name == name), None)
        absent = missing_from(name, folder)
        if absent and public is not None and not args.check:
            absent = fetch(public, sources.get(name, public.url), folder)
        where = "" if public else " (no public source that this script may use: see benchmarks/README.md)"
        print(f"{name}: {len(listed(name)) - absent} of {len(listed(name))} pictures{where if absent else ''}")
        missing += absent
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
