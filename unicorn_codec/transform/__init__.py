"""Pixels <-> latents: the autoencoder, bands of large pictures, updates of its decoder, and the distortion that packing minimises."""
