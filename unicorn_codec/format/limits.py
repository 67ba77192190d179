"""Limits of archives. ``format_spec/uni-1.md`` lists them under the same names."""

MAX_PICTURES = 1 << 30
"""Limit of indices, including those of removed pictures."""

MAX_SIDE = 1 << 20
MAX_CODED_PIXELS = 1 << 28
"""Pixels per code; larger pictures are coded in tiles."""

MAX_TILE_SIDE = 1 << 14
"""Longest side of a tile in pixels."""

MAX_ROWS = 1024
"""Entries of an index page: rows of a leaf, or children of an inner page."""

MAX_LEVEL_OF_PAGES = 2
MAX_BUCKET_ENTRIES = 4096
"""Names per bucket of a lookup run."""

MAX_RUN_ENTRIES = 1 << 22
"""Names per lookup run."""

MAX_PAGE_BYTES = 1 << 20
MAX_FOOTER_BYTES = 1 << 20
MAX_CHUNK_BYTES = 1 << 40
MAX_RECORD_HEADER_BYTES = 1 << 16
MAX_SHORT_PAYLOAD = 1 << 11
"""Payload of a record up to which its checksum has 16 bits."""

MAX_BLOB_BYTES = 1 << 28
MAX_RAW_BYTES = 1 << 28
"""Raw length of packed bytes, unless a narrower limit is given."""

MAX_EXPANSION = 1024
"""Maximum expansion of packed bytes, so that a small file cannot claim much memory."""

MAX_WINDOW_BYTES = 1 << 23
"""Window of a zstd frame."""

MAX_PIECE_BYTES = 1 << 23
"""Bytes of a stored file in its record, or in one of its pieces: what is in memory of a large file at a time."""

MAX_COLUMN_BITS = 56
MAX_NAME_BYTES = 4096
MAX_DECODERS = 64
MAX_CANARIES = 16
MAX_RUNS = 256
MAX_ATTACHMENTS = 256
MAX_BLOBS = 4096
MAX_PARTS = 4096
MAX_SEQUENCE = 64
"""Pictures that decoding one picture may require."""

MAX_CONFIG_BYTES = 1 << 12
"""Configuration of a stored model."""

MAX_TIME = 1 << 40
"""Seconds from 1970, either way, that a time is less away."""

MAX_PSNR = 2_000
"""Largest stored PSNR, in tenths of a dB."""

MAX_FUNCTION_LEVELS = 8
"""Grid sizes of an overfitted function."""

MAX_PLANES = 255
"""Planes of integers of an overfitted function, of all sizes together."""

MAX_FUNCTION_VALUES = 1 << 26
"""Integers in all planes of an overfitted function."""
