"""The process of one mount, put together: sandbox, account, control socket, lifecycle."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from daemon.config.fleet import Fleet
from daemon.config.options import MountOptions
from daemon.config.settings import AccountRemote, Remote, RemoteSpec, SandboxRemote
from daemon.control.account import MountedAccount
from daemon.control.server import ControlServer, Conversation
from daemon.control.status import MountStatus, in_words
from daemon.page.answers import Answers
from daemon.page.history import History
from daemon.page.opened import OpenedPage
from daemon.places.runtimedir import socket_path
from daemon.process import descriptors
from daemon.process.arenas import share_arenas
from daemon.process.embedded import EmbeddedSandbox, account_of
from daemon.process.lifecycle import Kernel, Lifecycle
from daemon.process.notify import Notifier
from daemon.process.phases import Phase
from mountfs.model.logevent import LogEvent
from mountfs.ports import Clock

LOG = logging.getLogger(__name__)

NOTIFY_STATUS_S = 5.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class LoginFile:
    """The configuration that the remote came from; *read*: the remote as it is written down now. Failure."""

    path: Path
    read: Callable[[], Remote]


@dataclass(frozen=True, slots=True)
class MountPlan:
    """What to mount where: *mountpoint* is absolute and fit, *spec* the remote as the user named it."""

    spec: RemoteSpec
    remote: Remote
    mountpoint: Path
    options: MountOptions
    login: LoginFile | None = None
    fleet: Fleet | None = None
    """The machines that share the account, with the password; None: there are no others."""
    page_token: str = ""
    """What opens its page, where ``options.http`` asks for one."""


Assemble = Callable[[MountPlan, AccountRemote, Path], MountedAccount]
"""(plan, the remote to connect to, the control socket's path) -> a mount ready to run.

Raises MountfsError, Failure.
"""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the process has around it; tests bring their own."""

    environ: Mapping[str, str]
    clock: Clock
    kernel: Kernel
    on_ready: Callable[[], None]
    on_status: Callable[[MountStatus], None] | None = None


def run_mount(plan: MountPlan, assemble: Assemble, around: Surroundings) -> int:
    """Runs the mount on the main thread until it is stopped; the exit code. Failure, MountfsError."""
    descriptors.raise_limit()
    share_arenas()
    plan.options.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    # The control socket closes last: who asked for a stop takes its end for the end of the process.
    with contextlib.ExitStack() as last, contextlib.ExitStack() as stack:
        remote = plan.remote
        if isinstance(remote, SandboxRemote):
            data_dir = plan.options.state_dir / remote.name
            sandbox = stack.enter_context(EmbeddedSandbox(remote.service, data_dir))
            remote = account_of(remote, sandbox.start())
        socket = socket_path(around.environ, os.geteuid(), os.getpid())
        account = assemble(plan, remote, socket)
        lifecycle, server, page = _put_together(plan, account, socket, around)
        if page is not None:
            stack.callback(page.close)
            page.look(around.clock.now_s())
        stack.enter_context(_signals(lifecycle))
        last.callback(server.close)
        server.start()
        return lifecycle.run()


def _put_together(
    plan: MountPlan, account: MountedAccount, socket: Path, around: Surroundings
) -> tuple[Lifecycle, ControlServer, OpenedPage | None]:
    notifier = Notifier.from_environment(around.environ, os.getpid())
    reporter = _Reporter(plan, account, notifier, around)
    lifecycle = Lifecycle(
        account,
        plan.mountpoint,
        kernel=around.kernel,
        notifier=notifier,
        clock=around.clock,
        drain_timeout_s=plan.options.drain_timeout_s,
        drain_idle_timeout_s=plan.options.drain_idle_timeout_s,
        on_ready=reporter.ready,
        on_tick=reporter.tick,
    )
    reporter.phase = lambda: lifecycle.phase
    talk = Conversation(account, lifecycle, reporter.describe, around.clock)
    page = _page(plan, account, reporter, around.clock)
    return lifecycle, ControlServer(socket, talk.answer), page


def _page(plan: MountPlan, account: MountedAccount, reporter: _Reporter, clock: Clock) -> OpenedPage | None:
    listen = plan.options.http
    if listen is None:
        return None
    answers = Answers(
        account,
        reporter.describe,
        reporter.history,
        clock,
        token=plan.page_token,
        metrics=_metrics(account, reporter),
        is_over=lambda: reporter.phase() is Phase.STOPPED,
    )
    reporter.page = OpenedPage(listen.host, listen.port, answers, plan.page_token)
    return reporter.page


def _metrics(account: MountedAccount, reporter: _Reporter) -> Callable[[], tuple[bytes, str] | None]:
    """What Prometheus is told; loaded when it first asks."""
    made: list[Callable[[], tuple[bytes, str]]] = []

    def text() -> tuple[bytes, str] | None:
        if not made:
            try:
                from daemon.page.metrics import Metrics  # noqa: PLC0415 - needs an extra
            except ImportError:
                return None
            made.append(Metrics(reporter.describe, account.figures).text)
        return made[0]()

    return text


class _Reporter:
    """Tells everybody who listens how the mount is doing."""

    def __init__(
        self, plan: MountPlan, account: MountedAccount, notifier: Notifier, around: Surroundings
    ) -> None:
        self._plan = plan
        self._account = account
        self._notifier = notifier
        self._around = around
        self._started_s = around.clock.now_s()
        self._notified_s = -NOTIFY_STATUS_S
        self.history = History()
        self.page: OpenedPage | None = None
        self.phase: Callable[[], Phase] = lambda: Phase.STARTING

    def describe(self) -> MountStatus:
        plan, page, account = self._plan, self.page, self._account.status()
        if page is not None and page.trouble:
            account = replace(account, workers={**account.workers, "page": page.trouble})
        return MountStatus(
            remote=f"{plan.spec.name}:{plan.spec.subdir.text}",
            mountpoint=str(plan.mountpoint),
            pid=os.getpid(),
            phase=self.phase(),
            uptime_s=self._around.clock.now_s() - self._started_s,
            is_read_only=plan.options.is_read_only,
            state_dir=str(plan.options.state_dir),
            account=account,
            page=page.url if page is not None else "",
        )

    def ready(self) -> None:
        found = self._account.status()
        LOG.info(
            LogEvent(
                "mounted",
                remote=self._plan.spec.name,
                account=found.account,
                mountpoint=self._plan.mountpoint,
                pid=os.getpid(),
                pending=found.pending.count,
                size_bytes=found.pending.size_bytes,
            )
        )
        self._notifier.ready(f"{self._plan.spec.name}: on {self._plan.mountpoint}")
        self._around.on_ready()

    def tick(self) -> None:
        self._account.beat()
        now_s = self._around.clock.now_s()
        if self.page is not None:
            self.page.look(now_s)
            if self.history.is_due(now_s):
                self.history.note(self._account.transfer(), now_s)
        if self.phase() not in (Phase.READY, Phase.DRAINING):
            return
        is_notification_due = self._notifier.address and now_s - self._notified_s >= NOTIFY_STATUS_S
        if self._around.on_status is None and not is_notification_due:
            return
        status = self.describe()
        if self._around.on_status is not None:
            self._around.on_status(status)
        if is_notification_due:
            self._notified_s = now_s
            self._notifier.status(in_words(status))


@contextlib.contextmanager
def _signals(lifecycle: Lifecycle) -> Iterator[None]:
    """The first signal drains; a further SIGINT, from somebody who waits at the terminal, cuts it short."""
    seen: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        if seen and number == signal.SIGINT:
            lifecycle.cut_short()
        else:
            lifecycle.ask_stop()
        seen.append(number)

    before = {number: signal.signal(number, handle) for number in _STOP_SIGNALS}
    # libfuse leaves a handler alone, but not that it is ignored: a write to a broken connection must never
    # end the process, not even in the moment in which the loop ends.
    before[signal.SIGPIPE] = signal.signal(signal.SIGPIPE, lambda _number, _frame: None)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
