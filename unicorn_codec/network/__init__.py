"""The denoiser that learns a set: its parts, its sampler, its training."""
