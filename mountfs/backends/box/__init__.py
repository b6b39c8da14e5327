"""Box, by its Content API 2.0."""
