"""What no archive may exceed. ``format_spec/uni-1.md`` lists these limits under the same names."""

MAX_PICTURES = 1 << 30
"""An index is below this, removed pictures counted."""

MAX_SIDE = 1 << 20
MAX_CODED_PIXELS = 1 << 28
"""Of one code: a larger picture is coded in tiles."""

MAX_ROWS = 1024
"""Of an index page: rows of a leaf, children of an inner page."""

MAX_LEVEL_OF_PAGES = 2
MAX_BUCKET_ENTRIES = 4096
"""Names of one bucket of a lookup run."""

MAX_RUN_ENTRIES = 1 << 22
"""Names of one lookup run."""

MAX_PAGE_BYTES = 1 << 20
MAX_FOOTER_BYTES = 1 << 20
MAX_CHUNK_BYTES = 1 << 40
MAX_RECORD_HEADER_BYTES = 1 << 16
MAX_BLOB_BYTES = 1 << 28
MAX_RAW_BYTES = 1 << 28
"""Of packed bytes, where no narrower limit is given."""

MAX_EXPANSION = 1024
"""Packed bytes may grow by this factor at most, so that a small file cannot claim much memory."""

MAX_WINDOW_BYTES = 1 << 23
"""Of a zstd frame."""

MAX_COLUMN_BITS = 56
MAX_NAME_BYTES = 4096
MAX_DECODERS = 64
MAX_CANARIES = 16
MAX_RUNS = 256
MAX_ATTACHMENTS = 256
MAX_BLOBS = 4096
MAX_PARTS = 4096
MAX_SEQUENCE = 64
"""Pictures that have to be decoded for one."""

MAX_TIME = 1 << 40
"""Seconds from 1970, either way, that a time is less away."""

MAX_PSNR = 20_000
"""In hundredths of a dB."""
