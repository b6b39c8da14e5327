"""Why the service will not do what a node wants."""

from __future__ import annotations

from dataclasses import dataclass, field

from mountfs.errors import MountfsError, Refused
from mountfs.model.order import OrderKind


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the service will not do what the node wants, until somebody changes what it wants.

    ``kind`` is what was refused. A refused rename or removal has no effect here either, so that a node may
    be clean and carry the refusal of what was tried with it. None: the service refused nothing. A start found
    the bytes torn, damaged or missing: they are not sent until the node itself is renamed or written anew.
    ``cause`` is the class of the service's answer, for programs that wait for it.
    """

    kind: OrderKind | None
    reason: str
    wall_ns: int
    cause: type[MountfsError] = field(default=Refused, compare=False)
