"""Errors for people: what is wrong, where, and what to do about it."""

from __future__ import annotations

import shlex

from rstar_mini.redact import redact


def command(*words: object) -> str:
    """A command to suggest, quoted so that it can be copied as it is."""
    return shlex.join(["rstar-mini", *map(str, words)])


class UserError(Exception):
    """Something the user can mend. The command line prints it as one line and exits with code 2.

    Servers and files have a say in many messages, so every message is redacted here, once for all.
    """

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))


class ServerLost(UserError):
    """A server that a process had started has ended: others may go on without it."""
