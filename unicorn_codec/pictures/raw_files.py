"""Camera raw files to pictures, developed by LibRaw with the camera's white balance."""

import io

import numpy as np

from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.limits import check_pixels
from unicorn_codec.pictures.picture_files import DamagedFile, MissingReader
from unicorn_codec.pictures.raster import RGB, Raster


def read_raw(data: bytes, options: ReadOptions) -> Raster:
    """Develop a camera raw. Raises ``BadFile``, or ``MissingReader`` without the package ``rawpy``."""
    try:
        import rawpy
    except ImportError as error:
        raise MissingReader("a camera raw is developed with the extra 'raw': pip install unicorn-codec[raw]") from error
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            check_pixels(raw.sizes.width, raw.sizes.height, options)
            developed = raw.postprocess(use_camera_wb=True, output_color=rawpy.ColorSpace.sRGB, output_bps=8)
    except rawpy.LibRawError as error:
        reason = error.args[0] if error.args else error
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise DamagedFile(f"LibRaw cannot develop it: {text}") from error
    note = "it was developed from a camera raw; the sensor's values are not kept"
    return Raster(samples=np.asarray(developed), model=RGB, notes=(note,))
