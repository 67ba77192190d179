"""unicorn-codec: one small diffusion network learns a folder of pictures; each comes back by one number.

``unicorn_codec.archive`` holds what most callers want: ``pack`` and ``Archive``. The format of ``.uni`` files is
written down in ``format_spec/uni-1.md``.
"""

__version__ = "0.1.0"
