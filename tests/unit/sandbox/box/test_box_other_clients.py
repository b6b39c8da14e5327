"""What clients send that do not go by the official SDK's habits, and the service takes."""

from typing import Any


def test_a_path_may_end_with_a_slash(wire: Any) -> None:
    argument = {"name": "f", "parent": {"id": "0"}}
    assert wire.ok("OPTIONS", "/2.0/files/content/", argument)["upload_url"].endswith("/files/content")
    assert wire.ok("GET", "/2.0/users/me/")["type"] == "user"
    assert wire.call("GET", "/2.0/users/me//").status_code == 404
