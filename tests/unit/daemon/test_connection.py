"""The network process of a mount, before it is told what to connect to."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.process.connection import begun_process


@pytest.mark.parametrize("name", ["random.py", "daemon/__init__.py", "requests/__init__.py"])
def test_it_loads_nothing_from_the_folder_in_which_somebody_mounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What lies there may be anybody's, and the process has the account's credentials."""
    module = tmp_path / name
    module.parent.mkdir(exist_ok=True)
    module.write_text(f"open({str(tmp_path / 'was-loaded')!r}, 'w'); raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    with begun_process() as process:
        assert process is not None
        process.socket.close()  # it ends by itself once it has loaded its modules
        assert process.process.wait() == 0
    assert not (tmp_path / "was-loaded").exists()
