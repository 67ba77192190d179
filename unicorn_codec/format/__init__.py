"""What a ``.uni`` file is made of: bytes, bits, sections and the integer coder. Layout: ``format_spec/uni-1.md``."""
