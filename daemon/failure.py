"""An expected failure of the process, told to the user in one line."""

from mountfs.errors import (
    Forbidden,
    IsADirectory,
    MountfsError,
    NameNotAllowed,
    NameTooLong,
    NotADirectory,
    NotFound,
    NotPermitted,
    NotSignedIn,
)

EXIT_FOR_A_PERSON = 2
"""Of what does not mend itself, so that the service manager need not start it again."""
_OF_AN_ACCOUNT = (
    *(NotSignedIn, Forbidden, NotPermitted, NotFound, NotADirectory, IsADirectory),
    *(NameNotAllowed, NameTooLong),
)


class Failure(Exception):
    """Ends the command with *exit_code*; the message says what is wrong and what to do."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class BadSettings(Failure):
    """The configuration or an option is wrong; starting again cannot help."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=EXIT_FOR_A_PERSON)


def exit_code_of(error: MountfsError) -> int:
    """Of a mount that cannot start because of *error*: what the service says of an account or a folder stays
    until somebody has done something about it. What it says of a request's form may be over with its next
    version. A limit is lifted by another month, or a removal."""
    return EXIT_FOR_A_PERSON if isinstance(error, _OF_AN_ACCOUNT) else 1
