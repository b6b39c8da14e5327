"""``mountfs install-service``: writes units for systemd, and what mount(8) and umount(8) look for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import platformdirs

from daemon.cli import units
from daemon.cli.context import ANY_PATH, SYSTEM_CONFIG, say, tell
from daemon.failure import BadSettings, Failure
from daemon.places.answering import check_answers

SYSTEM_UNITS = Path("/etc/systemd/system")
HELPERS = Path("/usr/sbin")
"""/sbin, where mount(8) looks, leads there on Debian 12 and later."""


@click.command("install-service")
@click.option("--user", "is_user", is_flag=True, help="For your own systemd; needs no root.")
@click.option("--root", type=ANY_PATH, default=Path("/"), help="Write below this directory, for a package.")
@click.option("--program", metavar="PATH", help="The mountfs to run; by default the one that runs now.")
@click.option("--force", is_flag=True, help="Also write over files that somebody else wrote or changed.")
def install_service(is_user: bool, root: Path, program: str | None, force: bool) -> int:
    """Write the unit mountfs@.service. As root, also the helpers for mount(8), umount(8) and fstab(5).

    Afterwards `systemctl enable --now mountfs@NAME` mounts what [mounts.NAME] of the configuration says, and
    `mount -t fuse.mountfs work: /mnt` mounts as any other file system.
    """
    if not is_user and os.geteuid() != 0 and root == Path("/"):
        raise BadSettings("only root may write the units of the system; --user writes your own")
    chosen = program or _own_program()
    if not Path(chosen).is_absolute():
        raise BadSettings(f"--program {chosen}: must be an absolute path")
    files = _files(chosen, _version(), root, is_user=is_user)
    for path in files:
        check_answers(path)
        if not force and not units.may_replace(path):
            raise Failure(f"{path}: is not of install-service; move it away, or say --force")
    for path, (text, mode) in files.items():
        _write(path, text, mode)
        tell(f"wrote {path}")
    if not is_user:
        config = root / SYSTEM_CONFIG.parent.relative_to("/")
        config.mkdir(mode=0o755, parents=True, exist_ok=True)
    if root == Path("/"):
        _reload(is_user=is_user)
    _tell_next(is_user=is_user)
    return 0


def _files(program: str, version: int, root: Path, *, is_user: bool) -> dict[Path, tuple[str, int]]:
    """Path -> text and mode."""
    unit = units.unit(program, version, is_user=is_user)
    if is_user:
        place = platformdirs.user_config_path("systemd") / "user" / units.UNIT
        return {_below(root, place): (unit, 0o644)}
    found = {_below(root, SYSTEM_UNITS / units.UNIT): (unit, 0o644)}
    for name, text in units.helpers(program).items():
        found[_below(root, HELPERS / name)] = (text, 0o755)
    return found


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.chmod(mode)
    draft.replace(path)


def _own_program() -> str:
    """The program that runs now, by a path that stays good."""
    for candidate in (sys.argv[0], Path(sys.executable).with_name("mountfs")):
        path = Path(candidate).absolute()
        if path.name == "mountfs" and os.access(path, os.X_OK):
            return str(path)
    found = shutil.which("mountfs")
    if found is None:
        raise Failure("cannot tell where mountfs is installed; say it with --program PATH")
    return str(Path(found).absolute())


def _version() -> int:
    try:
        done = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return 0
    return units.version_in(done.stdout)


def _reload(*, is_user: bool) -> None:
    order = ["systemctl", *(["--user"] if is_user else []), "daemon-reload"]
    try:
        done = subprocess.run(order, capture_output=True, text=True, check=False)
    except OSError as error:
        say(f"{' '.join(order)}: {error.strerror}")
        return
    if done.returncode:
        say(f"{' '.join(order)}: {done.stderr.strip()}")


def _tell_next(*, is_user: bool) -> None:
    flag, config = ("--user ", "") if is_user else ("", f"--config {SYSTEM_CONFIG} ")
    tell(f"next: mountfs {config}login NAME, and a section [mounts.NAME] with remote and mountpoint")
    tell(f"then: systemctl {flag}enable --now mountfs@NAME")
    if is_user:
        tell("      loginctl enable-linger, to have it run while you are not logged in")
