"""Simulate stills of a fixed camera from photographs: near-duplicates, for which sequences are made.

    python benchmarks/make_stills.py --data PICTURES --out stills-50 && unicorn bench stills-50 --out results

Each still is one photograph with its own exposure and noise, with an object from a second photograph moving through it,
coded as JPEG like a camera's.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

EXPOSURE = 0.02
NOISE = 2.0
"""Standard deviations of the exposure's factor and of the noise of a value."""

OBJECT = 1 / 4
"""Side of the moving object, as a fraction of the picture's height."""

JPEG_QUALITY = 92


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--out", type=Path, required=True, help="folder for the stills")
    parser.add_argument("--cameras", type=int, default=5, help="number of photographs to use as scenes")
    parser.add_argument("--stills", type=int, default=10, help="number of stills of each scene")
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
    """Return one still, uint8 (H, W, 3).

    Args:
        background: uint8 (H, W, 3), the scene.
        moving: uint8 (h, w, 3). Its centre moves through the scene.
        time: 0 to 1, position of the object on its way.
    """
    height, width = background.shape[:2]
    side = int(height * OBJECT)
    top, left = (height - side) // 2, int(time * (width - side))
    still = background.astype(np.float32)
    cut = Image.fromarray(moving).resize((side, side))
    still[top : top + side, left : left + side] = np.asarray(cut)
    taken = still * (1 + rng.normal(0, EXPOSURE)) + rng.normal(0, NOISE, still.shape)
    return taken.round().clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
