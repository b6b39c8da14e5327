"""What the service refuses, as exceptions that carry the answer."""

from typing import Any


class Refusal(Exception):
    """An answer with an error body, or with none when *code* is empty."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str = "",
        context_info: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message or code.replace("_", " ").capitalize()
        self.context_info = context_info
        self.headers = headers or {}


def bad_request(message: str, **errors: Any) -> Refusal:
    """A parameter is missing or senseless."""
    return Refusal(400, "bad_request", message, errors or None)


def bad_parameter(name: str, message: str, reason: str = "invalid_parameter") -> Refusal:
    """One named parameter is missing or senseless."""
    return bad_request("Bad Request", errors=[{"reason": reason, "name": name, "message": message}])


def not_found() -> Refusal:
    """Nothing has this id."""
    return Refusal(404, "not_found", "Not Found")


def method_not_allowed() -> Refusal:
    """No such method here; also the answer about an id of an unknown form."""
    return Refusal(405, "method_not_allowed", "Method Not Allowed")


def trashed() -> Refusal:
    """What has this id is in the trash."""
    return Refusal(404, "trashed", "Item is trashed")


def precondition_failed() -> Refusal:
    """The etag is not the one of If-Match."""
    return Refusal(412, "precondition_failed", "The resource has been modified. Please retrieve it again.")


def denied() -> Refusal:
    """Nobody may do this."""
    return Refusal(403, "access_denied_insufficient_permissions", "Access denied - insufficient permission")


def unauthorized(is_token_known: bool = True) -> Refusal:
    """No token, or one that is not good any more: no body, all is in the header."""
    challenge = 'Bearer realm="Service"'
    if is_token_known:
        description = "The access token provided is invalid."
        challenge += f', error="invalid_token", error_description="{description}"'
    return Refusal(401, "", headers={"WWW-Authenticate": challenge})
