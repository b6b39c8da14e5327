"""The table of what a sweep need not reach, and the points around requests."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.crash import process
from tests.crash.named import NOT_SWEPT, transactions
from tests.crash.points import REACHED, Points


def test_what_no_sweep_reaches_is_a_transaction_that_there_is() -> None:
    assert NOT_SWEPT.keys() <= transactions()


def test_a_request_that_is_sent_again_passes_its_points_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "POINTS", Points(tmp_path), raising=False)

    def send_once(_client: object, _request: object, token: str, *, is_repeated: bool = False) -> object:
        return token, is_repeated

    request = SimpleNamespace(route="files/get_metadata")
    assert process._pointed(send_once)(None, request, "token", is_repeated=True) == ("token", True)
    assert (tmp_path / REACHED).read_text().split() == [
        "http.files/get_metadata:before",
        "http.files/get_metadata:after",
    ]
