"""Make stills of a camera that does not move, from photographs: pictures as alike as those that sequences are for.

    python benchmarks/make_stills.py --data PICTURES --out stills-50 && unicorn bench stills-50 --out results

They are simulated: each is one photograph with other exposure and noise, something from a second photograph that
moves through it, and the coding of a camera (JPEG).
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

EXPOSURE = 0.02
NOISE = 2.0
"""Standard deviations: of the exposure's factor, and of a value's noise."""

OBJECT = 1 / 4
"""Side of what moves, as a part of the picture's height."""

JPEG_QUALITY = 92


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--out", type=Path, required=True, help="folder that the stills are written to")
    parser.add_argument("--cameras", type=int, default=5, help="photographs that become scenes")
    parser.add_argument("--stills", type=int, default=10, help="of each camera")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True)
    rng = np.random.default_rng(args.seed)
    photographs = sorted(path for path in args.data.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    chosen = rng.choice(len(photographs), 2 * args.cameras, replace=False)
    for camera, (scene, other) in enumerate(chosen.reshape(-1, 2).tolist()):
        background, moving = (np.asarray(Image.open(photographs[n]).convert("RGB")) for n in (scene, other))
        for number in range(args.stills):
            still = Image.fromarray(make_still(background, moving, number / args.stills, rng))
            still.save(args.out / f"camera{camera}-{number:04d}.jpg", quality=JPEG_QUALITY, subsampling=0)


def make_still(background: np.ndarray, moving: np.ndarray, time: float, rng: np.random.Generator) -> np.ndarray:
    """One still, uint8 (H, W, 3).

    Args:
        background: uint8 (H, W, 3), the scene.
        moving: uint8 (h, w, 3); its middle passes through the scene.
        time: 0 to 1, how far it has come.
    """
    height, width = background.shape[:2]
    side = int(height * OBJECT)
    top, left = (height - side) // 2, int(time * (width - side))
    still = background.astype(np.float32)
    cut = Image.fromarray(moving).resize((side, side))
    still[top : top + side, left : left + side] = np.asarray(cut)
    still = still * (1 + rng.normal(0, EXPOSURE)) + rng.normal(0, NOISE, still.shape)
    return still.round().clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
