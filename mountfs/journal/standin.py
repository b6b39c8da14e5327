"""What becomes of the changes that were to replace one that is refused, or to rename it."""

from __future__ import annotations

from mountfs.journal.journal import Journal
from mountfs.model.change import FINAL_STATES, Change, ChangeEvent, ChangeKind, ChangeState


def stand_in(journal: Journal, failed: Change) -> None:
    """What already replaced the FAILED file, or removed it, stands for it: it replaces its base itself.

    Inside the caller's transaction.
    """
    has_no_base = failed.base_revision is None and failed.base_change is None
    for follower in sorted(journal.followers(failed.id), key=lambda change: change.seq):
        if follower.state is ChangeState.OPEN:
            continue  # may still be given up; it replaces the failed one when it is whole
        if follower.state in FINAL_STATES:
            continue
        rebased = journal.amend(
            follower,
            base_revision=failed.base_revision,
            base_hash=failed.base_hash,
            base_change=failed.base_change,
        )
        if follower.kind is ChangeKind.MOVE:
            if has_no_base:
                failed = _take_name(journal, failed, rebased)
            continue  # else it moves what stands there instead
        now = journal.get(failed.id)
        if now is not None and now.state is ChangeState.FAILED and follower.path.key == failed.path.key:
            journal.advance(now, ChangeEvent.SUPERSEDED)
        if follower.kind is ChangeKind.DELETE and has_no_base:
            journal.advance(rebased, ChangeEvent.SUPERSEDED)


def _take_name(journal: Journal, failed: Change, move: Change) -> Change:
    """The service has nothing to rename: the file gets the new name here, in the rename's place."""
    journal.advance(journal.move_to_end(move), ChangeEvent.SUPERSEDED)
    return journal.amend(failed, path=move.path, seq=move.seq)
