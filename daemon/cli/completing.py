"""What a shell is offered for names of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

from daemon.cli.context import Context
from daemon.config.settings import BUILT_IN, Settings
from daemon.failure import Failure


class _Known(click.types.StringParamType):
    """Any text; *names* of the configuration are offered. One that cannot be read offers none."""

    def __init__(self, what: str, names: Callable[[Settings], Iterable[str]]) -> None:
        self.name = what
        self._names = names

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 - click's
        incomplete: str,
    ) -> list[CompletionItem]:
        try:
            settings = Context(config=ctx.find_root().params.get("config")).settings()
        except (Failure, OSError):
            return []
        return [CompletionItem(name) for name in self._names(settings) if name.startswith(incomplete)]


REMOTE = _Known("remote", lambda settings: [f"{name}:" for name in settings.remotes])
"""``work:``, for what is mounted or looked at."""

ACCOUNT = _Known("name", lambda settings: [name for name in settings.remotes if name not in BUILT_IN])
"""``work``, for what is signed in to."""

INSTANCE = _Known("name", lambda settings: settings.mounts)
"""Of ``[mounts.NAME]``."""
