"""What goes wrong at the service: one call of ten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.mounted.sandboxprocess import SandboxProcess
from tests.soak.figures import Figures

SHARE = 0.10
"""Of the calls, spoiled by one of the faults that may befall any call; those of some calls come on top."""

ANYWHERE: Mapping[str, dict[str, Any]] = {
    "429 with a time": {"action": "reply", "status": 429, "retry_after_s": 0.3},
    "429": {"action": "reply", "status": 429},
    "500": {"action": "reply", "status": 500},
    "503 with a time": {"action": "reply", "status": 503, "retry_after_s": 0.2},
    "503": {"action": "reply", "status": 503},
    "reset before the request was read": {"action": "drop_before"},
    "reset in the request": {"action": "drop_request", "cut_bytes": 1000},
    "lost reply": {"action": "drop_after"},
    "cut reply": {"action": "cut_body", "cut_bytes": 20},
    "late reply": {"action": "stall", "stall_s": 1.0},
    # All but the route that gives out tokens.
    "expired token": {"action": "expired_token", "route": "[!o]*"},
}

OF_A_SERVICE: Mapping[str, Mapping[str, dict[str, Any]]] = {
    "dropbox": {
        "expired session": {"action": "session_expired", "route": "files/upload_session/append*"},
        "busy namespace": {"action": "busy_namespace", "route": "files/*_batch*", "retry_after_s": 0.3},
    },
    "box": {
        "expired session": {"action": "session_expired", "route": "sessions/*"},
        "busy namespace": {"action": "busy_namespace", "route": "f*", "retry_after_s": 0.3},
    },
}

SWITCHES: Mapping[str, dict[str, Any]] = {
    "dropbox": {},
    "box": {
        "record_exchanges": False,
        "min_session_bytes": 100_000,
        "part_size_bytes": 65_536,
        "pending_commits": 1,
        "early_commits": 1,
        "commit_retry_after_s": 0.2,
        "repeated_events": 3,
        "disordered_events": True,
    },
}
"""Of the stand-in. Large files are smaller than at the service, so that there are many."""

REMOTES: Mapping[str, dict[str, str]] = {
    "dropbox": {"access_token": "", "refresh_token": "sandbox-refresh", "app_key": "sandbox-app"},
    "box": {
        "access_token": "",
        "client_id": "sandbox-client",
        "client_secret": "sandbox-secret",
        "box_subject_type": "user",
        "box_subject_id": "11446498",
        "small_file_bytes": "100000",
    },
}
"""Of the mounts: credentials that can be renewed."""


@dataclass(frozen=True, slots=True)
class Weather:
    """The faults of one account."""

    far_side: SandboxProcess
    seed: int

    def begin(self) -> None:
        kinds = self._kinds()
        each = 1 - (1 - SHARE) ** (1 / len(ANYWHERE))
        self.far_side.faults(
            *(
                {"route": "*", "probability": each, "seed": self.seed * 100 + number, **fault}
                for number, fault in enumerate(kinds.values())
            )
        )

    def end(self, figures: Figures) -> None:
        """No more faults; counts those that there were."""
        for kind, count in zip(self._kinds(), self.far_side.fault_counts(), strict=True):
            figures.count("calls answered with a fault", kind, count)
        figures.count("calls", "all", sum(self.far_side.counts().values()))
        self.far_side.calm_down()

    def _kinds(self) -> dict[str, dict[str, Any]]:
        return {**ANYWHERE, **OF_A_SERVICE[self.far_side.service]}
