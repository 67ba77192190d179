"""Pixels <-> latents: the autoencoder, large pictures in bands, updates of its decoder, the distortions of packing."""
