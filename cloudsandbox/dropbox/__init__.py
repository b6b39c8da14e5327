"""A stand-in for the Dropbox HTTP API v2 on loopback."""

from cloudsandbox.dropbox.sandbox import DropboxSandbox
from cloudsandbox.dropbox.switches import DropboxSwitches

__all__ = ["DropboxSandbox", "DropboxSwitches"]
