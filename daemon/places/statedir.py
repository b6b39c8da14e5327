"""The state directory: whose account a remote is, and the place where each keeps what is pending.

    remotes.json                     the account each remote belonged to when it was last asked
    remotes.lock                     held while remotes.json is written anew
    accounts/KEY/commit.lock         held while a job of the account runs, by whichever mount
    accounts/KEY/slot-N/lock         held by the mount that uses the slot
    accounts/KEY/transport.json      data transport calls by month (``monthledger``)
    accounts/KEY/slot-N/journal.db   and spool/, cache/: what is pending, and what was read
    accounts/KEY/slot-N/spool-set-aside   files that a start could give no name
    calls/USER                       a user's calls of the last minute, counted by all mounts
    tokens/MARK.json                 refresh tokens that are good for one use (``signin.tokenstore``)
    page.token                       the token of the page (``cli.pagetoken``)
    log/NAME.log                     the log of a background mount
    sandbox-SERVICE/                 the files of a stand-in

Journals belong to the account, not to a mount point or options: the next mount takes the first slot that
is free, and what the mounts before it left behind in the others.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path

from daemon.failure import EXIT_FOR_A_PERSON, Failure, exit_code_of
from daemon.places.durable import write_whole
from daemon.places.holders import holder_of
from daemon.places.locks import alone
from daemon.places.ownership import is_others, make_private
from mountfs.errors import MountfsError, NotSignedIn, Offline, ServerFault, Throttled
from mountfs.model.entry import Account
from mountfs.tree.peek import Holding, holding, names_file

LOG = logging.getLogger(__name__)

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,250}")
_SLOT = re.compile(r"slot-[0-9]+")

MOST_SLOTS = 64
"""Far more mounts of one account than a machine has use for."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One mount's own part of an account's directory, locked while ``fd`` is open."""

    directory: Path
    fd: int

    @property
    def journal(self) -> Path:
        return self.directory / "journal.db"

    @property
    def spool(self) -> Path:
        return self.directory / "spool"

    @property
    def cache(self) -> Path:
        return self.directory / "cache"

    def is_shared(self, name: str) -> bool:
        """Whether the spool file *name* is one of another slot, too, whose journal says what it is: a mount
        that takes that slot over links its files first, and may have died before it had their rows."""
        ours = self.spool / name
        return any(
            other.samefile(ours) and names_file(other.parents[1] / "journal.db", name)
            for other in self.directory.parent.glob(f"slot-*/spool/{name}")
            if other != ours
        )

    def other_caches(self) -> list[Path]:
        """Where the account's other slots keep what was read, whether a mount uses them or not."""
        return [each / "cache" for each in slots_in(self.directory.parent) if each != self.directory]

    def release(self) -> None:
        os.close(self.fd)


@dataclass(frozen=True, slots=True)
class Journaled:
    """Changes that wait for a mount of *account*, whose key it is; *remotes*: the names it had last.
    *local_count*, *local_bytes*: what stays on this machine by its name, and waits for nothing."""

    account: str
    remotes: tuple[str, ...]
    state_dir: str
    count: int
    size_bytes: int
    local_count: int = 0
    local_bytes: int = 0


