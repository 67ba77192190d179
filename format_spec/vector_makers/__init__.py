"""Parts of ``make_vectors.py``, by what they make. None of them imports anything of the library."""
