"""Reading an account back over its service's own API."""

import json

import pytest

from cloudsandbox.box import BoxSandbox
from cloudsandbox.dropbox import DropboxSandbox
from cloudsandbox.dropbox.hashing import content_hash
from cloudsandbox.readback import TOKEN_VARIABLE, main

MANY = 1100  # more than one page of a listing


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "sandbox")


def test_all_files_of_a_box_are_read_whatever_folder_they_are_in(capsys: pytest.CaptureFixture[str]) -> None:
    with BoxSandbox(token="sandbox") as box:
        for number in range(MANY):
            box.write(f"/many/{number}", b"")
        sha1 = box.write("/a/b/ü c", b"abc")["sha1"]
        assert main(["box", box.base_url]) == 0
    files = json.loads(capsys.readouterr().out)
    assert len(files) == MANY + 1
    assert files["/a/b/ü c"] == {"stated": sha1, "delivered": sha1}


def test_all_files_of_a_dropbox_are_read_whatever_folder_they_are_in(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with DropboxSandbox(token="sandbox") as dropbox:
        for number in range(MANY):
            dropbox.write(f"/many/{number}", b"")
        dropbox.write("/a/b/Up c", b"abc")
        assert main(["dropbox", dropbox.base_url]) == 0
    files = json.loads(capsys.readouterr().out)
    assert len(files) == MANY + 1
    assert files["/a/b/Up c"] == dict.fromkeys(("stated", "delivered"), content_hash(b"abc"))


@pytest.mark.parametrize("service", [DropboxSandbox, BoxSandbox])
def test_what_the_service_refuses_is_one_line(
    service: type[DropboxSandbox | BoxSandbox],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "wrong")
    with service() as sandbox:
        assert main(["dropbox" if service is DropboxSandbox else "box", sandbox.base_url]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "the service answered 401" in line
