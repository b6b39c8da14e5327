#!/bin/sh
# Installs what mountfs needs: fusermount3, libfuse 2 and the tools the tests use, then a virtual environment.
# Usage: setup.sh VENV
set -eu
venv=${1:?usage: setup.sh VENV}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then sudo -n "$@"
    else return 1
    fi
}

has_libfuse2() {
    /sbin/ldconfig -p 2>/dev/null | grep -q 'libfuse\.so\.2' || [ -n "${FUSE_LIBRARY_PATH:-}" ]
}

python=
for candidate in python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done

missing=
command -v fusermount3 >/dev/null 2>&1 || missing="$missing fuse3"
has_libfuse2 || missing="$missing libfuse2"
command -v rsync >/dev/null 2>&1 || missing="$missing rsync"
if [ -z "$python" ]; then
    missing="$missing python3 python3-venv"
elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    missing="$missing python3-venv"
fi

if [ -n "$missing" ]; then
    if command -v apt-get >/dev/null 2>&1 && as_root true; then
        echo "installing:$missing"
        as_root apt-get update -qq
        # Debian 13 and Ubuntu 24.04 renamed libfuse2 in the change to 64-bit time.
        case "$missing" in *libfuse2*)
            if apt-cache show libfuse2t64 2>/dev/null | grep -q '^Package: libfuse2t64'; then
                missing=$(echo "$missing" | sed 's/libfuse2/libfuse2t64/')
            fi ;;
        esac
        # shellcheck disable=SC2086  # a list of package names
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null
    else
        echo "mountfs needs these packages, and this user may not install them:$missing (on Debian 13: libfuse2t64 for libfuse2)" >&2
        exit 1
    fi
fi

if [ -z "$python" ]; then
    python=python3
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "mountfs needs Python 3.11 or newer; this machine has $("$python" --version 2>&1)" >&2
        exit 1
    fi
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
echo "installing mountfs into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
