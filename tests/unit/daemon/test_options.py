"""Mount options from ``-o``."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest

from daemon.config.options import IGNORED_OPTIONS, MountOptions, layered, parse_options
from daemon.failure import BadSettings
from mountfs.attributes import Promise

BASE = MountOptions(state_dir=Path("/state"), uid=1, gid=2)


def test_every_option_is_understood() -> None:
    given = "state_dir=/s,settle_s=1.5,drain_timeout=5m,uid=7,gid=8,umask=027,allow_other,ro,close=remote"
    cache = "cache_max_bytes=20G,cache_min_free_bytes=1500000"
    assert layered(
        BASE, parse_options([given, "fsync=remote", cache, "no_fetch_ahead=a:b c"])
    ) == MountOptions(
        state_dir=Path("/s"),
        uid=7,
        gid=8,
        settle_s=1.5,
        drain_timeout_s=300.0,
        umask=0o027,
        allow_other=True,
        is_read_only=True,
        close=Promise.REMOTE,
        fsync=Promise.REMOTE,
        no_fetch_ahead=("a", "b c"),
        cache_max_bytes=20 * 1024**3,
        cache_min_free_bytes=1_500_000,
    )


def test_users_and_groups_may_be_names() -> None:
    me, mine = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    assert parse_options([f"uid={me},gid={mine}"]) == {"uid": os.getuid(), "gid": os.getgid()}


@pytest.mark.parametrize(
    "word", [*sorted(IGNORED_OPTIONS), "x-systemd.automount", "x-gvfs-show", "comment=x", ""]
)
def test_what_fstab_says_to_others_is_ignored(word: str) -> None:
    assert parse_options([word]) == {}


def test_the_last_word_counts() -> None:
    assert parse_options(["ro,rw"]) == {"is_read_only": False}
    assert parse_options(["rw", "ro"]) == {"is_read_only": True}


def test_later_layers_lie_over_earlier_ones() -> None:
    assert layered(BASE, {"uid": 3, "gid": 3}, {"uid": 4}).uid == 4
    assert layered(BASE, {"uid": 3, "gid": 3}, {"uid": 4}).gid == 3


def test_an_escaped_comma_belongs_to_the_value() -> None:
    assert parse_options([r"state_dir=/a\,b,ro"]) == {"state_dir": Path("/a,b"), "is_read_only": True}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("setle_s=1", "-o setle_s=1: unknown option; did you mean 'settle_s'?"),
        ("noexec", "-o noexec: unknown option"),
        ("state_dir", "-o state_dir: needs a value; write -o state_dir=VALUE"),
        ("state_dir=", "is empty"),
        ("settle_s=soon", "-o settle_s=soon: must be a number of seconds"),
        ("settle_s=nan", "-o settle_s=nan: must be a number of seconds"),
        ("umask=rwx", "must be octal"),
        ("uid=-1", "this machine knows no user of that name"),
        ("uid=4294967295", "is no user number"),
        ("allow_other=maybe", "must be true or false"),
        ("close=never", "must be one of local, fsync, remote"),
        ("fsync=fsync", "must be one of local, remote"),
        ("drain_timeout=1e999", "must be zero or more, and finite"),
        ("gid=-1", "this machine knows no group of that name"),
        ("rw=1", "unknown option"),
        ("cache_max_bytes=much", "must be a number of bytes"),
        ("cache_max_bytes=-5", "must be a number of bytes"),
        ("cache_max_bytes=5GX", "must be a number of bytes"),
    ],
)
def test_a_wrong_option_is_told_with_what_is_right(given: str, expected: str) -> None:
    with pytest.raises(BadSettings) as caught:
        parse_options([given])
    assert expected in str(caught.value)
