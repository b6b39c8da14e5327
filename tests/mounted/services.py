"""The services that mounts are tested with, by name."""

from __future__ import annotations

from tests.mounted.boxprocess import BoxProcess
from tests.mounted.dropboxprocess import DropboxProcess
from tests.mounted.memoryprocess import MemoryProcess
from tests.mounted.sandboxprocess import SandboxProcess

SERVICES: dict[str, type[SandboxProcess]] = {
    kind.service: kind for kind in (MemoryProcess, DropboxProcess, BoxProcess)
}
