"""Shards of pictures, tar and parquet files: into archives, and out of them."""
