"""The denoiser, a diffusion network that learns a set of pictures: its parts, its sampler and its training."""
