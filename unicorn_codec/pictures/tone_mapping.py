"""Tone mapping of high dynamic range and floating-point pictures to the range of a standard display.

Light is linear, float32 (H, W, C), with 1 as diffuse white: 203 cd/m2 (ITU-R BT.2408). Pictures without brighter light
do not change. In others, light above ``KNEE`` is compressed.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.pictures.colour_space import HLG, PQ

WHITE_CD_M2 = 203.0
PQ_PEAK_CD_M2 = 10000.0
HLG_PEAK_CD_M2 = 1000.0
HLG_SYSTEM_GAMMA = 1.2
KNEE = 0.75
BRIGHT_SHARE = 1e-4
"""Share of the pixels that may exceed the level mapped to white: highlights and noise do not darken a picture."""

Light = NDArray[np.float32]

_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
_STEPS = 1 << 16
_PQ_M1, _PQ_M2 = 2610 / 16384, 2523 / 4096 * 128
_PQ_C1, _PQ_C2, _PQ_C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_HLG_A, _HLG_B, _HLG_C = 0.17883277, 0.28466892, 0.55991073


def display_light(values: Light, transfer: str | float) -> Light:
    """Return the light of a reference display for values 0 to 1 of PQ or HLG (ITU-R BT.2100), diffuse white at 1.

    Values are rounded to 16 bits.
    """
    decoded = _decoded(str(transfer))[np.rint(np.clip(values, 0, 1) * (_STEPS - 1)).astype(np.uint16)]
    if transfer == PQ:
        return decoded
    weights = _LUMINANCE if values.shape[2] == 3 else np.ones(1, np.float32)
    luminance = (decoded @ weights)[..., None]
    factor = np.maximum(luminance, 1e-9) ** np.float32(HLG_SYSTEM_GAMMA - 1)
    return decoded * factor * np.float32(HLG_PEAK_CD_M2 / WHITE_CD_M2)


@cache
def _decoded(transfer: str) -> Light:
    """Return the light of all 16-bit values: display light for PQ, scene light for HLG."""
    values = np.linspace(0, 1, _STEPS)
    if transfer == PQ:
        root = values ** (1 / _PQ_M2)
        light = (np.maximum(root - _PQ_C1, 0) / (_PQ_C2 - _PQ_C3 * root)) ** (1 / _PQ_M1)
        return (light * (PQ_PEAK_CD_M2 / WHITE_CD_M2)).astype(np.float32)
    assert transfer == HLG, transfer
    scene = np.where(values <= 0.5, values**2 / 3, (np.exp((values - _HLG_C) / _HLG_A) + _HLG_B) / 12)
    return scene.astype(np.float32)


def peak_of(light: Light) -> float:
    """Return the peak of a picture's brightest channel, disregarding a few pixels; at least 1."""
    brightest = light.max(axis=2).ravel()
    place = min(len(brightest) - 1, int(len(brightest) * (1 - BRIGHT_SHARE)))
    return max(1.0, float(np.partition(brightest, place)[place]))


def tone_mapped(light: Light, peak: float) -> Light:
    """Map light of 0 to ``peak`` to 0 to 1. All channels of a pixel get the same factor, which preserves hue.

    Between ``KNEE`` and the peak the brightest channel follows Reinhard's curve: it leaves the knee with slope 1 and
    reaches 1 at the peak.
    """
    if peak <= 1:
        return np.clip(light, 0, 1)
    room, excess = 1 - KNEE, peak - KNEE
    brightest = light.max(axis=2, keepdims=True)
    above = np.clip(brightest - KNEE, 0, excess)
    # a / (1 + a (1/room - 1/excess)): slope 1 at 0, and room at a = excess.
    mapped = KNEE + above / (1 + above * (1 / room - 1 / excess))
    factor = np.where(brightest > KNEE, mapped / np.maximum(brightest, KNEE), 1)
    return np.clip(light * factor, 0, 1).astype(np.float32)