class StateDir:
    """The directory given by ``state_dir``; it exists and is ours."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._remotes = path / "remotes.json"

    def known(self, remote: str, credentials: str) -> Account | None:
        """The account of *remote* as it was last time; None where it was never asked with these
        *credentials*."""
        last = self._last(remote)
        if last.get("mark") != _mark(credentials):
            return None
        return Account(str(last["key"]), str(last.get("display_name", "")), str(last.get("user_key", "")))

    def identify(self, remote: str, credentials: str, ask: Callable[[], Account]) -> Account:
        """The account of *remote*: from the service, or as it was last time while that does not answer.

        *credentials* tell whether it is still the same remote. Failure when the service does not answer and
        never did, or refuses: that is an answer, which it gives until somebody has done something about it.
        """
        try:
            account = ask()
        except (Offline, ServerFault, Throttled) as error:
            last = self.known(remote, credentials)
            if last is None:
                raise Failure(f"remote '{remote}' does not answer: {error}") from error
            return last
        except NotSignedIn as error:
            what = f"remote '{remote}': {error}; run: mountfs login {remote}"
            raise Failure(what, EXIT_FOR_A_PERSON) from error
        except MountfsError as error:
            raise Failure(f"remote '{remote}': {error}", exit_code_of(error)) from error
        told = {"key": account.key, "display_name": account.display_name, "user_key": account.user_key}
        try:
            self._remember(remote, {"mark": _mark(credentials), **told})
        except OSError as error:
            LOG.warning(
                "%s: %s; while the service is away '%s' cannot be mounted",
                self._remotes,
                error.strerror,
                remote,
            )
        return account

    def last_key(self, remote: str) -> str | None:
        """The key of the account that *remote* belonged to when it was last asked; None: never."""
        last = self._last(remote)
        return str(last["key"]) if last else None

    def pending(self, key: str) -> Holding:
        """What is pending for the account *key*, whether it is mounted or not."""
        return _held_in(self.path / "accounts" / _checked_key(key))

    def account_dir(self, account: Account) -> Path:
        """Made if it is missing."""
        path = self.path / "accounts" / _checked_key(account.key)
        make_private(path)
        for each in (path.parent, path):
            _check_owner(each)
        return path

    def take_slot(self, account: Account) -> Slot:
        """The first slot of the account that no other mount uses. Failure when there is none."""
        for number in range(MOST_SLOTS):
            slot = self.lock_slot(self.account_dir(account) / f"slot-{number}")
            if slot is not None:
                return slot
        raise Failure(f"{MOST_SLOTS} mounts of this account are running; unmount one")

    def other_slots(self, account: Account, mine: Slot) -> list[Path]:
        """The directories of slots of the account that have a journal or a cache, but for *mine*."""
        found = slots_in(self.account_dir(account))
        others = [each for each in found if each != mine.directory]
        return [each for each in others if (each / "journal.db").exists() or (each / "cache").exists()]

    def drop_idle_caches(self, mine: Slot, is_kept: Callable[[Path], bool]) -> None:
        """Removes what slots beside *mine* have cached that no mount uses, unless *is_kept* says of the
        slot's journal that it is to stay: nobody else would let go of it while the disk is short of room.

        A slot is locked for a moment alone, and not while the files go: a mount that starts meanwhile would
        take another slot, and leave what is pending in this one.
        """
        dropped = mine.directory / "dropped"
        shutil.rmtree(dropped, ignore_errors=True)  # of a process that died meanwhile
        for directory in slots_in(mine.directory.parent):
            if directory == mine.directory or not (directory / "cache").exists():
                continue
            with suppress(OSError, Failure):
                if is_kept(directory / "journal.db"):  # for days, maybe: it is not locked at each look
                    continue
                idle = self.lock_slot(directory)
                if idle is not None:
                    try:
                        idle.cache.rename(dropped)
                    finally:
                        idle.release()
                    shutil.rmtree(dropped, ignore_errors=True)

    def stopped_slots(self, key: str) -> Iterator[Slot]:
        """All slots of the account *key* that have a journal; locked while they are out. Failure, before the
        first, when a mount uses one of them."""
        slots: list[Slot] = []
        try:
            for directory in slots_in(self.path / "accounts" / _checked_key(key)):
                if not (directory / "journal.db").exists():
                    continue
                slot = self.lock_slot(directory)
                if slot is None:
                    who = user_of(directory)
                    raise Failure(f"{directory}: a running mount has it{who}; give the path in that mount")
                slots.append(slot)
            yield from slots
        finally:
            for slot in slots:
                slot.release()

    def others(self, account: Account) -> dict[str, Holding]:
        """What waits for a mount of another account, by that account's key: not what a running one has."""
        found: dict[str, Holding] = {}
        for directory in sorted((self.path / "accounts").glob("*")):
            if directory.name == account.key:
                continue
            held = _held_by(slot for slot in slots_in(directory) if not user_of(slot))
            if held.count:
                found[directory.name] = held
        return found

    def all_pending(self) -> list[Journaled]:
        """What is pending for every account that has anything, mounted or not."""
        named = {name: self.last_key(name) for name in _read_json(self._remotes)}
        found: list[Journaled] = []
        for directory in sorted((self.path / "accounts").glob("*")):
            held = _held_in(directory)
            if held.count or held.local_count:
                key = directory.name
                remotes = tuple(sorted(name for name, theirs in named.items() if theirs == key))
                found.append(Journaled(key, remotes, str(self.path), *astuple(held)))
        return found

    def lock_slot(self, directory: Path) -> Slot | None:
        """The slot, made if it is missing; None while a mount uses it. Failure, OSError."""
        directory.mkdir(mode=0o700, exist_ok=True)
        _check_owner(directory)
        fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except OSError as error:  # such as that of NFS without its lock daemon
            os.close(fd)
            why = f"cannot be locked: {error.strerror}; choose a state_dir on another file system"
            raise Failure(f"{directory / 'lock'}: {why}") from error
        if not _is_at(fd, directory / "lock"):  # the slot was set aside meanwhile
            os.close(fd)
            return None
        return Slot(directory, fd)

    def _remember(self, remote: str, told: dict[str, object]) -> None:
        """Nothing is written where nothing is new: a full disk keeps no known account from its journal. What
        another process writes meanwhile stays, and so does all of a file that cannot be read: OSError."""
        with alone(self.path / "remotes.lock"):
            remembered = _object_in(self._remotes)
            if remembered.get(remote) != told:
                write_whole(self._remotes, json.dumps({**remembered, remote: told}, indent=1))

    def _last(self, remote: str) -> dict[str, object]:
        """What was kept of *remote* when it was last asked: its key is one. Empty where there is nothing, or
        nothing that makes sense."""
        last = _read_json(self._remotes).get(remote)
        if not isinstance(last, dict):
            return {}
        key, user_key = last.get("key"), last.get("user_key", "")
        if not isinstance(key, str) or not isinstance(user_key, str):
            return {}
        return last if all(_KEY.fullmatch(each) for each in (key, user_key or key)) else {}


