"""Reports as plain values, and values as JSON."""

import json
import math
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .distortion_text import below_stored_text, below_text

if TYPE_CHECKING:  # at run time these would load torch
    from unicorn_codec.measurement import Measured
    from unicorn_codec.packing.reports import PackReport
    from unicorn_codec.verification import VerifyReport

_OF_NETWORK = ("parameters", "steps", "ceiling_psnr_db", "other_noise_psnr_db", "stored_noise_psnr_db")
"""Keys that are null for an archive of codes."""


def to_json(values: dict[str, Any]) -> str:
    """Format values as JSON. Values that are not finite, such as the PSNR of identical pictures, become null."""
    finite = _finite(values)
    text = json.dumps(finite, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # the stream's own escapes are not valid JSON
        return json.dumps(finite, indent=2, allow_nan=False)
    return text


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def measured_values(measured: "Measured | None") -> dict[str, Any]:
    """Return the distortion under the keys that ``pack`` and ``verify`` share; None if nothing was measured."""
    if measured is None or not measured.rows:
        return {"psnr_db": None, "ms_ssim": None, "worst": []}
    return {
        "psnr_db": asdict(measured.psnr_db),
        "ms_ssim": asdict(measured.ms_ssim),
        "worst": [asdict(picture) for picture in measured.worst],
    }


def pack_values(report: "PackReport") -> dict[str, Any]:
    """Return the values that ``pack --json`` prints."""
    values = asdict(report)
    del values["measured"]
    values |= values.pop("network") or dict.fromkeys(_OF_NETWORK)
    return values | measured_values(report.measured) | {"measured_pictures": report.measured.pictures}


def verify_values(report: "VerifyReport") -> dict[str, Any]:
    """Return the values that ``verify --json`` prints."""
    return {
        "ok": report.ok,
        "pictures": report.pictures,
        **measured_values(report.measured),
        "problems": [
            *report.damage,
            *report.differences,
            *map(below_stored_text, report.below_stored),
            *map(below_text, report.below_floor),
        ],
    }


def damage_values(error: Exception) -> dict[str, Any]:
    """Return the values that ``verify --json`` prints for a damaged file."""
    return {"ok": False, "pictures": None, **measured_values(None), "problems": [str(error)]}
