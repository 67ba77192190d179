"""Cost of weights: the same network and training time, stored as the paper's floats and as integers.

    python benchmarks/weights_worth.py --data cats-1000              # 256 pictures at 64 pixels, 5 minutes each

Bar: at equal PSNR, integers take at most 45 % of the bytes of floats of 14 bits. Every row is measured on a file that
was written and read back. Results go to results/weights_worth.json.
"""

import argparse
import json
import os
import platform
import tempfile
from pathlib import Path

import torch
from index_only import Row, pack_some

BAR = 0.45
EQUAL_DB = 0.05
"""A PSNR at most this far below that of the floats counts as equal, in dB."""


def measure_formats(args: argparse.Namespace, work: Path) -> list[Row]:
    """Measure one row for the floats, then one for each target number of bits of an integer."""
    settings = [("float", 14), *(("integer", bits) for bits in args.bits)]
    rows: list[Row] = []
    for weight_format, weight_bits in settings:
        row = pack_some(
            args.data,
            work,
            args.count,
            args.max_side,
            args.minutes * 60,
            parameters_per_latent=args.parameters_per_latent,
            device=args.device,
            weight_format=weight_format,
            weight_bits=weight_bits,
        )
        first = rows[0] if rows else {**row}
        rows.append({
            "weights": weight_format,
            "wanted_bits": weight_bits,
            "bits_per_weight": round(8 * float(row["weight_bytes"]) / float(row["parameters"]), 3),
            "share_of_float": round(float(row["weight_bytes"]) / float(first["weight_bytes"]), 4),
            "against_float_db": round(float(row["psnr_db"]) - float(first["psnr_db"]), 2),
            **row,
        })  # fmt: skip
        print(json.dumps(rows[-1]), flush=True)
    return rows


def compare_formats(rows: list[Row]) -> str:
    """Return the fewest bytes of integers that are as good as the floats."""
    equal = [row for row in rows[1:] if float(row["against_float_db"]) >= -EQUAL_DB]
    if not equal:
        return "no integers are as good as the floats"
    best = min(equal, key=lambda row: float(row["share_of_float"]))
    share = float(best["share_of_float"])
    met = "met" if share <= BAR else "missed"
    return f"equal PSNR at {100 * share:.1f} % of the bytes ({best['wanted_bits']} bits): the bar of 45 % is {met}"


SHOWN = ("weights", "wanted_bits", "bits_per_weight", "weight_bytes", "share_of_float", "psnr_db", "against_float_db")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--count", type=int, default=256, help="number of pictures")
    parser.add_argument("--max-side", type=int, default=64, help="longest side in pixels")
    parser.add_argument("--parameters-per-latent", type=float, default=1.6)
    parser.add_argument("--minutes", type=float, default=5.0, help="training time of each network")
    parser.add_argument("--bits", type=int, nargs="+", default=[4, 5, 6], help="target bits per integer")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        rows = measure_formats(args, Path(work))
    environment = {"torch": torch.__version__, "machine": platform.machine(), "processors": os.cpu_count()}
    args.out.mkdir(parents=True, exist_ok=True)
    result = {"data": args.data.name, **environment, "verdict": compare_formats(rows), "rows": rows}
    (args.out / "weights_worth.json").write_text(json.dumps(result, indent=1) + "\n")
    print("| " + " | ".join(SHOWN) + " |\n" + "|---" * len(SHOWN) + "|")
    for row in rows:
        print("| " + " | ".join(str(row[name]) for name in SHOWN) + " |")
    print(compare_formats(rows))


if __name__ == "__main__":
    main()
