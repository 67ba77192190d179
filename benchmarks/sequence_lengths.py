"""Pack near-duplicates with several numbers of others that one may depend on, and compare bytes and quality.

    python benchmarks/make_stills.py --data PICTURES --out stills --stills 33
    python benchmarks/sequence_lengths.py stills --depends-on 31,8 --steps 8,4.8,2.3

A shorter sequence begins anew more often, which costs bytes; a picture of it comes back sooner. Codes are not refined.
"""

import argparse
import tempfile
import time
from pathlib import Path

from unicorn_codec.archive import Archive
from unicorn_codec.config import CodesOptions, Goal, Target
from unicorn_codec.packing.pack import pack


def slowest_read(path: Path) -> tuple[int, float]:
    """Return the longest chain of an archive, and the seconds that its last picture takes to decode."""
    with Archive.open(path, device="cpu") as archive:
        rows = [archive.reader.row(int(index)) for leaf in archive.reader.leaves() for index in leaf.living]
        chain = max((archive.reader.chain(row) for row in rows), key=len)
        archive[chain[0].index]  # loads what all pictures need
        started = time.monotonic()
        archive[chain[-1].index]
        return len(chain), time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--depends-on", default="31,8", help="numbers to compare")
    parser.add_argument("--steps", default="8,4.8,2.3", help="quantisation steps")
    args = parser.parse_args()
    print("| step | may depend on | in sequences | bytes | PSNR (dB) | longest chain | its last picture, s |")
    print("| --: | --: | --: | --: | --: | --: | --: |")
    for step in map(float, args.steps.split(",")):
        for most in map(int, args.depends_on.split(",")):
            with tempfile.TemporaryDirectory() as name:
                path = Path(name) / "packed.uni"
                options = CodesOptions(target=Target(Goal.STEP, step), depends_on=most, effort=0, seed=0, device="cpu")
                report = pack(args.folder, path, options)
                chain, seconds = slowest_read(path)
                cells = (step, most, report.sequence_pictures, f"{report.file_bytes:,}")
                psnr = f"{report.measured.psnr_db.mean:.2f}"
                print("|", " | ".join(map(str, (*cells, psnr, chain, f"{seconds:.3f}"))), "|", flush=True)


if __name__ == "__main__":
    main()
