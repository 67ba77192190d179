"""Pixels to latents and back: the autoencoder, its changes, and the distortion that it is held against."""
