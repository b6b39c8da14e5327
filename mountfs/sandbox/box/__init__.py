"""A stand-in for the Box Content API 2.0 on loopback."""

from mountfs.sandbox.box.sandbox import BoxSandbox
from mountfs.sandbox.box.switches import BoxSwitches

__all__ = ["BoxSandbox", "BoxSwitches"]
