"""The fault matrix: every route of a service, and every way in which it can go wrong."""
