"""The state directory copied while a mount uses it, and mounted beside the first one."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from tests.mounted.realmount import MakeMount, RealMount
from tests.mounted.sandboxprocess import SandboxProcess
from tests.waiting import until


def copied(mount: RealMount) -> list[str]:
    """What the mount says of copies."""
    reasons = [each["reason"] for each in mount.status()["account"]["troubles"]]
    return [reason for reason in reasons if " is a copy of " in reason]


def shows(mount: RealMount, names: set[str]) -> bool:
    return {each.name for each in mount.path.iterdir()} == names


def test_what_a_mount_and_a_copy_of_its_state_have_pending_takes_effect_once_and_the_copy_is_told(
    far_side: SandboxProcess, make_mount: MakeMount, tmp_path: Path
) -> None:
    for name in ("edited", "removed", "moved"):
        far_side.write(f"/{name}", f"old {name}")
    first = make_mount()
    first.start()
    until(lambda: len(list(first.path.iterdir())) == 3, "all is listed")
    far_side.pause()
    (first.path / "new").write_text("new")
    (first.path / "large").write_bytes(b"large" * 1_000_000)
    (first.path / "edited").write_text("ours")
    (first.path / "removed").unlink()
    (first.path / "moved").rename(first.path / "there")
    shutil.copytree(first.state_dir, tmp_path / "copied")
    second = make_mount(name="second", state_dir=str(tmp_path / "copied"))
    second.start()
    [told] = copied(second)
    assert f"{first.state_dir}/accounts/" in told
    assert f" (process {first.pid}): " in told
    assert told in second.log_file.read_text()
    assert copied(first) == []

    far_side.resume()
    for mount in (first, second):
        mount.wait_committed()
    revisions = {path.removeprefix("/"): far_side.revisions(path) for path in far_side.files()}
    assert revisions == {"edited": 2, "large": 1, "new": 1, "there": 1}
    for mount in (first, second):
        until(partial(shows, mount, set(revisions)), "all is shown")
        assert (mount.path / "edited").read_text() == "ours"
        assert (mount.path / "there").read_text() == "old moved"
