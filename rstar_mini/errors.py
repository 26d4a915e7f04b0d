"""Errors for people: what is wrong, where, and what to do about it."""

from rstar_mini.redact import redact


class UserError(Exception):
    """Something the user can mend. The command line prints it as one line and exits with code 2.

    Servers and files have a say in many messages, so every message is redacted here, once for all.
    """

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))


class ServerLost(UserError):
    """A server that a process had started has ended: others may go on without it."""
