"""The shape of the program: who may import whom, how long a module may be, who may ask the machine."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULE_LINES = 400
FUNCTION_LINES = 60

CORE = {"mountfs.errors", "mountfs.model", "mountfs.ports"}

SAID = {"daemon.failure", "daemon.printable"}
"""What is told to people, and how."""

OURS = ("mountfs", "daemon", "cloudsandbox")

MAY_IMPORT: dict[str, set[str]] = {
    "mountfs.errors": set(),
    "mountfs.clock": set(),
    "mountfs.model": {"mountfs.errors"},
    "mountfs.attributes": {"mountfs.errors", "mountfs.model"},
    "mountfs.ports": {"mountfs.errors", "mountfs.model"},
    "mountfs.backends": CORE,
    "mountfs.reading": CORE,
    "mountfs.space": CORE,
    "mountfs.spool": CORE,
    "mountfs.transport": CORE,
    "mountfs.tree": {*CORE, "mountfs.spool"},
    "mountfs.upload": {*CORE, "mountfs.tree"},
    "mountfs.xattrs": {*CORE, "mountfs.tree"},
    "mountfs.files": {*CORE, "mountfs.spool", "mountfs.tree"},
    "mountfs.published": {*CORE, "mountfs.tree"},
    "mountfs.inodes": {*CORE, "mountfs.attributes", "mountfs.files", "mountfs.published", "mountfs.tree"},
    "mountfs.links": {
        *CORE,
        "mountfs.attributes",
        "mountfs.files",
        "mountfs.inodes",
        "mountfs.published",
        "mountfs.tree",
    },
    "mountfs.metadata": {
        *CORE,
        "mountfs.attributes",
        "mountfs.files",
        "mountfs.published",
        "mountfs.tree",
        "mountfs.xattrs",
    },
    "mountfs.stats": {
        *CORE,
        "mountfs.attributes",
        "mountfs.files",
        "mountfs.inodes",
        "mountfs.published",
        "mountfs.tree",
    },
    "mountfs.filesystem": {
        *CORE,
        "mountfs.attributes",
        "mountfs.files",
        "mountfs.inodes",
        "mountfs.links",
        "mountfs.metadata",
        "mountfs.published",
        "mountfs.space",
        "mountfs.stats",
        "mountfs.tree",
    },
    "mountfs.fuse": {
        "mountfs.attributes",
        "mountfs.errors",
        "mountfs.filesystem",
        "mountfs.model",
        "mountfs.xattrs",
    },
    "daemon.failure": {"mountfs.errors"},
    "daemon.printable": set(),
    "daemon.places": {*CORE, *SAID, "mountfs.tree"},
    "daemon.config": {*CORE, *SAID, "daemon.places", "mountfs.attributes"},
    "daemon.signin": {*CORE, *SAID, "daemon.config", "daemon.places", "mountfs.backends"},
    "daemon.control": {*CORE, *SAID, "daemon.places", "mountfs.tree"},
    "daemon.page": {*CORE, "daemon.control"},
    "daemon.commit": {*CORE, "mountfs.spool", "mountfs.tree", "mountfs.upload"},
    "daemon.upkeep": {
        *CORE,
        "mountfs.files",
        "mountfs.reading",
        "mountfs.spool",
        "mountfs.tree",
        "mountfs.upload",
    },
    "daemon.fleet": {*CORE, *SAID, "daemon.commit", "daemon.config"},
    "daemon.core": {
        *CORE,
        "daemon.commit",
        "daemon.upkeep",
        "mountfs.attributes",
        "mountfs.files",
        "mountfs.filesystem",
        "mountfs.reading",
        "mountfs.space",
        "mountfs.spool",
        "mountfs.tree",
        "mountfs.upload",
    },
    "daemon.process": {
        *CORE,
        *SAID,
        "daemon.commit",
        "daemon.config",
        "daemon.control",
        "daemon.core",
        "daemon.fleet",
        "daemon.page",
        "daemon.places",
        "daemon.signin",
        "daemon.upkeep",
        "mountfs.attributes",
        "mountfs.clock",
        "mountfs.filesystem",
        "mountfs.fuse",
        "mountfs.reading",
        "mountfs.spool",
        "mountfs.transport",
        "mountfs.tree",
    },
    "daemon.program": {"daemon.cli"},
    "daemon.cli": {
        *CORE,
        *SAID,
        "daemon.config",
        "daemon.control",
        "daemon.fleet",
        "daemon.places",
        "daemon.process",
        "daemon.signin",
        "mountfs.clock",
        "mountfs.spool",
        "mountfs.transport",
        "mountfs.tree",
    },
}
"""Package -> packages of ours it may import besides itself. Siblings meet in ``daemon.core``, which puts an
account together from its ports: it knows no service, no kernel and no machine. ``daemon.process`` gives it
all three. ``cloudsandbox`` imports nothing of ours, and none of ours imports it: it is a program."""

SPOOL_IN_THE_TREE = {f"mountfs.tree.{name}" for name in ("recovered", "recovery", "strays", "sync")}
"""Those of the tree that deal with the files its rows name."""

LAYERS_OF_THE_TREE = (
    ("overlay",),
    (
        "beside",
        "chunks",
        "content",
        "detachedrows",
        "gaprows",
        "kept",
        "knownfiles",
        "listing",
        "noticerows",
        "orphanrows",
        "partrows",
        "pinrows",
        "refusal",
        "schema",
        "sharedsync",
        "toldids",
        "transaction",
        "unknownids",
    ),
    ("attributelog", "copying", "database", "node"),
    (
        "bases",
        "doubt",
        "foldertimes",
        "keptrows",
        "label",
        "listeners",
        "load",
        "noted",
        "patience",
        "planport",
        "readynodes",
        "residents",
        "rows",
        "timers",
        "unsendable",
        "waits",
        "word",
    ),
    ("place", "walkport", "walkrows"),
    ("foreign", "peek", "store", "tally"),
    ("steadytime",),
    ("contents", "formerplaces", "late", "loading", "unclean"),
    ("refusedlistings", "restoring"),
    ("tree",),
    ("childrows", "foldernames"),
    (
        "gaps",
        "lockedfiles",
        "oddities",
        "order",
        "outcome",
        "outdated",
        "rowless",
        "settling",
        "showing",
        "treewalk",
        "unsent",
    ),
    ("remote",),
    ("folderpaths", "paging", "vanishing"),
    ("attributing", "circles", "copynames", "lister", "refusedabove", "takeover", "twins"),
    ("listings",),
    ("ways",),
    ("feed", "plan", "rescue", "reversal", "sync", "view", "walks"),
    ("broughtback", "landing", "recovered", "replaced"),
    ("strays",),
    ("booking", "discard", "launch", "recovery", "verbs"),
)
"""Modules of the tree, the lowest first: each imports only from layers below its own. What lists, plans,
books and changes the tree is above it, and unknown to it."""

CONNECTS = ("daemon.signin.remotes", "daemon.signin.granting", "daemon.signin.reaching")
"""From a remote's settings to its backend, and to its credentials: who knows the services by name; and
whether a service can be reached at all."""

ONLY_IMPORTERS = {
    "fuse": ("mountfs.fuse",),
    "requests": ("mountfs.backends.connections", "mountfs.backends.http"),
    "redis": ("daemon.fleet.redisserver",),
    "prometheus_client": ("daemon.page.metrics",),
    "aiohttp": ("cloudsandbox",),
    "trustme": ("cloudsandbox.tls",),
}
"""Foreign modules, and which of ours deal with them: of `requests`, one sends and one maps what it raises."""

MAY_ASK_THE_MACHINE = (
    "mountfs.clock",
    "cloudsandbox",
    "daemon.process.assembly",
    "daemon.cli",
    "daemon.config.settings",
    "daemon.process.notify",
)
"""Who may use time, random and the environment; all others are told, so that tests can tell them."""

KNOWS_SERVICES = (
    "mountfs.backends",
    "mountfs.model.hashing",
    "daemon.cli",
    "daemon.config",
    "daemon.signin",
    "daemon.process.embedded",
)
"""Who may know services by name; to all others a service is a backend, and what its limits say."""


@cache
def _modules() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = list(path.relative_to(ROOT).with_suffix("").parts)
            if parts[1] == "build":
                continue  # what `pip install` of a checkout leaves beside the sources
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def _parsed(module: str) -> ast.Module:
    path = _modules()[module]
    return ast.parse(path.read_text(), str(path))


@cache
def _nodes(module: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(_parsed(module)))


@cache
def _imports(module: str) -> frozenset[str]:
    """Modules that *module* imports, anywhere in it; of ``from package import name`` the name if that
    is a module."""
    found: set[str] = set()
    for node in _nodes(module):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            submodules = names & _modules().keys()
            found |= submodules
            if submodules != names:
                found.add(node.module)
    return frozenset(found)


def _package(module: str) -> str:
    """What the table knows it as; the sandbox is one, whatever it is made of."""
    parts = module.split(".")
    return parts[0] if parts[0] == "cloudsandbox" else ".".join(parts[:2])


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def _forbidden(module: str) -> Iterator[str]:
    own = _package(module)
    for target in sorted(_imports(module)):
        package = _package(target)
        if package != own and package.split(".")[0] in OURS and package not in MAY_IMPORT.get(own, set()):
            yield f"{module} imports {target}"


def test_packages_import_only_what_the_table_allows() -> None:
    wrong = [line for module in _modules() for line in _forbidden(module)]
    assert not wrong, "\n".join(wrong)


def test_the_tree_is_built_in_layers() -> None:
    level = {f"mountfs.tree.{name}": at for at, names in enumerate(LAYERS_OF_THE_TREE) for name in names}
    assert level.keys() == {module for module in _modules() if module.startswith("mountfs.tree.")}
    wrong = [
        f"{module} imports {target}"
        for module, at in level.items()
        for target in sorted(_imports(module))
        if _is_in(target, "mountfs.tree") and level.get(target, len(LAYERS_OF_THE_TREE)) >= at
    ]
    assert not wrong, "\n".join(wrong)


def test_few_of_the_tree_deal_with_files() -> None:
    importers = {
        module
        for module in _modules()
        if _is_in(module, "mountfs.tree")
        and any(_is_in(target, "mountfs.spool") for target in _imports(module))
    }
    assert importers <= SPOOL_IN_THE_TREE


def test_the_product_does_not_know_its_tests() -> None:
    wrong = [
        f"{module} imports {target}"
        for module in _modules()
        for target in _imports(module)
        if _is_in(target, "tests")
    ]
    assert not wrong, "\n".join(wrong)


def test_stand_ins_for_a_service_are_no_part_of_the_product() -> None:
    """Accounts in memory are the tests'; what users run is a server that speaks a service's own language."""
    words = ("memory", "fake", "faulty", "double", "recording")
    doubles = [module for module in _modules() if any(word in module.rpartition(".")[2] for word in words)]
    assert doubles == []
    assert (ROOT / "tests" / "doubles" / "memory.py").exists()


def test_what_handles_files_knows_no_service_by_name() -> None:
    wrong = [
        f"{module}:{node.lineno}: {node.value!r}"
        for module in _modules()
        if not any(_is_in(module, known) for known in (*KNOWS_SERVICES, "cloudsandbox"))
        for node in _nodes(module)
        if isinstance(node, ast.Constant) and node.value in ("dropbox", "box")
    ]
    assert not wrong, "\n".join(wrong)


def test_every_package_is_in_the_table_and_the_table_in_an_order() -> None:
    packages = {_package(module) for module in _modules()} - {"mountfs", "daemon", "cloudsandbox"}
    assert packages == MAY_IMPORT.keys()
    TopologicalSorter(MAY_IMPORT).prepare()


def test_every_import_that_the_table_allows_is_used() -> None:
    used: dict[str, set[str]] = {}
    for module in _modules():
        used.setdefault(_package(module), set()).update(_package(target) for target in _imports(module))
    spare = {own: sorted(allowed - used[own] - CORE - SAID) for own, allowed in MAY_IMPORT.items()}
    assert not {own: names for own, names in spare.items() if names}


def test_the_library_never_imports_the_daemon() -> None:
    wrong = [
        f"{module} imports {target}"
        for module in _modules()
        if _is_in(module, "mountfs")
        for target in _imports(module)
        if _is_in(target, "daemon")
    ]
    assert not wrong, "\n".join(wrong)


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {module: _imports(module) & _modules().keys() for module in _modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize(("foreign", "ours"), ONLY_IMPORTERS.items())
def test_a_foreign_library_has_one_door(foreign: str, ours: tuple[str, ...]) -> None:
    importers = {
        module
        for module in _modules()
        if any(_is_in(target, foreign) for target in _imports(module))
        and not any(_is_in(module, each) for each in ours)
    }
    assert importers == set()


def test_the_process_of_a_mount_loads_nothing_that_speaks_http() -> None:
    """That is the network process': it takes memory, and time at each start."""
    order = "import sys, daemon.cli, daemon.process.assembly; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", order], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(done.stdout.split())
    assert "mountfs.transport.remote" in loaded
    assert not loaded & {"requests", "urllib3", "mountfs.backends", "aiohttp"}


