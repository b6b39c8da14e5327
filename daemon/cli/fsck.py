"""``mountfs fsck``: what is wrong with a state directory, and what can be saved."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click

from daemon.cli.completing import REMOTE
from daemon.cli.context import Context, kept_in, tell
from daemon.cli.slotcheck import SlotCheck
from daemon.cli.slotrepair import repair as repair_slot
from daemon.config.settings import find_remote, parse_spec
from daemon.failure import Failure
from daemon.places import ownership
from daemon.places.answering import check_answers
from daemon.places.statedir import Slot, StateDir
from mountfs.errors import MountfsError

EXIT_REPAIRED = 1
EXIT_LEFT = 4
EXIT_CANNOT = 8


@click.command()
@click.argument("what", metavar="STATE_DIR|REMOTE:", type=REMOTE)
@click.option("--repair", "is_repairing", is_flag=True, help="Save what can be saved; no bytes are deleted.")
@click.pass_obj
def fsck(context: Context, what: str, *, is_repairing: bool) -> int:
    """Explain what is wrong with a state directory. Given REMOTE:, with what is pending for that remote.

    No mount may use it meanwhile. Exits as fsck(8) does: 0 nothing is wrong, 1 all was repaired,
    4 something is left as it is, 8 it could not be looked at or repaired; 2 means called wrongly.
    """
    try:
        return _look_at_all(context, what, is_repairing)
    except BrokenPipeError:
        raise  # of whoever reads what is told
    except OSError as error:
        reason = f"{error.filename or what}: {error.strerror or error}"
    except (MountfsError, sqlite3.Error) as error:
        reason = f"{what}: {error}"
    except Failure as error:
        if error.exit_code != EXIT_REPAIRED:
            raise
        reason = str(error)
    raise Failure(reason, EXIT_CANNOT)


def _look_at_all(context: Context, what: str, is_repairing: bool) -> int:
    directories = _slots(context, what)
    state = StateDir(directories[0].parents[2])
    slots: list[Slot] = []
    with ExitStack() as stack:
        for directory in directories:
            held = state.lock_slot(directory)
            if held is None:
                raise Failure(f"{directory}: a mount uses it; unmount first", EXIT_CANNOT)
            stack.callback(held.release)
            slots.append(held)
        results = [_look_at(slot, is_repairing) for slot in slots]
    if EXIT_LEFT in results:
        return EXIT_LEFT
    return max(results)


def _look_at(slot: Slot, is_repairing: bool) -> int:
    """Tells of one slot, and repairs it; the exit code it is worth."""
    where = f"{slot.directory.parent.name}/{slot.directory.name}"
    found = SlotCheck(slot).check()
    for finding in found:
        tell(f"{where}: {finding.where}: {finding.text}")
    if not any(finding.is_fault for finding in found):
        tell(f"{where}: nothing is wrong")
        return 0
    if not is_repairing:
        return EXIT_LEFT
    for line in repair_slot(SlotCheck(slot)):
        tell(f"{where}: repaired: {line}")
    left = [finding for finding in SlotCheck(slot).check() if finding.is_fault]
    for finding in left:
        tell(f"{where}: left: {finding.where}: {finding.text}")
    return EXIT_LEFT if left else EXIT_REPAIRED


def _slots(context: Context, what: str) -> list[Path]:
    """The slots that are meant: of a state directory, of an account's directory, or of a remote's account."""
    check_answers(Path(what))
    is_path = "/" in what or (what != "" and Path(what).is_dir())
    top = Path(what).absolute() if is_path else _account_of(context, what)
    if top.is_dir() and not os.access(top, os.R_OK | os.X_OK):
        raise Failure(f"{top}: may not be read by this user", EXIT_CANNOT)
    found = sorted(_below(top))
    if not found:
        raise Failure(f"{what}: has no account's directory; name a state directory or a remote", EXIT_CANNOT)
    for directory in found:
        if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            raise Failure(f"{directory}: {ownership.refusal(directory)}", EXIT_CANNOT)
        wrong = ownership.complaint(directory, os.geteuid())
        if wrong is not None:
            raise Failure(
                f"{directory}: not looked at, for another user could change it: {wrong}", EXIT_CANNOT
            )
    return found


def _below(top: Path) -> Iterator[Path]:
    for pattern in ("accounts/*/slot-*", "*/slot-*", "slot-*"):
        yield from (each for each in top.glob(pattern) if each.is_dir())
    if top.name.startswith("slot-") and top.is_dir():
        yield top


def _account_of(context: Context, what: str) -> Path:
    settings = context.settings()
    spec = parse_spec(what)
    find_remote(settings, spec.name)
    state_dir = kept_in(settings)
    key = StateDir(state_dir).last_key(spec.name)
    if key is None:
        raise Failure(f"{what}: was never mounted with the state directory {state_dir}", EXIT_CANNOT)
    return state_dir / "accounts" / key
