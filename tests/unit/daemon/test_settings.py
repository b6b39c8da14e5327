"""The configuration file and the remote's spelling."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config.settings import (
    CommitRoute,
    DropboxRemote,
    SandboxRemote,
    find_instance,
    find_remote,
    holds_secret,
    load,
    parse_spec,
)
from daemon.failure import BadSettings
from mountfs.attributes import Promise

WORK = '[remotes.work]\ntype = "dropbox"\naccess_token = "t"\n'


def write(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "mountfs.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def complaint(folder: Path, text: str) -> str:
    path = write(folder, text)
    with pytest.raises(BadSettings) as caught:
        load([path])
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line.removeprefix(f"{path}: ")


def test_every_key_of_a_dropbox_remote_is_understood(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        [remotes.work]
        type = "dropbox"
        refresh_token = "r"
        app_key = "k"
        app_secret = "s"
        api_url = "https://api.example.com/"
        content_url = "http://127.0.0.1:8080"
        notify_url = "http://localhost:1"
        path_root = "12345"
        select_user = "dbmid:x"
        commit_route = "finish_batch_v2"
        mute = true
        """,
    )
    assert load([path]).remotes["work"] == DropboxRemote(
        "work",
        refresh_token="r",
        app_key="k",
        app_secret="s",
        api_url="https://api.example.com",
        content_url="http://127.0.0.1:8080",
        notify_url="http://localhost:1",
        path_root="12345",
        select_user="dbmid:x",
        commit_route=CommitRoute.FINISH_BATCH_V2,
        mute=True,
    )


def test_secrets_do_not_show_in_a_repr() -> None:
    shown = repr(DropboxRemote("work", access_token="sesame", refresh_token="open", app_secret="hush"))
    assert not any(secret in shown for secret in ("sesame", "open", "hush"))


def test_without_a_file_the_sandbox_is_there() -> None:
    assert find_remote(load([]), "sandbox-dropbox") == SandboxRemote("sandbox-dropbox", "dropbox")


def test_the_first_file_that_exists_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path, WORK)
    assert load([tmp_path / "absent.toml", path]).file == path


def test_an_explicit_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="cannot read the configuration: No such file"):
        load([write(tmp_path, WORK)], explicit=tmp_path / "absent.toml")


def test_a_directory_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="Is a directory"):
        load([], explicit=tmp_path)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o620, 0o644])
def test_a_token_that_others_can_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path, WORK, mode)
    with pytest.raises(BadSettings, match=f"run: chmod 600 {path}"):
        load([path])


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_a_token_for_the_owner_and_a_reading_group_is_fine(tmp_path: Path, mode: int) -> None:
    assert "work" in load([write(tmp_path, WORK, mode)]).remotes


def test_a_file_without_secrets_may_be_public(tmp_path: Path) -> None:
    assert load([write(tmp_path, "[mount]\nsettle_s = 1\n", 0o644)]).options == {"settle_s": 1.0}


def test_secrets_are_found_wherever_they_stand() -> None:
    assert holds_secret({"remotes": {"a": {"type": "x"}, "b": {"refresh_token": "r"}}})
    assert not holds_secret({"remotes": {"a": {"app_key": "public"}}})
    assert not holds_secret({"remotes": "nonsense"})


