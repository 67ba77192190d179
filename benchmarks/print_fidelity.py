"""Whether print stays true: characters that an OCR program reads from decoded pages, and from AVIF of as many bytes.

    pip install rapidocr-onnxruntime
    python benchmarks/print_fidelity.py --data receipts-120 --count 40 --out benchmarks/results/print.md

What the program reads on the original is taken to be right. On the decoded page it reads the same lines; their
characters are aligned with the original's (Levenshtein). A line that it is not sure of counts as missing.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from learning import every_nth

from unicorn_codec import Archive, CodesOptions, pack
from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.avif import encode_avif
from unicorn_codec.pictures.picture_folder import Folder, list_folder, read_picture
from unicorn_codec.pictures.pixels import Pixels

LEAST_CONFIDENCE = 0.5
HIGHEST_QUALITY = 100


class Reader:
    """An OCR program. Reads the lines of a page, and later the same places of another version of it."""

    def __init__(self) -> None:
        from rapidocr_onnxruntime import RapidOCR

        self._engine: Any = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)

    def places(self, page: Pixels) -> Any:
        """Return the quadrangles around the lines of a page, uint8 (H, W, 3)."""
        found, _ = self._engine.auto_text_det(blue_first(page))
        return [] if found is None else found

    def lines(self, page: Pixels, places: Any) -> list[str]:
        """Return the text at each place, without spaces."""
        if len(places) == 0:
            return []
        read, _ = self._engine.text_rec(self._engine.get_crop_img_list(blue_first(page), places))
        return [text.replace(" ", "") if sure >= LEAST_CONFIDENCE else "" for text, sure in read]


def blue_first(page: Pixels) -> Pixels:
    return np.ascontiguousarray(page[..., ::-1])


def compared(wanted: str, found: str) -> np.ndarray:
    """Return (3,) the characters of a line that were read right, that were read as others, and that are missing."""
    costs = np.zeros((len(wanted) + 1, len(found) + 1), np.int64)
    costs[:, 0], costs[0] = range(len(wanted) + 1), range(len(found) + 1)
    for i, a in enumerate(wanted, start=1):
        for j, b in enumerate(found, start=1):
            costs[i, j] = min(costs[i - 1, j - 1] + (a != b), costs[i - 1, j] + 1, costs[i, j - 1] + 1)
    i, j, counts = len(wanted), len(found), np.zeros(3, np.int64)
    while i or j:
        if i and j and costs[i, j] == costs[i - 1, j - 1] + (wanted[i - 1] != found[j - 1]):
            counts[int(wanted[i - 1] != found[j - 1])] += 1
            i, j = i - 1, j - 1
        elif i and costs[i, j] == costs[i - 1, j] + 1:
            counts[2] += 1
            i -= 1
        else:
            counts[1] += 1
            j -= 1
    return counts


def avif_within(page: Pixels, most_bytes: float) -> tuple[int, Pixels]:
    """Return bytes and pixels of the best AVIF, at speed 6 and without its container, of at most some bytes."""
    low, high = 0, HIGHEST_QUALITY
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(encode_avif(page, middle)[0]) <= most_bytes else (low, middle - 1)
    code, decoded = encode_avif(page, low)
    return len(code), decoded


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int)
    parser.add_argument("--effort", type=int, help="[default: as pack]")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    reader = Reader()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        folder = list_folder(every_nth(args.data, args.count, work / "pages"), ReadOptions())
        pages = {one.name: read_picture(folder, one, ReadOptions()) for one in folder.pictures}
        places = {page: reader.places(pixels) for page, pixels in pages.items()}
        wanted = {page: reader.lines(pixels, places[page]) for page, pixels in pages.items()}

        def row(title: str, total_bytes: int, decoded: Mapping[str, Pixels]) -> str:
            counts = np.zeros(3, np.int64)
            for page, lines in wanted.items():
                for pair in zip(lines, reader.lines(decoded[page], places[page]), strict=True):
                    counts += compared(*pair)
            cells = [title, *(f"{number:,}" for number in (total_bytes, *counts.tolist()))]
            print(*cells, flush=True)
            return "| " + " | ".join(cells) + " |"

        rows = list(measured(work, folder, pages, args.effort, row))
    head = ["| coded as | bytes | right | wrong | missing |", "|---|---|---|---|---|"]
    args.out.write_text("\n".join([*head, *rows]) + "\n")


def measured(
    work: Path,
    folder: Folder,
    pages: Mapping[str, Pixels],
    effort: int | None,
    row: Callable[[str, int, Mapping[str, Pixels]], str],
) -> Sequence[str]:
    """Return the rows of this codec with and without the choice of AVIF, and of AVIF in as many and twice the bytes."""
    rows = [row("the originals", sum(one.stat().st_size for one in folder.root.iterdir()), pages)]
    for title, avif in (("every picture as latents", False), ("default", True)):
        archive = work / f"{avif}.uni"
        pack(folder.root, archive, CodesOptions(effort=effort, avif=avif))
        with Archive.open(archive) as opened:
            decoded = {opened.name(index): np.asarray(opened[index].convert("RGB")) for index in opened.indices}
        size = archive.stat().st_size
        rows.append(row(title, size, decoded))
        for times in (1, 2):
            room = times * size / sum(page.size for page in pages.values())
            of_page = {name: avif_within(page, room * page.size) for name, page in pages.items()}
            total = sum(code for code, _ in of_page.values())
            rows.append(row(f"AVIF, {times} times its bytes", total, {name: one for name, (_, one) in of_page.items()}))
    return rows


if __name__ == "__main__":
    main()
