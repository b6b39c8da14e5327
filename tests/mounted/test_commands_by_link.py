"""Commands take paths with symbolic links in a mount as the kernel does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.mounted.realmount import RealMount, mountfs

pytestmark = pytest.mark.only_on("dropbox", because="links are this machine's")


@pytest.fixture
def top(real_mount: RealMount) -> Path:
    """A mount with links in it, of which all is committed."""
    top = real_mount.path
    (top / "docs" / "deep").mkdir(parents=True)
    (top / "docs" / "deep" / "f").write_text("below")
    (top / "docs" / "beside").write_text("beside")
    (top / "folder").symlink_to("docs/deep")
    (top / "file").symlink_to("docs/deep/f")
    (top / "outside").symlink_to(top.parent)
    real_mount.wait_committed()
    return top


@pytest.mark.parametrize("path", ["file", "folder/f", "folder/../beside", "folder/../../file"])
def test_a_file_is_asked_about_by_links_that_lead_to_it(top: Path, path: str) -> None:
    told = mountfs("versions", top / path)
    assert (told.returncode, told.stderr) == (0, "")
    assert mountfs("wait", top / path).returncode == 0


def test_a_link_that_leads_out_of_the_mount_leads_to_no_file_in_it(top: Path, tmp_path: Path) -> None:
    (top.parent / "elsewhere").write_text("")
    told = mountfs("versions", top / "outside" / "elsewhere")
    assert told.returncode == 1
    assert "is not on a mountfs mount" in told.stderr
    assert mountfs("versions", top / "outside" / top.name / "file").returncode == 0


def test_what_a_link_leads_to_is_pinned_and_not_the_link(top: Path) -> None:
    assert mountfs("pin", top / "folder").returncode == 0
    assert f"{top}/docs/deep: " in mountfs("pin").stdout
    assert mountfs("unpin", top / "folder").returncode == 0
    assert f"{top}/" not in mountfs("pin").stdout


def test_what_is_pending_where_a_link_leads_to_is_told(top: Path) -> None:
    assert mountfs("pause", top).returncode == 0
    (top / "folder" / "new").write_text("new")
    told = mountfs("pending", top / "folder")
    assert told.returncode == 1
    assert told.stdout.startswith(f"{top}/docs/deep/new\t")
    assert mountfs("wait", "--timeout", "0", top / "folder").returncode == 2


def test_what_is_given_up_is_the_link_as_rm_removes_it(top: Path) -> None:
    assert mountfs("pause", top).returncode == 0
    (top / "docs" / "deep" / "f").write_text("not sent yet")
    told = mountfs("discard", top / "file", "--yes")
    assert "gave up 1 change" not in told.stdout
    assert (top / "docs" / "deep" / "f").read_text() == "not sent yet"
    assert "new here" in mountfs("log", top / "file").stdout
    assert "written to" not in mountfs("log", top / "file").stdout


@pytest.mark.parametrize("command", ["status", "pause", "resume", "umount"])
def test_who_names_what_lies_in_a_mount_is_told_its_mount_point(top: Path, command: str) -> None:
    told = mountfs(command, top / "folder")
    assert told.returncode == (2 if command == "status" else 1)
    assert f"it lies on the mount at {top}: name that" in told.stderr
    (top / "again").symlink_to(top)
    assert mountfs("status", top / "again").returncode == 0


def test_a_mount_point_is_found_by_a_link_in_another_mount(top: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (top / "to-place").symlink_to(place)
    told = mountfs("export", top / "docs", top / "to-place" / "out")
    assert "nothing is pending there" in told.stderr
    shutil.rmtree(place)