def test_nobody_asks_which_service_it_is() -> None:
    """Differences between services are values in BackendLimits; only who connects knows their names."""
    wrong = [
        f"{module} imports {target}"
        for module in _modules()
        for target in _imports(module)
        if _is_in(target, "mountfs.backends")
        and not _is_in(module, "mountfs.backends")
        and module not in CONNECTS
    ]
    assert not wrong, "\n".join(wrong)


def test_a_module_is_short_and_so_are_its_functions() -> None:
    long = [
        f"{module} has {lines} lines"
        for module, path in _modules().items()
        if (lines := len(path.read_text().splitlines())) > MODULE_LINES
    ]
    long += [
        f"{node.name} of {module} has {lines} lines"
        for module in _modules()
        for node in _nodes(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and (lines := node.end_lineno - node.lineno + 1) > FUNCTION_LINES
    ]
    assert not long, "\n".join(long)


def test_all_imports_are_absolute() -> None:
    wrong = [
        f"{module}:{node.lineno}"
        for module in _modules()
        for node in _nodes(module)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not wrong


def _asks_the_machine(module: str) -> Iterator[str]:
    for node in _nodes(module):
        if isinstance(node, ast.ImportFrom) and (
            node.module in ("time", "random", "secrets")
            or (node.module == "os" and {"environ", "getenv"} & {alias.name for alias in node.names})
        ):
            yield f"{module}:{node.lineno} imports from {node.module}"
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            continue
        owner, name = node.value.id, node.attr
        is_clock = owner in ("time", "random") and name not in ("struct_time", "strftime", "localtime")
        is_now = owner in ("datetime", "date") and name in ("now", "utcnow", "today")
        if is_clock or is_now or (owner == "os" and name in ("environ", "getenv")):
            yield f"{module}:{node.lineno} uses {owner}.{name}"


def test_only_the_edges_ask_the_machine() -> None:
    wrong = [
        line
        for module in _modules()
        if not any(_is_in(module, package) for package in MAY_ASK_THE_MACHINE)
        for line in _asks_the_machine(module)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("word", ["utils", "common", "helpers", "manager", "misc"])
def test_no_module_is_named_for_nothing(word: str) -> None:
    assert not [module for module in _modules() if word in module.split(".")]
