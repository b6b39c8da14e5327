"""A journal and a spool in one directory, as an account keeps them; opened again at will."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mountfs.journal.journal import Journal
from mountfs.model.change import Change, ChangeEvent, ChangeKind, ChangeState
from mountfs.model.path import RemotePath
from mountfs.ports import Clock, Disk
from mountfs.spool.disk import RealDisk
from mountfs.spool.quota import Quota
from mountfs.spool.spool import Spool
from tests.fakes.clock import FakeClock


@dataclass
class AccountDisk:
    """What one run of the file system has of an account on this machine."""

    journal: Journal
    spool: Spool

    def put(self, path: str, data: bytes, state: ChangeState = ChangeState.SEALED, **fields: Any) -> Change:
        """A PUT as a writer and the uploader leave it in *state*; OPEN means: not closed yet."""
        file = self.spool.create()
        file.pwrite(0, data)
        file.close()
        change = self.journal.add(
            ChangeKind.PUT,
            RemotePath.parse(path),
            ChangeState.OPEN,
            spool=file.name,
            **{"size_bytes": 0 if state is ChangeState.OPEN else len(data), **fields},
        )
        for event, reached in (
            (ChangeEvent.SEAL, ChangeState.SEALED),
            (ChangeEvent.UPLOAD_DONE, ChangeState.UPLOADED),
            (ChangeEvent.COMMIT_SENT, ChangeState.COMMITTING),
        ):
            if change.state is state:
                break
            change = self.journal.advance(change, event)
            if state is ChangeState.FAILED and reached is ChangeState.SEALED:
                return self.journal.advance(change, ChangeEvent.REFUSED)
        return change

    def get(self, change: Change) -> Change:
        found = self.journal.get(change.id)
        assert found is not None
        return found

    def close(self) -> None:
        self.spool.close()
        self.journal.close()


def open_account(directory: Path, disk: Disk | None = None, clock: Clock | None = None) -> AccountDisk:
    directory.mkdir(parents=True, exist_ok=True)
    return AccountDisk(
        Journal(directory / "journal.sqlite", clock or FakeClock()),
        Spool(directory / "spool", disk or RealDisk(), Quota(reserve_bytes=0)),
    )


@contextmanager
def account_in(directory: Path, disk: Disk | None = None) -> Iterator[AccountDisk]:
    account = open_account(directory, disk)
    try:
        yield account
    finally:
        account.close()
