"""mountfs: a cloud account as a directory; copies close at once and are committed in batches."""

__version__ = "0.1.0"
