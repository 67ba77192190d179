"""What a ``.uni`` file is made of: bytes, bits, chunks and records, as ``format_spec/uni-1.md`` specifies them."""
