"""Coding of a network's weights: as minifloats, or as entropy-coded integers."""
