"""EXIF's orientation and colour space."""

from PIL import Image

from unicorn_codec.pictures.colour_space import ADOBE_RGB, ColourSpace

_ORIENTATION = 0x0112
_EXIF_IFD, _INTEROP_IFD = 0x8769, 0xA005
_COLOUR_SPACE, _INTEROP_INDEX = 0xA001, 1
_ADOBE_COLOUR_SPACE = 2
"""Value of some cameras for Adobe RGB; EXIF defines only 1, sRGB, and 65535, uncalibrated."""


def orientation_of(image: Image.Image) -> int:
    """Return EXIF's orientation, 1 to 8; 1 where it is missing, damaged or out of range."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
        return found if isinstance(found, int) and 1 <= found <= 8 else 1
    except Exception:  # noqa: BLE001 - damaged EXIF does not affect the picture
        return 1


def colour_of(exif: Image.Exif) -> ColourSpace | None:
    """Return Adobe RGB if EXIF names it as DCF defines (option file, ``R03``), else None."""
    try:
        space = exif.get_ifd(_EXIF_IFD).get(_COLOUR_SPACE)
        index = exif.get_ifd(_INTEROP_IFD).get(_INTEROP_INDEX)
    except Exception:  # noqa: BLE001 - as above
        return None
    is_adobe = space == _ADOBE_COLOUR_SPACE or (space != 1 and isinstance(index, str) and index.startswith("R03"))
    return ADOBE_RGB if is_adobe else None
