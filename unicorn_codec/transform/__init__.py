"""Pixels <-> latents: the autoencoder, tiling, updates of its decoder, and the distortion that packing minimises."""
