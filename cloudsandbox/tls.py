"""Certificates for a server on this machine, by an authority that is made for it and then forgotten."""

import ssl
from pathlib import Path


class Authority:
    """A throw-away certificate authority. Its key is in memory only: nobody can ever sign with it again."""

    def __init__(self) -> None:
        import trustme  # noqa: PLC0415 - a third of a second, for the few that speak TLS

        self._authority = trustme.CA()

    def write(self, path: Path) -> None:
        """Write its own certificate, in PEM, for clients to trust."""
        path.write_bytes(self._authority.cert_pem.bytes())

    def server_context(self, *names: str) -> ssl.SSLContext:
        """What a server shows that is reached by these host names or addresses."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._authority.issue_cert(*names).configure_cert(context)
        return context
