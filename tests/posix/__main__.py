"""Runs all cases in a folder, or each N-th, and prints what became of them: `-m tests.posix FOLDER [N]`."""

from __future__ import annotations

import json
import os
import sys
from itertools import chain, islice
from pathlib import Path

from tests.posix.cases import all_cases
from tests.posix.filecases import file_cases
from tests.posix.lengthcases import length_cases
from tests.posix.opencases import open_cases
from tests.posix.place import Place
from tests.posix.timecases import time_cases


def main() -> None:
    if len(sys.argv) < 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python -m tests.posix FOLDER [N], of a tmpfs or a mount, as root")
    top = Path(sys.argv[1]).absolute()
    step = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    os.umask(0o022)
    told: dict[str, object] = {}
    for number, (name, case) in enumerate(
        islice(chain(all_cases(), open_cases(), time_cases(), length_cases(), file_cases()), 0, None, step)
    ):
        assert name not in told, name
        place = Place(top / str(number))
        place.path.mkdir(mode=0o777)
        place.path.chmod(0o777)
        os.chdir(place.path)
        try:
            told[name] = case(place)
        except OSError as error:
            told[name] = f"not carried out: {error}".replace(os.fspath(top), "TOP")
        os.chdir(top)
        place.remove()
    json.dump(told, sys.stdout, default=repr)


main()
