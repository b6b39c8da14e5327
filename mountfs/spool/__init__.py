"""The local disk: whole copies of what is written, until the service has it."""
