"""List what an archive's bytes are: the codes, and what the container adds to them.

unicorn pack cats cats.uni --bpp 0.1 --effort 0 --learn off
python benchmarks/container_bytes.py cats.uni
"""

import argparse
from collections import Counter
from pathlib import Path

from unicorn_codec.format.chunks import LETTERS, PICTURES, parse_chunk_header
from unicorn_codec.format.opening import PREAMBLE
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.sources import FileSource


def bytes_of_parts(reader: ContainerReader) -> Counter[str]:
    """Return the bytes of an archive by part; together they are those of the file."""
    found, offset = Counter({"preamble": len(PREAMBLE)}), len(PREAMBLE)
    while offset < reader.end:
        header = parse_chunk_header(reader.read(offset, 64), 0, reader.salt)
        found["frames of chunks"] += header.total_bytes - header.length
        found["records" if header.letter == PICTURES else LETTERS[header.letter]] += header.length
        offset += header.total_bytes
    for leaf in reader.leaves():
        for index in leaf.living:
            row = reader.row(int(index))
            if row.length:
                found["codes and other parts"] += sum(len(part.data) for part in reader.record(row).parts)
    found["records without their parts"] = found.pop("records", 0) - found["codes and other parts"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", type=Path, nargs="+")
    for path in parser.parse_args().archives:
        reader = ContainerReader(FileSource(path))
        parts = bytes_of_parts(reader)
        codes, total = parts["codes and other parts"], sum(parts.values())
        print(f"{path}: {total:,} bytes, {total - codes:,} ({(total - codes) / total:.2%}) beside codes")
        for part, count in parts.most_common():
            print(f"  {part:28}{count:12,}  {count / total:.2%}")


if __name__ == "__main__":
    main()
