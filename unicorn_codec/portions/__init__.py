"""Packing of large sets in portions: archives of their own, made by any executor, and then joined."""
