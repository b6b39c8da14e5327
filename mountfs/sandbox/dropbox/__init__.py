"""A stand-in for the Dropbox HTTP API v2 on loopback."""

from mountfs.sandbox.dropbox.sandbox import DropboxSandbox
from mountfs.sandbox.dropbox.switches import DropboxSwitches

__all__ = ["DropboxSandbox", "DropboxSwitches"]