def slots_in(directory: Path) -> list[Path]:
    """The slots in an account's directory, by their names. What somebody has put beside them, such as a copy
    with another ending, is none: to take it over would send again what is in it."""
    return sorted(each for each in directory.glob("slot-*") if _SLOT.fullmatch(each.name))


def _held_in(directory: Path) -> Holding:
    return _held_by(slots_in(directory))


def _held_by(slots: Iterable[Path]) -> Holding:
    held = [holding(slot / "journal.db", slot / "spool") for slot in slots]
    return Holding(*map(sum, zip(*map(astuple, held), strict=True))) if held else Holding(0, 0)


def _mark(credentials: str) -> str:
    return hashlib.sha256(credentials.encode()).hexdigest()


def user_of(directory: Path) -> str:
    """`` (process 123)``, whose mount uses the slot; "": none, as far as can be told."""
    try:
        with (directory / "lock").open("rb") as lock:
            return holder_of(lock.fileno())
    except OSError:
        return ""


def _checked_key(key: str) -> str:
    """The name of an account's directory: a backend makes it fit, a file may hold anything by now."""
    if not _KEY.fullmatch(key):
        raise Failure(f"not the key of an account: {key!a:.80}; remove remotes.json from the state directory")
    return key


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except OSError:
        return False


def _check_owner(directory: Path) -> None:
    """Failure when another user could change what is in it."""
    if is_others(directory.stat(), os.geteuid()):
        raise Failure(f"{directory}: belongs to another user, or others may write to it; move it away")


def _read_json(path: Path) -> dict[str, object]:
    try:
        return _object_in(path)
    except OSError:
        return {}


def _object_in(path: Path) -> dict[str, object]:
    """Empty where there is no file, or nothing that makes sense in it. OSError."""
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
