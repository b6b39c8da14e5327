"""What becomes of the changes that were to replace one that is refused."""

from __future__ import annotations

from mountfs.journal.journal import Journal
from mountfs.model.change import FINAL_STATES, Change, ChangeEvent, ChangeKind, ChangeState


def stand_in(journal: Journal, failed: Change) -> None:
    """What already replaced the FAILED file, or removed it, stands for it: it replaces its base itself.

    Inside the caller's transaction.
    """
    for follower in journal.followers(failed.id):
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
            continue  # it moves what stands there instead, and stands for nothing
        now = journal.get(failed.id)
        if now is not None and now.state is ChangeState.FAILED and follower.path.key == failed.path.key:
            journal.advance(now, ChangeEvent.SUPERSEDED)
        has_no_base = failed.base_revision is None and failed.base_change is None
        if follower.kind is ChangeKind.DELETE and has_no_base:
            journal.advance(rebased, ChangeEvent.SUPERSEDED)
