"""Provenance of figures: command, date, seed, device and versions, stored with them."""

import hashlib
import importlib.metadata
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from unicorn_codec.devices import choose_device
from unicorn_codec.model_registry import AUTOENCODER, CONTEXT_MODEL, THUMBNAIL, models

NAMED_PACKAGES = (
    *("unicorn-codec", "torch", "diffusers", "numpy", "pillow", "imagecodecs", "imageio-ffmpeg", "ssimulacra2"),
    *("zstandard", "lpips", "piq", "pyiqa", "compressai"),
)


def provenance(command: str, seed: int, device: str) -> dict[str, Any]:
    """Return what a results file says about the run that made it."""
    return {
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "device": device_name(device),
        "cores": os.cpu_count(),
        "versions": {"python": platform.python_version(), **_versions()},
    }


def package_models_sha256() -> str:
    """Return a SHA-256 over those of all models of the package."""
    digest = hashlib.sha256()
    for role in (AUTOENCODER, CONTEXT_MODEL, THUMBNAIL):
        for model in models(role):
            digest.update(f"{role} {model.name} {model.sha256.hex()}\n".encode())
    return digest.hexdigest()


def device_name(device: str) -> str:
    """Return the name of the GPU, or of the processor."""
    if choose_device(device).type == "cuda":
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _versions() -> dict[str, str]:
    found = {}
    for name in NAMED_PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
