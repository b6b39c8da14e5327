"""An expected failure of the process, told to the user in one line."""

from mountfs.errors import MountfsError, NoSpace, Refused, TransferLimit

EXIT_FOR_A_PERSON = 2
"""Of what does not mend itself, so that the service manager need not start it again."""


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
    """Of a mount that cannot start because of *error*: a refusal stays until somebody has done something
    about it, but for a limit that another month, or a removal, lifts."""
    is_lasting = isinstance(error, Refused) and not isinstance(error, NoSpace | TransferLimit)
    return EXIT_FOR_A_PERSON if is_lasting else 1
