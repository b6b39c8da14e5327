"""A writer with a folder of its own in a mount, and a mirror of it outside.

Each step is taken in the mount, then in the mirror: the mirror is what the writer was told is safe.
After a step that failed, the folder is looked at: only what the step was to change may be changed.
Then it is made what the mirror is.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

from tests.soak.figures import Figures
from tests.soak.station import Station, may_tear
from tests.soak.toolbox import Step, Toolbox, ToolFailed, run
from tests.soak.trees import Tree, copy_of, differences, tree_below, unexplained

LOOK_EVERY = 15


class Writer:
    """One thread calls ``turn``."""

    def __init__(self, name: str, station: Station, outside: Path, draw: Random, figures: Figures) -> None:
        """*outside*: a new folder for the mirror and for what is copied in."""
        self.name = name
        self.station = station
        self.area = station.mount.path / name
        self.mirror = outside / "mirror"
        self._draw = draw
        self._figures = figures
        self.mirror.mkdir(parents=True)
        sources = outside / "sources"
        sources.mkdir()
        self._toolbox = Toolbox(draw, self.mirror, sources)

    def begin(self) -> None:
        self.area.mkdir()

    def turn(self) -> None:
        """One step, and now and then a look at everything. AssertionError when a promise is broken."""
        step = self._toolbox.next()
        deaths = self.station.deaths
        try:
            step.do(self.area)
        except (ToolFailed, OSError) as error:
            self._figures.tell(f"{self.name} {step.tool} FAILED: {step.script}: {error}")
            assert self.station.excuses(error, deaths), f"{self.name}: {step.script}: {error}"
            self._figures.count("failed", step.tool)
            self._mend(step, may_be_torn=may_tear(error))
        else:
            self._figures.tell(f"{self.name} {step.tool}: {step.script}")
            self._figures.count("done", step.tool)
            self._follow(step)
        self._toolbox.forget()
        if not self._draw.randrange(LOOK_EVERY):
            self.check()

    def check(self) -> None:
        """The folder is what the mirror is."""
        found = differences(tree_below(self.mirror), self._look())
        assert not found, f"{self.name}: " + "; ".join(found)

    def _follow(self, step: Step) -> None:
        """Has the mirror be what the step made of the folder."""
        if not step.is_odd:
            step.do(self.mirror)
            return
        for top in step.reach.tops:
            order = ["rsync", "-rtc", "--delete", f"{top}/", f"{self.mirror / top}/"]
            self._again(order, f"{self.name}: what {step.tool} made is read")

    def _mend(self, step: Step, *, may_be_torn: bool) -> None:
        before = tree_below(self.mirror)
        if step.is_odd:
            for top in step.reach.tops:
                shutil.rmtree(self.mirror / top, ignore_errors=True)
        else:
            step.do(self.mirror)
        after, found = tree_below(self.mirror), self._look()
        wrong = unexplained(before, after, found, step.reach, may_be_torn=may_be_torn)
        assert not wrong, f"{self.name}: after {step.script} had failed: " + "; ".join(wrong)
        recovered = sum((copy := copy_of(path)) is not None and copy.kind == "recovered" for path in found)
        self._figures.count("seen", "recovered copies", recovered)
        order = ["rsync", "-rtc", "--delete", f"{self.mirror}/", "."]
        self._again(order, f"{self.name}: mended after {step.tool}")
        self.check()

    def _look(self) -> Tree:
        found: Tree = {}
        self.station.again(lambda: found.update(tree_below(self.area)), f"{self.name}: the folder is read")
        return found

    def _again(self, order: list[str], what: str) -> None:
        """Runs a program in the folder, which nothing has while it is not mounted, until it gets through."""

        self.station.again(lambda: run(order, self.area), what)
