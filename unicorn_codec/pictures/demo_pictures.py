"""Sample pictures, rendered by code: one mug in many colours, poses and lights.

A small ray marcher over a signed distance (length unit: about the mug's height). Everything is float64 NumPy and
the integers of PCG64, so a seed gives the same pictures everywhere, but for the last bit of a sine.
"""

import colorsys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.errors import OutputError
from unicorn_codec.pictures.picture_writing import write_picture

Array = NDArray[np.float64]

OVERSAMPLING = 2
MARCH_STEPS = 72
SHADOW_STEPS = 28
FAR = 12.0
TOUCH = 5e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Parameters of one picture. Angles in radians, colours linear RGB ``(3,)``."""

    radius: float
    height: float
    taper: float
    handle_angle: float
    glaze: Array
    dip: Array
    dip_height: float
    speckle: float
    table: Array
    wall: Array
    sun: Array
    warmth: Array
    softness: float
    eye: Array
    texture_seed: int


def make_demo_pictures(folder: Path | str, count: int = 24, size: int = 128, seed: int = 0) -> list[Path]:
    """Draw ``count`` square pictures of ``size`` pixels as PNG files ``mug-000.png`` ... and return their paths.

    Raises:
        OutputError: the folder cannot be made, or one of the files exists already.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}") from error
    paths = [folder / f"mug-{number:03d}.png" for number in range(count)]
    for number, path in enumerate(paths):
        write_picture(draw(random_scene(seed, number), size), path)
    return paths


def random_scene(seed: int, number: int) -> Scene:
    """Choose the scene of one picture, which depends only on its number and the seed."""
    rng = np.random.default_rng((seed, number))

    def between(low: float, high: float) -> float:
        return low + (high - low) * float(rng.random())

    hue = between(0, 1)
    dip_hue = hue + (0.5 if rng.random() < 0.3 else between(-0.08, 0.08))
    backdrop_hue = hue + between(0.35, 0.65)
    sun_turn, sun_rise = between(-1.25, 1.25), between(0.55, 1.05)
    eye_rise, distance = between(0.30, 0.62), between(3.3, 3.9)
    warm = between(-1, 1)
    return Scene(
        radius=between(0.36, 0.47),
        height=between(0.86, 1.08),
        taper=between(-0.10, 0.14),
        handle_angle=between(-2.6, 2.6),
        glaze=_linear(hue, between(0.35, 0.8), between(0.5, 0.95)),
        dip=_linear(dip_hue, between(0.05, 0.5), between(0.8, 0.97)),
        dip_height=between(0.35, 0.8) if rng.random() < 0.7 else 2.0,
        speckle=between(0.0, 0.35),
        table=_linear(backdrop_hue, between(0.08, 0.35), between(0.6, 0.9)),
        wall=_linear(backdrop_hue + between(-0.1, 0.1), between(0.08, 0.4), between(0.45, 0.95)),
        sun=_toward(sun_turn, sun_rise),
        warmth=np.array([1 + 0.1 * warm, 1.0, 1 - 0.12 * warm]),
        softness=between(5, 14),
        eye=distance * _toward(0.0, eye_rise) + np.array([between(-0.15, 0.15), 0.42, 0.0]),
        texture_seed=int(rng.integers(1 << 32)),
    )


def draw(scene: Scene, size: int) -> NDArray[np.uint8]:
    """Draw a scene as uint8 pixels ``(size, size, 3)``, with four rays per pixel."""
    eye, ways = scene.eye, _rays(scene.eye, size * OVERSAMPLING)
    light = _backdrop(scene, eye, ways)
    steps = _march(scene, eye, ways)
    hit = steps < FAR
    points = eye + steps[hit, None] * ways[hit]
    light[hit] = _mug_light(scene, points, ways[hit])
    seen: Array = _developed(light).reshape(size, OVERSAMPLING, size, OVERSAMPLING, 3).mean((1, 3))
    return np.rint(seen * 255).astype(np.uint8)


def _rays(eye: Array, side: int) -> Array:
    """Return unit vectors ``(side * side, 3)`` from the eye through a square window around the mug's centre."""
    forward = _unit(np.array([0.0, 0.44, 0.0]) - eye)
    right = _unit(np.array([-forward[2], 0.0, forward[0]]))
    up = np.array([right[1] * forward[2] - right[2] * forward[1], right[2] * forward[0] - right[0] * forward[2],
                   right[0] * forward[1] - right[1] * forward[0]])  # fmt: skip
    ticks = ((np.arange(side) + 0.5) / side - 0.5) * 0.52
    across, down = np.meshgrid(ticks, ticks)
    return _unit(forward + across.reshape(-1, 1) * right - down.reshape(-1, 1) * up)


