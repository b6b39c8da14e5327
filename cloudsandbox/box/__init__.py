"""A stand-in for the Box Content API 2.0 on loopback."""

from cloudsandbox.box.sandbox import BoxSandbox
from cloudsandbox.box.switches import BoxSwitches

__all__ = ["BoxSandbox", "BoxSwitches"]
