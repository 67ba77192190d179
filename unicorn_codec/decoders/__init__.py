"""Indices to pixels: what decodes an archive's codes, or its network."""
