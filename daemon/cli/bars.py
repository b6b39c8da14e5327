"""How far a mount is, as bars on a terminal: for ``status``, ``wait``, ``umount``."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from daemon.control.status import Transfer, in_bytes, plural
from daemon.printable import printable

BAR_CELLS = 16
LARGE_BYTES = 1 << 20
"""Of smaller files under way, names are told and no bars drawn: they arrive at once."""
FEW_NAMES = 5


def text(words: str, style: str = "") -> Text:
    return Text(printable(words), style=style)


def table(*titles: str, numbers: int = 0) -> Table:
    """With columns of these *titles*, of which the last *numbers* are justified to the right. Nothing is cut
    in it, for people copy paths: what has no room goes on in the next line."""
    made = Table(box=None, padding=(0, 2, 0, 0))
    for at, title in enumerate(titles, 1):
        made.add_column(title, overflow="fold", justify="right" if at > len(titles) - numbers else "left")
    return made


def in_time(seconds: float) -> str:
    """Rounded: ``12 s``, ``3 min``, ``2.5 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def render_transfer(transfer: Transfer, head: str = "") -> RenderableType:
    """A bar for all that is pending, and below it what is on its way just now."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(overflow="fold", min_width=6, max_width=40)
    grid.add_column(width=BAR_CELLS)
    grid.add_column()
    grid.add_row(text(head or "in all", "bold"), _bar(*_share(transfer)), text(in_figures(transfer)))
    small: list[str] = []
    for file in transfer.files:
        if file.size_bytes >= LARGE_BYTES:
            figures = f"{in_bytes(file.sent_bytes)} of {in_bytes(file.size_bytes)}"
            grid.add_row(text(file.path), _bar(file.sent_bytes, file.size_bytes), text(figures, "dim"))
        else:
            small.append(file.path)
    parts: list[RenderableType] = [grid]
    if small:
        more = transfer.others + len(small[FEW_NAMES:])
        rest = f" and {more} more" if more else ""
        parts.append(text(", ".join(small[:FEW_NAMES]) + rest, "dim"))
    return Group(*parts)


def in_figures(transfer: Transfer) -> str:
    """``1.2 GiB of 3.4 GiB, 41 of 1001 changes, 12.3 MiB/s, 3 min to go``."""
    done, left = transfer.done, transfer.left
    words = []
    if whole := done.size_bytes + left.size_bytes:
        words.append(f"{in_bytes(done.size_bytes)} of {in_bytes(whole)}")
    words.append(f"{done.count} of {plural(done.count + left.count, 'change')}")
    if left.count:
        words.append(f"{in_bytes(int(transfer.bytes_per_s))}/s")
        words.append("waiting" if transfer.eta_s is None else f"{in_time(transfer.eta_s)} to go")
    return ", ".join(words)


def _share(transfer: Transfer) -> tuple[float, float]:
    """How much of it is done: by bytes, or by changes where there are no bytes left to send."""
    done, left = transfer.done, transfer.left
    if left.size_bytes:
        return done.size_bytes, done.size_bytes + left.size_bytes
    return done.count, done.count + left.count


def _bar(done: float, whole: float) -> ProgressBar:
    return ProgressBar(total=max(whole, 1.0), completed=done, width=BAR_CELLS)
