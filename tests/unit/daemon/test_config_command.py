"""``mountfs config``, the table of all keys, and the example file."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

from daemon.cli import run
from daemon.config.boxremote import BoxRemote
from daemon.config.reference import BOX, DROPBOX, INSTANCE, MOUNT, SECTIONS, Section, example, markdown
from daemon.config.settings import DropboxRemote, load, parse

DOCUMENT = Path(__file__).parents[3] / "docs" / "CONFIGURATION.md"
MARKER = "<!-- tables -->\n"
FILE = Path("/etc/mountfs.toml")
SECRETS = ("sesame", "hush")
WRITTEN = """# notes
[remotes.work]
type = "dropbox"
app_key = "key"
refresh_token = "sesame"
[remotes."a.b"]
type = "box"
client_id = "id"
client_secret = "hush"
refresh_token = { file = "/etc/hostname" }
[mount]
umask = "077"
[mounts.demo]
remote = "work:/x"
mountpoint = "/mnt/x"
close = "fsync"
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr("daemon.cli.context.SYSTEM_CONFIG", tmp_path / "etc.toml")
    return tmp_path


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title)
def test_every_key_is_described_once(section: Section) -> None:
    assert sorted(entry.key for entry in section.entries) == sorted(section.keys)


def test_the_document_has_the_tables_as_they_are() -> None:
    """``MOUNTFS_WRITE_TABLES=1 pytest`` with this test writes them anew."""
    before, marker, tables = DOCUMENT.read_text().partition(MARKER)
    assert marker
    if os.environ.get("MOUNTFS_WRITE_TABLES"):
        DOCUMENT.write_text(f"{before}{marker}\n{markdown()}")
    else:
        assert tables == f"\n{markdown()}"


def uncommented(text: str, marks: str) -> str:
    """The example as somebody would leave it: lines begun by exactly *marks* say something now."""
    return re.sub(rf"^{marks}(?=[a-z\[])", "", text, flags=re.MULTILINE)


def test_the_example_as_it_is_says_nothing() -> None:
    assert tomllib.loads(example()) == {}


def test_the_example_without_its_marks_is_a_configuration_with_every_key() -> None:
    tables = tomllib.loads(uncommented(example(), "#"))
    settings = parse(FILE, tables)
    assert isinstance(settings.remotes["work"], DropboxRemote)
    assert isinstance(settings.remotes["archive"], BoxRemote)
    every = tomllib.loads(uncommented(example(), "##?"))
    remotes, mounts = every["remotes"], every["mounts"]
    given = (remotes["work"], remotes["archive"], every["mount"], mounts["projects"])
    for section, keys in zip((DROPBOX, BOX, MOUNT, INSTANCE), given, strict=True):
        assert keys.keys() - {"type"} == section.keys.keys()


def test_what_is_marked_twice_takes_the_place_of_what_is_above_it() -> None:
    """Client credentials in place of a token, as the example leads to them."""
    text = uncommented(example(), "#").replace("##box_subject", "box_subject")
    lines = [line for line in text.splitlines() if not line.startswith("refresh_token")]
    archive = parse(FILE, tomllib.loads("\n".join(lines))).remotes["archive"]
    assert isinstance(archive, BoxRemote)
    assert archive.box_subject_type == "enterprise"


def test_a_configuration_is_begun_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / ".config" / "mountfs" / "mountfs.toml"
    assert run(["config", "init"]) == 0
    assert capsys.readouterr().out == f"written to {path}; sign in to an account: mountfs login NAME\n"
    assert path.read_text() == example()
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("# mine\n")
    assert run(["config", "init"]) == 2
    assert "is there already, and stays as it is" in capsys.readouterr().err
    assert path.read_text() == "# mine\n"
    other = home / "other" / "m.toml"
    assert run(["--config", str(other), "config", "init"]) == 0
    assert load([other]).file == other


def written(home: Path, text: str) -> Path:
    path = home / "m.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_what_is_in_force_is_shown_without_its_secrets(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(home, WRITTEN)
    assert run(["--config", str(path), "config", "show"]) == 0
    shown = capsys.readouterr().out
    assert not any(secret in shown for secret in SECRETS)
    for line in (
        '[remotes.work]\ntype = "dropbox"\napp_key = "key"\nrefresh_token = "***"\n# path_root = "home"\n',
        '[remotes."a.b"]\n',
        'client_secret = "***"\nrefresh_token = {file = "/etc/hostname"}\n# root_folder_id = "0"\n',
        '[mount]\numask = "077"\n# settle_s = 0.25\n',
        '[mounts.demo]\nremote = "work:/x"\nmountpoint = "/mnt/x"\nclose = "fsync"\n',
    ):
        assert line in shown
    assert parse(FILE, tomllib.loads(shown)).remotes.keys() == load([path]).remotes.keys()


def test_what_is_right_is_said_to_be(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = home / "secret"
    secret.write_text("r")
    secret.chmod(0o600)
    path = written(home, WRITTEN.replace("/etc/hostname", str(secret)))
    assert run(["--config", str(path), "config", "check"]) == 0
    assert capsys.readouterr().out == f"{path}: 2 remotes, 1 mount: nothing is wrong\n"


def test_everything_that_is_wrong_is_listed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(
        home,
        '[remotes.new]\ntype = "box"\n[remotes.unit]\ntype = "dropbox"\n'
        'access_token = { credential = "x" }\n[remotes.kept]\ntype = "dropbox"\n'
        'access_token = { file = "/absent" }\n[mounts.demo]\nremote = "wrk:"\nmountpoint = "/mnt/x"\n'
        '[mounts.same]\nremote = "sandbox-box:"\nmountpoint = "/mnt/x"\n',
    )
    assert run(["--config", str(path), "config", "check"]) == 2
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        f"mountfs: {path}: [remotes.new]: nobody is signed in; run: mountfs login new",
        f"mountfs: {path}: [remotes.kept]: access_token: /absent: No such file or directory",
        f"mountfs: {path}: [mounts.demo]: remote = 'wrk:': no remote 'wrk' in {path}"
        "; known are kept, new, sandbox-box, sandbox-dropbox, unit",
        f"mountfs: {path}: [mounts.same]: mountpoint = '/mnt/x': is that of [mounts.demo]",
    ]
    assert captured.out == f"{path}: 3 remotes, 2 mounts: something is wrong\n"


@pytest.mark.parametrize("command", ["check", "show"])
def test_without_a_file_it_is_said_how_to_begin(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", command]) == 2
    assert capsys.readouterr().err.startswith("mountfs: there is no configuration file; begin with: mountfs")


def test_what_cannot_be_parsed_is_told_with_its_place(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(home, "[mount]\nsettle = 1\n")
    assert run(["--config", str(path), "config", "check"]) == 2
    told = f"mountfs: {path}: [mount]: unknown key 'settle'; did you mean 'settle_s'?\n"
    assert capsys.readouterr().err == told


def test_property_groups_are_shown_as_they_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = 'property_groups = [{template_id = "ptid:1", fields = {customer = "ACME"}}]'
    config = tmp_path / "mountfs.toml"
    config.write_text(f'[remotes.w]\ntype = "dropbox"\naccess_token = "t"\n{groups}\n')
    config.chmod(0o600)
    assert run(["--config", str(config), "config", "show"]) == 0
    assert groups in capsys.readouterr().out.splitlines()
