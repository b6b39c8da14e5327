"""Refresh tokens that are good once, and several who need them."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock, Thread

import pytest

from cloudsandbox.box import BoxSandbox, BoxSwitches
from daemon.config.boxremote import BoxRemote
from daemon.signin.credentials import Grant, RefreshedToken
from daemon.signin.remotes import connect, tokens_of
from daemon.signin.tokenstore import Exchanged, TokenStore
from mountfs.clock import SystemClock
from mountfs.errors import NotSignedIn, Offline, Transient
from tests.fakes.clock import FakeClock
from tests.unit.daemon.fakes import PATIENCE_S

LIFE_S = 3600.0


class Service:
    """Takes a refresh token once, and never the same again; *before_reply* runs before it answers."""

    def __init__(self, before_reply: Callable[[], None] = lambda: None) -> None:
        self.presented: list[str] = []
        self.failure: Exception | None = None
        self._before_reply = before_reply
        self._lock = Lock()

    def exchange(self, refresh_token: str) -> Exchanged:
        with self._lock:
            if self.failure is not None:
                raise self.failure
            if refresh_token in self.presented:
                raise NotSignedIn("invalid_grant")
            self.presented.append(refresh_token)
            number = len(self.presented)
        self._before_reply()
        return Exchanged(f"access-{number}", LIFE_S, f"refresh-{number}")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def store(directory: Path, service: Service, clock: FakeClock, first: str = "written-down") -> TokenStore:
    return TokenStore(directory / "tokens", "client", first, service.exchange, clock)


def kept(directory: Path) -> dict[str, object]:
    (file,) = (directory / "tokens").glob("*.json")
    found = json.loads(file.read_text())
    assert isinstance(found, dict)
    return found


def test_the_first_token_is_the_one_written_down(tmp_path: Path, clock: FakeClock) -> None:
    service = Service()
    grant = store(tmp_path, service, clock).refresh()
    assert (grant.access_token, grant.expires_in_s) == ("access-1", LIFE_S)
    assert service.presented == ["written-down"]


def test_every_token_is_presented_once(tmp_path: Path, clock: FakeClock) -> None:
    service = Service()
    tokens = store(tmp_path, service, clock)
    assert [tokens.refresh().access_token for _ in range(3)] == ["access-1", "access-2", "access-3"]
    assert service.presented == ["written-down", "refresh-1", "refresh-2"]


def test_the_next_process_goes_on_where_the_last_one_stopped(tmp_path: Path, clock: FakeClock) -> None:
    service = Service()
    store(tmp_path, service, clock).refresh()
    clock.advance(LIFE_S)
    assert store(tmp_path, service, clock).refresh().access_token == "access-2"
    assert service.presented == ["written-down", "refresh-1"]


def test_a_token_that_another_process_fetched_is_used(tmp_path: Path, clock: FakeClock) -> None:
    service = Service()
    ours, theirs = store(tmp_path, service, clock), store(tmp_path, service, clock)
    ours.refresh()
    assert theirs.refresh().access_token == "access-1"
    clock.advance(60.0)
    assert theirs.refresh().access_token == "access-2"
    grant = ours.refresh()
    assert (grant.access_token, grant.expires_in_s) == ("access-2", LIFE_S)
    assert len(service.presented) == 2


def test_a_token_that_is_about_to_expire_is_not_taken_over(tmp_path: Path, clock: FakeClock) -> None:
    service = Service()
    store(tmp_path, service, clock).refresh()
    clock.advance(LIFE_S - 100.0)
    assert store(tmp_path, service, clock).refresh().access_token == "access-2"


def test_only_this_user_may_read_what_is_stored(tmp_path: Path, clock: FakeClock) -> None:
    old = os.umask(0)
    try:
        store(tmp_path, Service(), clock).refresh()
    finally:
        os.umask(old)
    (file,) = (tmp_path / "tokens").glob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "tokens").stat().st_mode) == 0o700


def test_a_new_token_is_on_the_disk_before_it_is_given_out(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync = os.fsync

    def noted(fd: int) -> None:
        steps.append("directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", noted)
    store(tmp_path, Service(), clock).refresh()
    assert steps == ["file", "directory"]
    assert kept(tmp_path)["refresh_token"] == "refresh-1"
    assert not list((tmp_path / "tokens").glob("*.[0-9]*"))


def test_a_token_the_disk_does_not_take_is_kept_and_stored_later(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service()
    tokens = store(tmp_path, service, clock)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        for _ in range(2):
            with pytest.raises(Transient, match="cannot be stored: No space left on device"):
                tokens.refresh()
    assert tokens.refresh().access_token == "access-1"
    assert service.presented == ["written-down"]
    assert kept(tmp_path)["refresh_token"] == "refresh-1"


def test_a_service_that_is_away_spends_nothing(tmp_path: Path, clock: FakeClock) -> None:
    service = Service()
    tokens = store(tmp_path, service, clock)
    service.failure = Offline("away")
    with pytest.raises(Offline):
        tokens.refresh()
    service.failure = None
    assert tokens.refresh().access_token == "access-1"


def test_a_damaged_file_never_makes_an_old_token_be_presented(tmp_path: Path, clock: FakeClock) -> None:
    service = Service()
    store(tmp_path, service, clock).refresh()
    (file,) = (tmp_path / "tokens").glob("*.json")
    file.write_text("{}")
    with pytest.raises(NotSignedIn, match="is damaged"):
        store(tmp_path, service, clock).refresh()
    assert service.presented == ["written-down"]


def test_a_file_that_others_may_read_is_not_used(tmp_path: Path, clock: FakeClock) -> None:
    service = Service()
    store(tmp_path, service, clock).refresh()
    (file,) = tmp_path.rglob("*.json")
    file.chmod(0o644)
    with pytest.raises(NotSignedIn, match="others may read it; remove it"):
        store(tmp_path, service, clock).refresh()


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path, clock: FakeClock) -> None:
    service = Service()
    store(tmp_path, service, clock).refresh()
    (file,) = tmp_path.rglob("*.json")
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Transient):
        store(tmp_path, service, clock).refresh()


def test_a_token_newly_written_down_begins_anew(tmp_path: Path, clock: FakeClock) -> None:
    service = Service()
    store(tmp_path, service, clock).refresh()
    store(tmp_path, service, clock, first="another").refresh()
    assert service.presented == ["written-down", "another"]


def test_many_threads_of_two_mounts_share_every_rotation(tmp_path: Path, clock: FakeClock) -> None:
    service = Service()
    mounts = [RefreshedToken(store(tmp_path, service, clock).refresh, clock) for _ in range(2)]
    for round_ in range(1, 6):
        with ThreadPoolExecutor(8) as pool:
            given = {pool.submit(mounts[at % 2].current) for at in range(16)}
        assert {answer.result() for answer in given} == {f"access-{round_}"}
        clock.advance(LIFE_S)
    assert len(service.presented) == len(set(service.presented)) == 5


@pytest.fixture
def sandbox() -> Iterator[BoxSandbox]:
    """A Box whose tokens end soon."""
    with BoxSandbox(switches=BoxSwitches(access_tokens=[], token_lifetime_s=1), token="sandbox") as sandbox:
        yield sandbox


def remote(api_url: str, upload_url: str, token_url: str, **credentials: str) -> BoxRemote:
    return BoxRemote(
        "work",
        client_id="sandbox-client",
        client_secret="sandbox-secret",
        api_url=api_url,
        upload_url=upload_url,
        token_url=token_url,
        **credentials,  # type: ignore[arg-type]
    )


def _use(urls: tuple[str, str, str], state_dir: Path, rounds: int) -> None:
    account = remote(*urls, refresh_token="sandbox-refresh")
    tokens = tokens_of(account, SystemClock(), state_dir)
    backend = connect(account, SystemClock(), state_dir, tokens)
    for _ in range(rounds):
        assert backend.account().key == "box-11446498"
        # Every token ends within REFRESH_AHEAD_S, so that the store keeps none that is good, and rotates.
        tokens.refused(tokens.current())
    backend.close()


def test_two_processes_rotate_without_ever_presenting_an_old_token(
    sandbox: BoxSandbox, tmp_path: Path
) -> None:
    urls = (sandbox.api_url, sandbox.upload_url, sandbox.token_url)
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_use, args=(urls, tmp_path, 8)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60.0)
    assert [process.exitcode for process in processes] == [0, 0]
    answers = [record.status for record in sandbox.log.records("oauth2/token")]
    assert len(answers) >= 8
    assert set(answers) == {200}


def test_a_client_that_acts_for_itself_needs_no_store(sandbox: BoxSandbox, tmp_path: Path) -> None:
    urls = (sandbox.api_url, sandbox.upload_url, sandbox.token_url)
    for subject_id, is_known in (("sandbox", True), ("nobody", False)):
        account = remote(*urls, box_subject_type="enterprise", box_subject_id=subject_id)
        backend = connect(account, SystemClock(), tmp_path)
        if is_known:
            assert backend.account().display_name
        else:
            with pytest.raises(NotSignedIn):
                backend.account()
        backend.close()
    assert list(tmp_path.iterdir()) == []


# When the mount ends


def in_the_background(refresh: Callable[[], Grant]) -> Future[Grant]:
    """What becomes of a refresh on a thread of its own."""
    outcome: Future[Grant] = Future()

    def run() -> None:
        try:
            outcome.set_result(refresh())
        except Transient as error:
            outcome.set_exception(error)

    Thread(target=run, daemon=True).start()
    return outcome


def test_an_exchange_that_is_under_way_may_end_before_it_is_cut(tmp_path: Path, clock: FakeClock) -> None:
    """Its refresh token is spent: nobody but the reply knows the next one."""
    asked, answers, cut = Event(), Event(), Event()

    def hold() -> None:
        asked.set()
        assert answers.wait(PATIENCE_S)

    service = Service(before_reply=hold)
    tokens = TokenStore(tmp_path / "tokens", "client", "first", service.exchange, clock, end=cut.set)
    outcome = in_the_background(tokens.refresh)
    assert asked.wait(PATIENCE_S)
    closing = Thread(target=tokens.close)
    closing.start()
    assert not cut.is_set()
    answers.set()
    closing.join(PATIENCE_S)
    assert cut.is_set()
    assert outcome.result(PATIENCE_S).access_token == "access-1"
    assert kept(tmp_path)["refresh_token"] == "refresh-1"


def test_one_that_is_not_answered_is_cut(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.signin.tokenstore.GRACE_S", 0.05)
    asked, cut = Event(), Event()

    def exchange(_: str) -> Exchanged:
        asked.set()
        assert cut.wait(PATIENCE_S)
        raise Offline("the connection is closed")

    tokens = TokenStore(tmp_path / "tokens", "client", "first", exchange, clock, end=cut.set)
    outcome = in_the_background(tokens.refresh)
    assert asked.wait(PATIENCE_S)
    tokens.close()
    with pytest.raises(Offline):
        outcome.result(PATIENCE_S)


def test_none_begins_once_the_mount_ends(tmp_path: Path, clock: FakeClock) -> None:
    service = Service()
    tokens = store(tmp_path, service, clock)
    tokens.close()
    with pytest.raises(Transient, match="is being stopped"):
        tokens.refresh()
    assert service.presented == []


def test_who_waits_for_another_process_waits_no_longer(tmp_path: Path, clock: FakeClock) -> None:
    tokens = store(tmp_path, Service(), clock)
    tokens.refresh()
    (lock,) = (tmp_path / "tokens").glob("*.lock")
    with lock.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        outcome = in_the_background(tokens.refresh)
        tokens.close()
        with pytest.raises(Transient, match="is being stopped"):
            outcome.result(PATIENCE_S)


def test_a_process_that_never_lets_go_is_not_waited_for_for_ever(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.signin.tokenstore.PATIENCE_S", 0.05)
    tokens = store(tmp_path, Service(), clock)
    tokens.refresh()
    (lock,) = (tmp_path / "tokens").glob("*.lock")
    with lock.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(
            Transient, match=rf"another mountfs \(process {os.getpid()}\) refreshes the token"
        ):
            tokens.refresh()


def test_a_grant_that_ends_takes_its_newest_token_along(tmp_path: Path, clock: FakeClock) -> None:
    ended: list[str] = []
    keeper = store(tmp_path, Service(), clock)
    keeper.refresh()
    keeper.retire(ended.append)
    assert ended == ["access-1", "refresh-1"]
    assert not list((tmp_path / "tokens").glob("*.json"))
    store(tmp_path, Service(), clock, first="never used").retire(ended.append)
    assert ended[2:] == ["never used"]


def test_a_grant_that_cannot_be_ended_is_kept_and_one_that_is_over_is_not(
    tmp_path: Path, clock: FakeClock
) -> None:
    keeper = store(tmp_path, Service(), clock)
    keeper.refresh()

    def away(_token: str) -> None:
        raise Offline("away")

    def over(_token: str) -> None:
        raise NotSignedIn("over")

    def pair(token: str) -> None:
        if token.startswith("refresh"):
            raise NotSignedIn("went with the access token")

    with pytest.raises(Offline):
        keeper.retire(away)
    assert kept(tmp_path)["refresh_token"] == "refresh-1"
    with pytest.raises(NotSignedIn):
        keeper.retire(over)
    assert not list((tmp_path / "tokens").glob("*.json"))
    again = store(tmp_path, Service(), clock)
    again.refresh()
    again.retire(pair)
    assert not list((tmp_path / "tokens").glob("*.json"))
