"""Why the service will not do what a node wants."""

from __future__ import annotations

from dataclasses import dataclass, field

from mountfs.errors import DirectoryNotEmpty, MountfsError, Refused
from mountfs.model.order import OrderKind


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the service will not do what the node wants, until somebody changes what it wants.

    ``kind`` is what was refused. A refused rename or removal has no effect here either, so that a node may
    be clean and carry the refusal of what was tried with it. None: the service refused nothing. A start found
    the bytes torn, damaged or missing: they are not sent until the node itself is renamed or written anew.
    ``cause`` is the class of the service's answer, for programs that wait for it.

    One is of our own making: that of a folder which another mount, that died, had removed, and in which this
    one knows of something (``left_to_the_service``). It is sent, and the service tells whether it is empty.
    Until then it is pending, and nothing of it was refused (``Unclean.leaving``).
    """

    kind: OrderKind | None
    reason: str
    wall_ns: int
    cause: type[MountfsError] = field(default=Refused, compare=False)

    @classmethod
    def left_to_the_service(cls, wall_ns: int) -> Refusal:
        """Of the removal of a folder that stays in sight until the service has removed it, or has not."""
        told = "another mount was to remove it: it goes if nothing is in it"
        return cls(OrderKind.DELETE, told, wall_ns, DirectoryNotEmpty)

    @property
    def is_left_to_the_service(self) -> bool:
        return self.kind is OrderKind.DELETE and self.cause is DirectoryNotEmpty