BAD_FILES = [
    ("[remotes", "is not valid TOML"),
    ("\ufeff[mount]\n", "begins with a byte order mark; save it as UTF-8 without one"),
    (WORK + 'api_url = "https://a b"\n', "must be only scheme, host, port and path"),
    ('[mounts.demo]\nremote = "x"\nmountpoint = "/x"\n', "[mounts.demo]: remote = 'x' is not a remote"),
    ("[remots.work]\n", "unknown section 'remots'; did you mean 'remotes'?"),
    ("remotes = 3\n", "'remotes' must be a section; write [remotes] and its keys below"),
    ('[remotes]\nwork = "x"\n', "[remotes]: 'work' must be in a section"),
    ('[remotes."a b"]\ntype = "dropbox"\n', "the name must be letters, digits"),
    ('[remotes.sandbox-dropbox]\ntype = "dropbox"\n', "the name is built in"),
    ('[remotes.work]\naccess_token = "t"\n', "the key 'type' is missing"),
    ('[remotes.work]\ntype = "dropbx"\n', "type = 'dropbx': unknown type; did you mean 'dropbox'?"),
    ('[remotes.work]\ntype = ["dropbox"]\n', "unknown type"),
    (WORK + 'acess_token = "t"\n', "unknown key 'acess_token'; did you mean 'access_token'?"),
    (WORK + 'refresh_token = "r"\n', "exclude each other"),
    ('[remotes.work]\ntype = "dropbox"\nrefresh_token = "r"\n', "needs the app_key"),
    ('[remotes.work]\ntype = "dropbox"\naccess_token = ""\n', "access_token: is empty"),
    ('[remotes.work]\ntype = "dropbox"\naccess_token = "a b"\n', "access_token: holds spaces"),
    ('[remotes.work]\ntype = "dropbox"\naccess_token = 7\n', "access_token: must be text"),
    (WORK + 'api_url = "ftp://x"\n', "api_url = 'ftp://x': must look like https://"),
    (WORK + 'api_url = "127.0.0.1:80"\n', "api_url = '127.0.0.1:80': must look like https://"),
    (WORK + 'api_url = "http://127.0.0.1:99999"\n', "is no valid address"),
    (WORK + 'notify_url = ""\n', "notify_url = '': is empty"),
    ('[remotes.b]\ntype = "box"\ncontent_url = "https://x"\n', "unknown key 'content_url'"),
    (WORK + 'api_url = "http://dropbox.example"\n', "would send the token in clear; use https"),
    (WORK + 'api_url = "https://user@x"\n', "must be only scheme, host, port and path"),
    (WORK + 'api_url = "https://x:port"\n', "is no valid address"),
    (WORK + 'commit_route = "finish"\n', "must be one of finish_batch, finish_batch_v2"),
    (WORK + 'autorename = "perhaps"\n', "autorename = 'perhaps': must be true or false"),
    (WORK + 'commit_mode = "add"\n', "commit_mode = 'add': must be one of update, overwrite"),
    (WORK + 'property_groups = "x"\n', "property_groups = 'x': must be a list"),
    (WORK + 'property_groups = [{ template_id = "t" }]\n', "must be a list like"),
    (WORK + 'property_groups = [{ template_id = "t", fields = { a = 1 } }]\n', "text in quotes"),
    ('[remotes.b]\ntype = "box"\ntags = "x"\n', "tags = 'x': must be a list like"),
    ('[remotes.b]\ntype = "box"\ntags = ["x", ""]\n', "is empty; give it a value"),
    (f'[remotes.b]\ntype = "box"\ntags = {["x"] * 101}\n', "must be at most 100 tags"),
    (WORK + 'mute = "perhaps"\n', "mute = 'perhaps': must be true or false"),
    (WORK + 'select_user = "u"\nselect_admin = "a"\n', "exclude each other"),
    ("[mount]\nsettle_s = -1\n", "[mount]: settle_s = -1: must be zero or more"),
    ("[mount]\nsettle_s = inf\n", "must be zero or more, and finite"),
    ("[mount]\numask = 22\n", "umask = 22: must be octal in quotes"),
    ('[mount]\numask = "999"\n', "must be octal in quotes"),
    ('[mount]\numask = "7777"\n', "must lie between 000 and 777"),
    ('[mount]\nuid = "no-such-user-here"\n', "this machine knows no user of that name"),
    ("[mount]\ngid = true\n", "gid = true: must be a group's number or name"),
    ('[mount]\nstate_dir = "relative"\n', "must be an absolute path"),
    ('[mount]\nclose = "later"\n', "must be one of local, fsync, remote"),
    ('[mounts.demo]\nremote = "x:"\n', "[mounts.demo]: the key 'mountpoint' is missing; add it"),
]


@pytest.mark.parametrize(("text", "expected"), BAD_FILES)
def test_what_is_wrong_is_said_in_one_line_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in complaint(tmp_path, text)


def test_a_configuration_without_an_end_is_not_read_until_memory_runs_out() -> None:
    with pytest.raises(BadSettings, match="/dev/zero: is too large for a configuration"):
        load([], explicit=Path("/dev/zero"))


