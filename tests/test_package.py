"""What is shipped: every package, its types and its models, in a wheel that stays small."""

import configparser
import io
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MOST_BYTES = 14_000_000
"""Of a wheel, without what it depends on."""


def shipped() -> tuple[list[Path], dict[str, list[Path]]]:
    """Folders of the packages that setup.cfg lists, and files by package that it adds to them."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    roots = dict(line.split(" = ") for line in settings["options"]["package_dir"].split("\n") if line)
    packages = settings["options"]["packages"].split()
    folders = [ROOT / roots[name.split(".")[0]] / "/".join(name.split(".")[1:]) for name in packages]
    data = settings["options.package_data"]
    added = {
        name: [path for pattern in data[name].split(",") for path in (ROOT / roots[name]).glob(pattern.strip())]
        for name in data
    }
    return folders, added


def test_every_folder_of_modules_is_shipped() -> None:
    folders, _ = shipped()
    found = {path.parent for name in ("unicorn_codec", "cli") for path in (ROOT / name).rglob("*.py")}
    assert found == set(folders)
    assert len(folders) == len(found)


@pytest.mark.parametrize("package", ["unicorn_codec", "unicorn_cli"])
def test_types_are_shipped(package: str) -> None:
    _, added = shipped()
    assert "py.typed" in {path.name for path in added[package]}


def test_a_wheel_stays_small() -> None:
    folders, added = shipped()
    paths = [path for folder in folders for path in folder.glob("*.py")]
    paths += [path for files in added.values() for path in files]
    assert any(path.suffix == ".safetensors" for path in paths)
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            archive.write(path, path.relative_to(ROOT))
    assert wheel.tell() <= MOST_BYTES, f"{wheel.tell():,} bytes"
