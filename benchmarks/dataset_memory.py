"""Memory of a process over many epochs of a ``PictureDataset``.

    python benchmarks/dataset_memory.py --count 500 --epochs 20 --output dataset_memory.md

The pictures are drawn, and packed without refinement. After each epoch, the resident memory of this process is read,
and with ``--workers`` that of its persistent workers too.
"""

import argparse
import os
import resource
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils.data import DataLoader

from unicorn_codec import CodesOptions, __version__, pack
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.torch import PictureDataset

BATCH = 25


def draw_pictures(folder: Path, count: int, side: int) -> None:
    """Write pictures of smooth random colours."""
    folder.mkdir()
    for number in range(count):
        coarse = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
        smooth = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
        write_picture(np.asarray(smooth), folder / f"{number:04}.png")


def resident_bytes(process: int) -> int:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def children_of(process: int) -> list[int]:
    """Return the processes that a process has started and that still run."""
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return list(map(int, text.split()))


def measure(path: Path, epochs: int, workers: int, batch_decode: bool) -> list[int]:
    """Return the bytes of all processes after each epoch."""
    dataset = PictureDataset(path, batch_decode=batch_decode, device="cpu")
    loader = DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
    found = []
    for _ in range(epochs):
        assert sum(len(batch) for batch in loader) == len(dataset)
        processes = [os.getpid(), *(children_of(os.getpid()) if workers else [])]
        found.append(sum(map(resident_bytes, processes)))
        print(f"epoch {len(found)}: {found[-1] / 1e6:.1f} MB", flush=True)
    return found


def table(found: list[int], count: int, side: int, workers: int, batch_decode: bool) -> str:
    """Return the page of results."""
    third = len(found) // 3
    growth = np.polyfit(range(third, len(found)), found[third:], 1)[0]
    decoding = "batches decoded together" if batch_decode else "pictures decoded one by one"
    return "\n".join(
        [
            "# Memory over epochs",
            "",
            f"{len(found)} epochs of {count} drawn pictures of {side}x{side}, {decoding}, {workers} workers; resident "
            f"memory of all processes after each epoch. unicorn-codec {__version__}.",
            "",
            "| epoch | 1 | " + f"{third + 1} | {2 * third + 1} | {len(found)} |",
            "|---|---|---|---|---|",
            "| MB | " + " | ".join(f"{found[at] / 1e6:.1f}" for at in (0, third, 2 * third, -1)) + " |",
            "",
            f"From epoch {third + 1} on, it changes by {growth / 1e3:+.1f} kB an epoch in the mean (least squares): "
            f"{growth / count:+.1f} bytes a picture.",
            "",
        ]
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--batch-decode", action="store_true")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, path = Path(name, "pictures"), Path(name, "out.uni")
        draw_pictures(folder, arguments.count, arguments.side)
        pack(folder, path, CodesOptions(effort=0, learning=None, sequences=False, device="cpu"))
        found = measure(path, arguments.epochs, arguments.workers, arguments.batch_decode)
    text = table(found, arguments.count, arguments.side, arguments.workers, arguments.batch_decode)
    arguments.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
