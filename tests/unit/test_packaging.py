"""What is installed: mountfs without the stand-ins, the stand-ins by themselves."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from email import message_from_string
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PRODUCT = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "mountfs", "daemon", "cloudsandbox", "share")
BESIDES = (
    *("MANIFEST.in", "Dockerfile", ".dockerignore", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile"),
    *("dev.lock", "docs", "scripts", "systemd", "tests"),
)
"""What only who builds it reads: in the source distribution."""
PAGE = "daemon/page/page.html"
BUILD = "from setuptools import build_meta; print(build_meta.build_{kind}({folder!r}))"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy: a build leaves files in the sources."""
    top = tmp_path_factory.mktemp("checkout")
    leave = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    for name in (*PRODUCT, *BESIDES):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, top / name, ignore=leave)
        else:
            shutil.copy(ROOT / name, top / name)
    return top


@pytest.fixture
def built(tmp_path: Path) -> Callable[[Path, str], Path]:
    """Builds the `wheel` or the `sdist` of a project, as an installer does, with what is installed here."""

    def build(project: Path, kind: str) -> Path:
        code = BUILD.format(kind=kind, folder=str(tmp_path))
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], cwd=project, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return tmp_path / done.stdout.split()[-1]

    return build


def requirements(wheel: Path, extra: str = "") -> list[str]:
    """What the wheel asks for: always, or for the sake of an extra."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        told = message_from_string(archive.read(name).decode())
    wanted = [line.partition(";") for line in told.get_all("Requires-Dist", [])]
    return [
        name.strip()
        for name, _, marker in wanted
        if marker.strip().replace("'", '"') == (f'extra == "{extra}"' if extra else "")
    ]


def modules(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name and ".data/" not in name}


def shared(wheel: Path) -> set[str]:
    """What goes below the prefix of the installation."""
    with zipfile.ZipFile(wheel) as archive:
        return {name.partition(".data/data/")[2] for name in archive.namelist() if ".data/data/" in name}


def sources(package: Path) -> set[str]:
    """Its modules; what a build has left beside them does not count."""
    return {
        str(path.relative_to(package.parent))
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[0] != "build"
    }


def sources_of_all(checkout: Path) -> set[str]:
    """Every file but those of the stand-ins, which are a project of their own, and what builds have left."""
    files = {str(path.relative_to(checkout)) for path in checkout.rglob("*") if path.is_file()}
    return {
        name for name in files if not name.startswith(("cloudsandbox/", "build/")) and ".egg-info" not in name
    }


def test_the_lock_has_a_release_of_each_dependency_that_is_new_enough() -> None:
    lines = [line for line in (ROOT / "dev.lock").read_text().splitlines() if "==" in line]
    locked = {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in lines}
    wanted = [line for name in ("mountfs", "cloudsandbox") for line in metadata.requires(name) or ()]
    asked = [Requirement(line) for line in wanted if "extra" not in line or "dev" in line.partition(";")[2]]
    assert len(asked) > 20
    lacking = [
        each for each in asked if not each.specifier.contains(locked.get(canonicalize_name(each.name), "0"))
    ]
    assert lacking == [], "dev.lock is older than the dependencies: make lock"


def test_mountfs_comes_without_the_stand_ins_and_without_their_server(
    checkout: Path, built: Callable[[Path, str], Path]
) -> None:
    wheel = built(checkout, "wheel")
    assert modules(wheel) == sources(checkout / "mountfs") | sources(checkout / "daemon") | {PAGE}
    assert shared(wheel) == {
        "share/man/man1/mountfs.1",
        "share/bash-completion/completions/mountfs.bash",
        "share/zsh/site-functions/_mountfs",
        "share/fish/vendor_completions.d/mountfs.fish",
    }
    always = requirements(wheel)
    assert any(line.startswith("requests") for line in always)
    assert not [line for line in always if line.startswith(("aiohttp", "cloudsandbox"))]


def test_what_pip_installs_runs(checkout: Path, tmp_path: Path) -> None:
    """``pip install .``, with the dependencies that are here, and no index."""
    order = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    order += ["--no-deps", "--no-build-isolation", "--no-compile", "--target", str(tmp_path), "."]
    done = subprocess.run(order, cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = subprocess.run(
        [tmp_path / "bin" / "mountfs", "--version"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert told.stdout.startswith("mountfs "), told.stderr
    assert (tmp_path / "share/man/man1/mountfs.1").exists()


def test_in_a_checkout_the_extra_is_the_neighbour(checkout: Path, built: Callable[[Path, str], Path]) -> None:
    wanted = requirements(built(checkout, "wheel"), "sandbox")
    assert wanted == [f"cloudsandbox @ {(checkout / 'cloudsandbox').as_uri()}"]


def test_what_is_built_from_the_source_distribution_names_no_path(
    checkout: Path, built: Callable[[Path, str], Path], tmp_path: Path
) -> None:
    with tarfile.open(built(checkout, "sdist")) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
        assert not [name for name in names if name.startswith("cloudsandbox/")]
        assert sources_of_all(checkout) - names == set()
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.glob("mountfs-*/")
    assert requirements(built(source, "wheel"), "sandbox") == [
        f"cloudsandbox=={source.name.rpartition('-')[2]}"
    ]


def test_the_stand_ins_are_whole_by_themselves(checkout: Path, built: Callable[[Path, str], Path]) -> None:
    wheel = built(checkout / "cloudsandbox", "wheel")
    assert modules(wheel) == sources(checkout / "cloudsandbox") | {"cloudsandbox/py.typed"}
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "cloudsandbox = cloudsandbox.__main__:main" in archive.read(name).decode()
        licenses = [archive.read(name) for name in archive.namelist() if name.endswith("/LICENSE")]
    assert licenses == [(checkout / "LICENSE").read_bytes()]
