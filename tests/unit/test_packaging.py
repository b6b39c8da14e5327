"""What is installed: mountfs without the stand-ins, the stand-ins by themselves."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "mountfs", "daemon", "cloudsandbox", "share")
PAGE = "daemon/page/page.html"
BUILD = "from setuptools import build_meta; print(build_meta.build_{kind}({folder!r}))"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy: a build leaves files in the sources."""
    top = tmp_path_factory.mktemp("checkout")
    leave = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    for name in PRODUCT:
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
        metadata = message_from_string(archive.read(name).decode())
    wanted = [line.partition(";") for line in metadata.get_all("Requires-Dist", [])]
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
        assert not [name for name in archive.getnames() if "/cloudsandbox" in name]
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
