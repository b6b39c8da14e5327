"""The machine itself: what a test sees of it is its own doing."""

from __future__ import annotations

from pathlib import Path

from tests.service.machine import Machine

UNIT = "[Service]\nExecStart=sleep infinity\nKillMode=mixed\n"


def test_two_machines_have_their_services_for_themselves(machine: Machine, tmp_path: Path) -> None:
    with Machine(tmp_path) as other:
        for each in (machine, other):
            each.write("/etc/systemd/system/asleep.service", UNIT)
            each.run("systemctl", "daemon-reload")
            each.run("systemctl", "start", "asleep")
        machine.run("systemctl", "stop", "asleep")
        assert "Failed to kill control group" not in machine.journal("asleep")
        assert other.property("asleep", "ActiveState") == "active"
