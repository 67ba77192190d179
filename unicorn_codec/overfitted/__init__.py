"""Codes that are functions overfitted to a picture's latents, as in CLRIC: grids, a synthesis, and a context model."""
