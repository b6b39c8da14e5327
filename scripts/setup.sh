#!/bin/sh
# Installs what mountfs needs: fusermount3, libfuse 2, a virtual environment with mountfs and the stand-ins of
# the services; with "tests" also the programs that the tests use.
# Usage: setup.sh VENV [tests]; with MOUNTFS_LOCK=dev.lock just the releases that file names.
set -eu
venv=${1:?usage: setup.sh VENV [tests]}
purpose=${2:-use}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then sudo -n "$@"
    else return 1
    fi
}

has_libfuse2() {
    /sbin/ldconfig -p 2>/dev/null | grep -q 'libfuse\.so\.2' || [ -n "${FUSE_LIBRARY_PATH:-}" ]
}

find_python() {
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

needs() {  # needs PROGRAM PACKAGE
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

missing=
python=$(find_python)
needs fusermount3 fuse3
has_libfuse2 || missing="$missing libfuse2"
if [ -z "$python" ]; then
    missing="$missing python3 python3-venv"
elif [ ! -x "$venv/bin/python" ] && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    missing="$missing python3-venv"
fi
if [ "$purpose" = tests ]; then
    needs rsync rsync
    needs git git
    needs sqlite3 sqlite3
    needs vim vim
    needs setpriv util-linux
    needs redis-server redis-server
    # The service is tested in a systemd of the tests' own, which only root can boot.
    if [ "$(id -u)" = 0 ]; then needs systemctl systemd; fi
fi

if [ -n "$missing" ]; then
    if command -v apt-get >/dev/null 2>&1 && as_root true; then
        echo "installing:$missing"
        as_root apt-get update -qq
        # Debian 13 and Ubuntu 24.04 renamed libfuse2 in the change to 64-bit time.
        if apt-cache show libfuse2t64 2>/dev/null | grep -q '^Package: libfuse2t64'; then
            missing=$(echo "$missing" | sed 's/libfuse2/libfuse2t64/')
        fi
        # shellcheck disable=SC2086  # a list of package names
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null
    else
        echo "mountfs needs these packages, and this user may not install them:$missing (libfuse2 is libfuse2t64 on Debian 13)" >&2
        exit 1
    fi
    python=$(find_python)
fi

if [ -z "$python" ]; then
    echo "mountfs needs Python 3.11 or newer; this machine has $(python3 --version 2>&1)" >&2
    exit 1
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
extras=
if [ "$purpose" = tests ]; then extras='[dev]'; fi
echo "installing mountfs into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    ${MOUNTFS_LOCK:+--constraint "$MOUNTFS_LOCK"} --editable ./cloudsandbox --editable ".$extras"
