"""Asynchronous jobs: launched, asked about, and finished even when the process dies in between."""

import asyncio
import json
import secrets
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from cloudsandbox.dropbox.errors import RouteError, rate_limited, tag
from cloudsandbox.dropbox.switches import DropboxSwitches, Launch, Overlap
from cloudsandbox.requestlog import Gauge

FINISH_BATCH = "finish_batch"  # the kind of job of which an account runs one at a time

Result = dict[str, Any]
Work = Callable[[Result], Result]  # argument -> result, on the state thread


class JobTable:
    """The jobs on disk. On the state thread only."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def add(self, kind: str, argument: Result, now_s: float) -> str:
        """A new job, not yet done; gives its id."""
        job_id = "dbjid:" + secrets.token_urlsafe(24)
        self._db.execute(
            "INSERT INTO job VALUES (?, ?, ?, ?, NULL)", (job_id, kind, json.dumps(argument), now_s)
        )
        return job_id

    def carry_out(self, job_id: str, work: Work) -> Result:
        """Do the work of a job and keep its result, in one transaction: it happens once or not at all."""
        (argument,) = self._db.execute("SELECT argument FROM job WHERE id = ?", (job_id,)).fetchone()
        result = work(json.loads(argument))
        self._db.execute("UPDATE job SET result = ? WHERE id = ?", (json.dumps(result), job_id))
        return result

    def result(self, job_id: str, kind: str, after_s: float) -> Result | None:
        """The result of a job, None while it runs. Raises RouteError for no such job of this kind."""
        row = self._db.execute(
            "SELECT result FROM job WHERE id = ? AND kind = ? AND created_s > ?", (job_id, kind, after_s)
        ).fetchone()
        if row is None:
            raise RouteError(tag("invalid_async_job_id"))
        result: Result | None = None if row[0] is None else json.loads(row[0])
        return result

    def unfinished(self) -> list[tuple[str, str]]:
        """(id, kind) of the jobs that an earlier process left undone, oldest first."""
        return list(self._db.execute("SELECT id, kind FROM job WHERE result IS NULL ORDER BY created_s"))


class Jobs:
    """Launches jobs and keeps the serial rule. On the loop only."""

    def __init__(
        self, table: JobTable, run: Callable[..., Awaitable[Any]], gauge: Gauge, works: dict[str, Work]
    ) -> None:
        self._table = table
        self._run = run
        self._gauge = gauge
        self._works = works
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_finishing = False
        self.switches = DropboxSwitches()

    async def resume(self) -> None:
        """Carry on with the jobs an earlier process left."""
        for job_id, kind in await self._run(self._table.unfinished):
            self._start(self._carry_out(job_id, kind, waits=True))

    async def stop(self) -> None:
        """Leave running jobs to the next start."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def launch(self, kind: str, argument: Result, now_s: float, launch: str | None = None) -> Result:
        """Launch a job; the answer is a LaunchResult. Raises Refused while the serial rule says 429."""
        is_busy = kind == FINISH_BATCH and self._is_finishing
        if is_busy and self.switches.overlapping_finish == Overlap.TOO_MANY:
            raise rate_limited("too_many_write_operations", 1)
        holds_lane = kind == FINISH_BATCH and not is_busy
        self._is_finishing = self._is_finishing or holds_lane
        try:
            job_id = await self._run(self._table.add, kind, {**argument, "busy": is_busy}, now_s)
        except BaseException:
            self._is_finishing = self._is_finishing and not holds_lane
            raise
        # Shielded by being a task of its own: the job goes on when the client hangs up.
        entries = len(argument.get("entries", ()))
        task = self._start(self._carry_out(job_id, kind, holds_lane=holds_lane, entries=entries))
        if (launch or self.switches.launch_result) == Launch.ASYNC:
            return tag("async_job_id", async_job_id=job_id)
        return tag("complete", **await asyncio.shield(task))

    async def check(self, kind: str, job_id: str, now_s: float) -> Result:
        """The state of a job as a union: in_progress, or complete with its result."""
        after_s = now_s - self.switches.job_lifetime_s
        result = await self._run(self._table.result, job_id, kind, after_s)
        return tag("in_progress") if result is None else tag("complete", **result)

    def _start(self, work: Any) -> asyncio.Task[Result]:
        task: asyncio.Task[Result] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _carry_out(
        self, job_id: str, kind: str, *, holds_lane: bool = False, waits: bool = False, entries: int = 0
    ) -> Result:
        while waits and kind == FINISH_BATCH and self._is_finishing:
            await asyncio.sleep(0.01)
        if waits and kind == FINISH_BATCH:
            self._is_finishing = holds_lane = True
        try:
            with self._gauge.hold(kind):
                await asyncio.sleep(self.switches.job_duration_s + entries * self.switches.job_entry_s)
                result: Result = await self._run(self._table.carry_out, job_id, self._works[kind])
                return result
        finally:
            if holds_lane:
                self._is_finishing = False