DIGITS = "9" * 400
EXCESSIVE = {
    "a long number": (f"[mount]\nsettle_s = {DIGITS}\n", "must be a number of seconds"),
    "a longer number": (f"[mount]\nsettle_s = {DIGITS * 20}\n", "is not valid TOML"),
    "a long number in hex": (f"[mount]\nuid = 0x{'f' * 8000}\n", "is no user number"),
    "a long time in hex": (f"[mount]\nsettle_s = 0x{'f' * 8000}\n", "must be a number of seconds"),
    "a long id": (f"[remotes.a]\ntype = 'box'\nroot_folder_id = 0x{'f' * 8000}\n", "root_folder_id"),
    "a long text": (f"[mount]\ndrain_timeout = '{DIGITS * 5}h'\n", "must be zero or more, and finite"),
    "a long list": (f"[mount]\nsettle_s = [{'1, ' * 5000}]\n", "must be a number of seconds"),
    "a deep list": (f"x = {'[' * 5000}", "is nested too deeply"),
    "a deep table": (f"x = {'{a = ' * 5000}", "is nested too deeply"),
}


@pytest.mark.parametrize(("text", "expected"), EXCESSIVE.values(), ids=EXCESSIVE)
def test_what_is_excessive_is_said_in_one_line_of_bounded_length(
    tmp_path: Path, text: str, expected: str
) -> None:
    line = complaint(tmp_path, text)
    assert expected in line
    assert len(line) < len(str(tmp_path)) + 300


def test_a_wrong_secret_is_not_repeated_on_the_screen(tmp_path: Path) -> None:
    line = complaint(tmp_path, '[remotes.work]\ntype = "dropbox"\naccess_token = "se same"\n')
    assert "se same" not in line


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mountfs.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadSettings, match="not UTF-8"):
        load([path])


def test_a_mount_written_down_carries_its_options(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        WORK + '[mounts.demo]\nremote = "work:/Scans"\nmountpoint = "/mnt/x"\nclose = "fsync"\nuid = 7\n',
    )
    instance = find_instance(load([path]), "demo")
    assert (instance.remote, instance.mountpoint) == ("work:/Scans", Path("/mnt/x"))
    assert instance.options == {"close": Promise.FSYNC, "uid": 7}


def test_an_unknown_mount_names_the_nearest(tmp_path: Path) -> None:
    settings = load([write(tmp_path, '[mounts.demo]\nremote = "w:"\nmountpoint = "/mnt/x"\n')])
    with pytest.raises(BadSettings, match=r"no \[mounts.dmo\] in .*; did you mean 'demo'"):
        find_instance(settings, "dmo")


def test_an_unknown_remote_names_the_nearest(tmp_path: Path) -> None:
    settings = load([write(tmp_path, WORK)])
    with pytest.raises(BadSettings, match=r"no remote 'wrok' in .*; did you mean 'work'"):
        find_remote(settings, "wrok")


def test_who_has_no_account_yet_is_told_how_to_sign_in(tmp_path: Path) -> None:
    """As after ``mountfs config init``: the names of the stand-ins are no help then."""
    settings = load([write(tmp_path, "[mount]\nsettle_s = 1\n")])
    with pytest.raises(
        BadSettings, match=r"no remote 'work' in .*; sign in to an account: mountfs login work$"
    ):
        find_remote(settings, "work")


@pytest.mark.parametrize(
    ("spec", "name", "subdir"),
    [
        ("work:", "work", ""),
        ("work:/", "work", ""),
        ("work:/A/B", "work", "/A/B"),
        ("work:A/B/", "work", "/A/B"),
        ("work:/a:b", "work", "/a:b"),
    ],
)
def test_a_remote_is_a_name_and_a_folder(spec: str, name: str, subdir: str) -> None:
    parsed = parse_spec(spec)
    assert (parsed.name, parsed.subdir.text) == (name, subdir)


@pytest.mark.parametrize("spec", ["work", "", ":", ":/x", "work:/../x", "work:/./x", "work:/a\nb"])
def test_a_remote_that_is_none_is_refused(spec: str) -> None:
    with pytest.raises(BadSettings):
        parse_spec(spec)


@pytest.mark.parametrize("which", ["itself", "above"])
def test_a_file_that_others_could_change_is_not_read(tmp_path: Path, which: str) -> None:
    folder = tmp_path / "config"
    folder.mkdir(mode=0o755)
    path = write(folder, '[mount]\numask = "022"\n')
    assert load([path]).file == path
    writable = path if which == "itself" else folder
    writable.chmod(0o757)
    with pytest.raises(BadSettings) as caught:
        load([path])
    told = f"{path}: not read, for another user could change it: others may write to {writable}"
    assert str(caught.value) == f"{told}; run: chmod go-w {writable}"
