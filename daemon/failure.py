"""An expected failure of the process, told to the user in one line."""

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
