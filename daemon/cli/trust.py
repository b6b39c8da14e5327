"""Whose certificates are good: what the environment says, for a library that looks at other names."""

from __future__ import annotations

import ssl
from collections.abc import MutableMapping
from pathlib import Path

from daemon.failure import BadSettings
from daemon.places.answering import check_answers

READ = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""What the HTTP library heeds by itself, the first one first."""
TAKEN = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""What OpenSSL and the programs that use it heed (SSL_CTX_set_default_verify_paths(3))."""


def heed(environ: MutableMapping[str, str]) -> None:
    """Has the authorities that *environ* names be those of this process, and of those it starts. BadSettings
    when they cannot be read: else every service would seem not to answer."""
    name = next((each for each in (*READ, *TAKEN) if environ.get(each)), None)
    if name is None:
        return
    path = environ[name]
    check_answers(Path(path))
    try:
        # A folder has a file for each authority, by its hash: it is searched when one is needed.
        if not Path(path).is_dir():
            ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise BadSettings(f"{name}={path}: holds no certificate in PEM form") from None
    except OSError as error:
        raise BadSettings(f"{name}={path}: {error.strerror}") from None
    if name in TAKEN:
        environ[READ[0]] = path
