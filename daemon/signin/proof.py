"""What ties the answer of an authorization page to the question: proof (RFC 7636) and state (RFC 6749)."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field


def _random() -> str:
    return secrets.token_urlsafe(48)


@dataclass(frozen=True, slots=True)
class Proof:
    """Of one sign-in: *verifier* goes to the token endpoint alone, *state* comes back with the code."""

    verifier: str = field(default_factory=_random, repr=False)
    state: str = field(default_factory=_random, repr=False)

    @property
    def challenge(self) -> str:
        """What the page is told of the verifier: its S256 challenge."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
