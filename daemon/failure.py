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
    Unexplained,
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
    until somebody has done something about it. A no without a reason may be that of a proxy, which lets the
    next call pass; so may one of a request's form. A limit is lifted by another month, or a removal."""
    is_lasting = isinstance(error, _OF_AN_ACCOUNT) and not isinstance(error, Unexplained)
    return EXIT_FOR_A_PERSON if is_lasting else 1
