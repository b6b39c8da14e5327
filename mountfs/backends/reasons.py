"""Why a connection failed, out of the exceptions that foreign libraries wrap around it."""

from __future__ import annotations


def reason_of(error: BaseException) -> str:
    """The innermost cause in the system's words, or else the kind of the error."""
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        nested = [arg for arg in current.args if isinstance(arg, BaseException)]
        reason = getattr(current, "reason", None)
        nested += [reason] if isinstance(reason, BaseException) else []
        current = current.__cause__ or current.__context__ or (nested[0] if nested else None)
    for cause in reversed(seen):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return type(seen[-1]).__name__
