"""Dropbox, by its HTTP API version 2."""