# --- shape ---


def _distance(scene: Scene, points: Array) -> Array:
    """Return a lower bound on the distance to the mug, negative inside; points: ``(n, 3)``."""
    x, y, z = points.T
    radius = _radius(scene, points)
    from_axis = np.hypot(x, z)
    edge = 0.06
    beside = from_axis - radius + edge
    above = np.abs(y - scene.height / 2) - scene.height / 2 + edge
    outside = np.hypot(np.maximum(beside, 0), np.maximum(above, 0)) + np.minimum(np.maximum(beside, above), 0) - edge
    along = x * np.sin(scene.handle_angle) + z * np.cos(scene.handle_angle)
    aside = x * np.cos(scene.handle_angle) - z * np.sin(scene.handle_angle)
    ring = np.hypot(along - scene.radius - 0.03, (y - 0.52 * scene.height) / 1.25) - 0.22
    handle = np.hypot(ring, 0.75 * aside) - 0.05
    hollow = np.maximum(from_axis - radius + 0.05, 0.08 - y)
    return -_blend(-_blend(outside, handle, 0.07), hollow, 0.03)


def _radius(scene: Scene, points: Array) -> Array:
    return scene.radius * (1 + scene.taper * (points[:, 1] / scene.height - 0.5))


def _blend(a: Array, b: Array, width: float) -> Array:
    """Return the smooth minimum of two distances."""
    near = np.maximum(width - np.abs(a - b), 0) / width
    return np.minimum(a, b) - near * near * width / 4


def _normals(scene: Scene, points: Array) -> Array:
    shifts = 1e-4 * np.eye(3)
    slopes = [_distance(scene, points + shift) - _distance(scene, points - shift) for shift in shifts]
    return _unit(np.stack(slopes, axis=-1))


def _march(scene: Scene, eye: Array, ways: Array) -> Array:
    """Return the length of each ray up to the mug, ``FAR`` if it misses."""
    center = np.array([0.0, 0.5, 0.0])
    nearest = (center - eye) @ ways.T
    missed_by = np.linalg.norm(eye + nearest[:, None] * ways - center, axis=1)
    lengths = np.where(missed_by < 1.1, np.maximum(nearest - 1.1, 0), FAR)
    active = np.flatnonzero(lengths < FAR)
    for _ in range(MARCH_STEPS):
        gap = _distance(scene, eye + lengths[active, None] * ways[active])
        lengths[active] += 0.85 * gap
        passed = lengths[active] > nearest[active] + 1.1
        lengths[active[passed]] = FAR
        active = active[(gap > TOUCH) & ~passed]
    lengths[active] = FAR
    return lengths


# --- light ---


def _sunlit(scene: Scene, points: Array) -> Array:
    """Return the visible share of the sun at each point, 0 to 1, with soft edges."""
    seen = np.ones(len(points))
    gone = np.full(len(points), 0.03)
    for _ in range(SHADOW_STEPS):
        gap = _distance(scene, points + gone[:, None] * scene.sun)
        seen = np.minimum(seen, 0.5 + 0.5 * scene.softness * gap / gone)
        gone += np.clip(gap, 0.025, 0.2)
    return _smooth(0.0, 1.0, seen)


def _openness(scene: Scene, points: Array, normals: Array) -> Array:
    """Return the visible share of the sky at each point (ambient occlusion), 0 to 1."""
    reaches = (0.06, 0.14, 0.28)
    return np.asarray(np.mean([np.clip(_distance(scene, points + r * normals) / r, 0, 1) for r in reaches], axis=0))


def _surroundings(scene: Scene, ways: Array) -> Array:
    """Return the light from directions ``(n, 3)``: wall, table, and a tall window on the sun's side."""
    rise = ways[:, 1, None]
    around = _smooth(-0.3, 0.5, rise)
    facing = _unit(ways[:, [0, 2]] + 1e-9) @ _unit(scene.sun[[0, 2]])
    window = _smooth(0.95, 0.985, facing)[:, None] * _smooth(-0.75, -0.2, rise) * scene.warmth
    ambient: Array = scene.table * 0.6 + (scene.wall - scene.table * 0.6) * around
    return ambient + 6.0 * window


