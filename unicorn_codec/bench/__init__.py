"""Comparison of this codec with others on the user's own pictures, as ``unicorn bench`` runs it."""
