"""Generations of one folder: packed, unpacked, packed again, and so on.

    python benchmarks/generations.py --data PICTURES --count 50 --generations 3 --out generations.json

Each generation packs the files that the one before was unpacked to. A row says how many pictures have the very pixels
of the first generation, how far the others are from them, and the bytes of the archive and of the unpacked files.
``--format`` writes other files than PNG. ``--no-code`` unpacks without codes, as if the files came from elsewhere.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner

from unicorn_cli.main import cli
from unicorn_codec.archive import Archive
from unicorn_codec.bench.provenance import package_models_sha256, provenance
from unicorn_codec.pictures.metrics import psnr_db

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--count", type=int, default=50, help="pictures that are packed, evenly from the folder")
    parser.add_argument("--generations", type=int, default=3)
    parser.add_argument("--effort", type=int, default=0, help="rounds of refinement")
    parser.add_argument("--format", default="png", help="of the unpacked files")
    parser.add_argument("--no-code", action="store_true", help="unpack without codes")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the results")
    args = parser.parse_args()
    rows, first = list[Row](), dict[str, np.ndarray]()
    with tempfile.TemporaryDirectory() as name:
        folder = copy_some(args.data, args.count, Path(name) / "generation-0")
        for number in range(1, args.generations + 1):
            archive, unpacked = Path(name) / f"{number}.uni", Path(name) / f"generation-{number}"
            started = time.process_time()
            unicorn("pack", folder, archive, "--device", args.device, "--effort", args.effort)
            seconds = time.process_time() - started
            options = ["--no-code"] if args.no_code else []
            unicorn("unpack", archive, "--all", "-o", unpacked, "--format", args.format, *options)
            pixels = pixels_of(archive)
            first = first or pixels
            rows.append(
                {"generation": number, "seconds": seconds, **compared(first, pixels), **sizes(archive, unpacked)}
            )
            print(rows[-1], flush=True)
            folder = unpacked
    command = f"python benchmarks/generations.py --data {args.data.name} --count {args.count} --format {args.format}"
    command += f" --effort {args.effort}" + " --no-code" * args.no_code
    origin = provenance(command, 0, args.device) | {"models_sha256": package_models_sha256()}
    args.out.write_text(json.dumps({**origin, "rows": rows}, indent=1) + "\n")
    print(table(rows))


def copy_some(data: Path, count: int, folder: Path) -> Path:
    """Copy some files, evenly from a folder."""
    folder.mkdir()
    paths = sorted(path for path in data.iterdir() if path.is_file())
    for path in paths[:: max(1, len(paths) // count)][:count]:
        shutil.copy2(path, folder)
    return folder


def unicorn(*arguments: object) -> None:
    """Run a command, which has to succeed."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    if result.exit_code:
        raise SystemExit(result.output)


def pixels_of(path: Path) -> dict[str, np.ndarray]:
    """Return the decoded pictures of an archive by their names without suffixes."""
    with Archive.open(path, device="cpu") as archive:
        names = archive.names
        return {names[index].rsplit(".", 1)[0]: pixels for index, pixels in archive.iterate(archive.indices)}


def compared(first: Mapping[str, np.ndarray], pixels: Mapping[str, np.ndarray]) -> Row:
    """Compare the pictures of a generation with those of the first one."""
    changed = [name for name in first if not np.array_equal(first[name], pixels[name])]
    psnrs = [psnr_db(first[name], pixels[name]) for name in changed]
    return {
        "pictures": len(first),
        "same_pixels": len(first) - len(changed),
        "psnr_db_of_others": float(np.mean(psnrs)) if psnrs else None,
    }


def sizes(archive: Path, unpacked: Path) -> Row:
    """Return the bytes of an archive and of its unpacked files."""
    return {
        "archive_bytes": archive.stat().st_size,
        "unpacked_bytes": sum(path.stat().st_size for path in unpacked.rglob("*") if path.is_file()),
    }


def table(rows: Sequence[Row]) -> str:
    """Format the rows as a table in Markdown."""
    lines = ["| generation | bytes | same pixels | PSNR of the others | unpacked bytes |", "|---|---|---|---|---|"]
    for row in rows:
        others = "" if row["psnr_db_of_others"] is None else f"{row['psnr_db_of_others']:.1f} dB"
        lines.append(
            f"| {row['generation']} | {row['archive_bytes']:,} | {row['same_pixels']} of {row['pictures']} | {others} "
            f"| {row['unpacked_bytes']:,} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