def _backdrop(scene: Scene, eye: Array, ways: Array) -> Array:
    """Return the light of the table with the mug's shadow, and of the wall that it bends into."""
    glow = 1.12 - 0.35 * _smooth(-0.9, 0.9, ways[:, :1] - 1.6 * scene.sun[0] * 0.35)
    wall = scene.wall * glow
    lengths = np.where(ways[:, 1] < -1e-3, -eye[1] / np.minimum(ways[:, 1], -1e-3), FAR)
    lengths = np.minimum(lengths, FAR)
    points = eye + lengths[:, None] * ways
    points[:, 1] = 0.0
    grain = 1 + 0.05 * _waves(points * np.array([1.0, 1.0, 3.0]), scene.texture_seed, 5.0)
    sky = 0.32 * (0.1 + 0.9 * _openness(scene, points, np.array([0.0, 1.0, 0.0])))
    sun = 1.2 * scene.sun[1] * _sunlit(scene, points)
    table: Array = scene.table * grain[:, None] * (sky[:, None] + sun[:, None] * scene.warmth)
    return table + (wall - table) * _smooth(0.6, 4.2, -points[:, 2:])


def _mug_light(scene: Scene, points: Array, ways: Array) -> Array:
    """Return the light from the mug towards the eye: diffuse light from sun and sky, and reflections."""
    normals = _normals(scene, points)
    open_sky = _openness(scene, points, normals)[:, None]
    lit = np.maximum(normals @ scene.sun, 0) * _sunlit(scene, points + 0.01 * normals)
    sky = (0.24 + 0.20 * normals[:, 1, None]) * (0.5 + 0.5 * scene.wall)
    bounce = 0.22 * np.maximum(0.3 - normals[:, 1, None], 0) * scene.table
    matte = _glaze(scene, points) * (open_sky * (sky + bounce) + 1.25 * lit[:, None] * scene.warmth)
    facing = np.maximum(-np.sum(normals * ways, axis=1), 0)
    mirrored = ways + 2 * facing[:, None] * normals
    share = 0.04 + 0.45 * (1 - facing[:, None]) ** 5
    return np.asarray(matte + share * open_sky * _surroundings(scene, mirrored))


def _glaze(scene: Scene, points: Array) -> Array:
    """Return the mug's colour: a second glaze on rim and inside, with darker speckles."""
    wobble = 0.02 * _waves(points, scene.texture_seed + 1, 5.0)
    rise = points[:, 1] / scene.height
    inside = _smooth(0.025, 0.04, _radius(scene, points) - np.hypot(points[:, 0], points[:, 2])) * (rise > 0.05)
    dipped = np.maximum(_smooth(-0.008, 0.008, rise - scene.dip_height + wobble), inside)
    color = scene.glaze + (scene.dip - scene.glaze) * dipped[:, None]
    spots = _smooth(1.5, 2.1, _waves(points, scene.texture_seed + 2, 48.0))
    return np.asarray(color * (1 - scene.speckle * spots[:, None]))


def _waves(points: Array, seed: int, frequency: float) -> Array:
    """Return smooth noise of deviation 1 at points ``(n, 3)``: eight sine waves in random directions."""
    rng = np.random.default_rng(seed)
    directions = _unit(rng.random((8, 3)) - 0.5) * frequency * (0.6 + 0.8 * rng.random((8, 1)))
    return np.asarray(np.sin(points @ directions.T + 2 * np.pi * rng.random(8)).sum(axis=1) / 2)


def _developed(light: Array) -> Array:
    """Map linear light to sRGB values 0 to 1; highlights roll off softly."""
    soft = light * (1 + light / 4) / (1 + light)
    return np.clip(1.32 * soft, 0, 1) ** (1 / 2.2)


# --- arithmetic ---


def _linear(hue: float, saturation: float, value: float) -> Array:
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value)) ** 2.2


def _toward(turn: float, rise: float) -> Array:
    return np.array([np.sin(turn) * np.cos(rise), np.sin(rise), np.cos(turn) * np.cos(rise)])


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def _smooth(low: float, high: float, values: Array) -> Array:
    """Rise from 0 at ``low`` to 1 at ``high`` without a corner."""
    part = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(part * part * (3 - 2 * part))
