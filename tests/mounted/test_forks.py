"""Mounts and commands that are forked: a test learns of them what it would of programs that it starts."""

from __future__ import annotations

import resource

import pytest

from tests.mounted.forks import Started
from tests.mounted.realmount import MakeMount, mountfs
from tests.waiting import DEADLINE_S

on_memory = pytest.mark.only_on(
    "memory", because="how a test starts its mount does not depend on the service"
)


@on_memory
def test_a_mount_has_the_limits_of_its_test(make_mount: MakeMount) -> None:
    """Else those that set some would test nothing."""
    assert mountfs("--version").returncode == 0  # what both are forked from runs by now
    mount = make_mount()
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    chosen = 86_400 if hard == resource.RLIM_INFINITY else hard - 1
    resource.setrlimit(resource.RLIMIT_CPU, (chosen, hard))
    try:
        mount.start()
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
    assert resource.prlimit(mount.pid, resource.RLIMIT_CPU) == (chosen, hard)


class Undying(Started):
    """A process that SIGKILL does not end: it hangs in the kernel."""

    def __init__(self) -> None:
        self.pid = 0

    def signal(self, number: int) -> None:
        """Nothing comes of it."""

    def wait(self, timeout_s: float) -> None:
        assert timeout_s == DEADLINE_S


@on_memory
def test_a_process_that_does_not_end_is_no_success(make_mount: MakeMount) -> None:
    mount = make_mount()
    mount._process = Undying()
    for call in (mount.kill9, mount.terminate, mount.cleanup):
        with pytest.raises(AssertionError, match="does not end"):
            call()
    mount._process = None
