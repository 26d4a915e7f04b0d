"""Errors for people: what is wrong, where, and what to do about it."""

from __future__ import annotations

import shlex


def command(*words: object) -> str:
    """A command to suggest, quoted so that it can be copied as it is."""
    return shlex.join(["rstar-mini", *map(str, words)])


class UserError(Exception):
    """Something the user can mend. The command line prints it as one line and exits with code 2."""


class ServerLost(UserError):
    """A server that a process had started has ended: others may go on without it."""
