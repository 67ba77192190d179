"""This codec beside its rivals, on a folder of the user's own: what ``unicorn bench`` runs."""
