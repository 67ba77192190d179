"""Folders that are packed whole: that every byte and time comes back, and the bytes that ``pack --exact`` takes.

    python benchmarks/exact_files.py --data FOLDER ... --count 40 --mixed FOLDER --output exact_files.md

Of each folder of ``--data`` the first JPEG files are copied, packed with ``--exact`` and unpacked. A folder that the
script draws itself, of pictures, animations, pages, stand-ins for films and camera raws, side files, hidden and empty
files, and each folder of ``--mixed``, is packed with ``--exact --keep-others``. All commands are those of the command
line. Both sides are then compared by ``diff -r`` and by their times of modification.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SUFFIXES = (".jpg", ".jpeg")
DRAWN = "drawn by the script"
FIRST_TIME_NS = 981_173_106_123_456_789


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A folder that was packed whole and unpacked."""

    name: str
    files: int
    bytes: int
    archive_bytes: int
    seconds: tuple[float, float]
    is_same: bool

    def row(self) -> str:
        """Return a row of the table."""
        change = 100 * (self.archive_bytes / self.bytes - 1)
        cells = (
            self.name,
            f"{self.files}",
            f"{self.bytes:,}",
            f"{self.archive_bytes:,}",
            f"{change:+.1f} %",
            f"{self.seconds[0]:.1f}, {self.seconds[1]:.1f}",
            "yes" if self.is_same else "NO",
        )
        return f"| {' | '.join(cells)} |"


def unicorn(*arguments: object) -> float:
    """Run a command of the command line, and return its seconds."""
    started = time.monotonic()
    command = [sys.executable, "-m", "unicorn_cli", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def measured(name: str, folder: Path, options: Sequence[str]) -> Outcome:
    """Pack a folder whole, unpack it beside, verify it, and compare."""
    with tempfile.TemporaryDirectory() as place:
        archive, back = Path(place, "out.uni"), Path(place, "back")
        seconds = unicorn("pack", folder, archive, *options), unicorn("unpack", archive, "--all", "-o", back)
        unicorn("verify", archive, "--against", folder)
        same = subprocess.run(["diff", "-r", folder, back], stdout=subprocess.DEVNULL, check=False).returncode == 0
        files = [path for path in folder.rglob("*") if path.is_file()]
        times = all(path.stat().st_mtime_ns == (back / path.relative_to(folder)).stat().st_mtime_ns for path in files)
        return Outcome(
            name=name,
            files=len(files),
            bytes=sum(path.stat().st_size for path in files),
            archive_bytes=archive.stat().st_size,
            seconds=seconds,
            is_same=same and times,
        )


def draw_folder(folder: Path) -> None:
    """Draw a folder of all that photographers have beside each other, with times of their own."""
    below = folder / "2001" / "february"
    below.mkdir(parents=True)
    rows, columns = np.mgrid[0:360, 0:480]
    scene = np.stack([rows // 2, columns // 2, (rows + columns) // 4], -1).astype(np.uint8)
    scene += np.random.default_rng(0).integers(0, 9, scene.shape, dtype=np.uint8)
    picture, other = Image.fromarray(scene), Image.fromarray(255 - scene)
    picture.save(folder / "a photo.jpg", quality=92)
    picture.save(below / "progressive.JPG", quality=80, progressive=True)
    Image.fromarray(np.dstack([scene, scene[..., 0]])).save(below / "alpha.png")
    picture.save(folder / "animation.gif", save_all=True, append_images=[other])
    picture.save(below / "pages.tif", save_all=True, append_images=[other], compression="tiff_lzw")
    picture.convert("CMYK").save(folder / "print.tif")
    content = np.random.default_rng(1).bytes(20_000_000)
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + content[:90_000])
    (below / "camera.NEF").write_bytes(b"MM\0*\0\0\0\x08" + content[:200_000])
    (below / "film: 1.mp4").write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0isomiso2" + content)
    (folder / "a photo.jpg.xmp").write_text("<x:xmpmeta xmlns:x='adobe:ns:meta/'/>\n")
    (below / "facts.json").write_text('{"album": "February"}\n')
    (below / "empty").write_bytes(b"")
    (folder / ".nomedia").write_bytes(b"")
    for number, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        os.utime(path, ns=(FIRST_TIME_NS + number, FIRST_TIME_NS + number))


def first_jpegs(source: Path, count: int, folder: Path) -> None:
    """Copy the first JPEG files of a folder, with their times."""
    chosen = [path for path in sorted(source.iterdir()) if path.suffix.lower() in SUFFIXES][:count]
    folder.mkdir()
    for path in chosen:
        shutil.copy2(path, folder / path.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", default=[], help="folders of JPEG files")
    parser.add_argument("--count", type=int, default=40, help="JPEG files of each")
    parser.add_argument("--mixed", type=Path, nargs="+", default=[], help="folders of any files")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    outcomes = []
    with tempfile.TemporaryDirectory() as place:
        for source in arguments.data:
            first_jpegs(source, arguments.count, Path(place, source.name))
            outcomes.append(measured(source.name, Path(place, source.name), ["--exact"]))
        draw_folder(Path(place, "drawn"))
        for name, folder in ((DRAWN, Path(place, "drawn")), *((path.name, path) for path in arguments.mixed)):
            outcomes.append(measured(name, folder, ["--exact", "--keep-others"]))
    names = "folder", "files", "bytes", "archive", "change", "seconds to pack, to unpack", "same bytes and times"
    head = f"| {' | '.join(names)} |\n|{'---|' * len(names)}"
    table = "\n".join([head, *(outcome.row() for outcome in outcomes)])
    text = f"# Folders packed whole\n\n{table}\n"
    arguments.output.write_text(text, encoding="utf-8")
    print(text)
    sys.exit(not all(outcome.is_same for outcome in outcomes))


if __name__ == "__main__":
    main()
