"""unicorn-codec: one small diffusion network learns a folder of pictures; each comes back by one number.

``unicorn_codec.archive`` holds what most callers want: ``pack`` and ``Archive``. The format of ``.uni`` files is
written down in ``format_spec/uni-1.md``.

Each folder is a layer that uses only those before it, and some of the modules beside the folders:

    format     bytes and bits of a file, its sections, the integer coder
    weights    a network's weights and the section that holds them
    codes      quantised latents and their bytes, by an integer context model
    pictures   files and folders of pictures, AVIF and AV1, distortion of what was decoded
    network    the denoiser that learns a set: its parts, its sampler, its training
    transform  the autoencoder: pixels to latents and back
    packing    a folder to a container, of codes or of a network
    bench      this codec beside its rivals

``decoding`` turns a container's codes or network into pixels; ``archive`` stands on all but ``bench``. The order of all
modules is in ``tests/test_module_order.py``, which holds it.
"""

__version__ = "0.1.0"
