"""Progress told from one process to another, line by line on the standard output."""

from __future__ import annotations

import json
import sys
from typing import Any

from rstar_mini.progress import Progress, Silent

OF_LAUNCHERS = ("torch.distributed.elastic", "subprocess.CalledProcessError")  # what they say of an error in a training
TOLD = "progress "  # begins a line that tells of progress
WRONG, FAILED = "wrong", "failed"  # or of what a user can mend, or of the end


def line_of(*what: Any) -> str:
    """What is told, as a line."""
    return TOLD + json.dumps(what)


def tell(*what: Any) -> None:
    """Write a line at once: processes that share an output must not break into each other's."""
    sys.stdout.write(line_of(*what) + "\n")
    sys.stdout.flush()


class Told(Silent):
    """Tells of progress on the standard output, for a `Listener` in the process that started this one."""

    def stage(self, name: str, total: int) -> None:
        """A new stage."""
        tell("stage", name, total)

    def advance(self, amount: int = 1) -> None:
        """Units done."""
        tell("advance", amount)

    def say(self, text: str) -> None:
        """A line worth keeping."""
        tell("say", text)


class Listener:
    """Passes on the progress that other processes print, and keeps what was wrong.

    `failed` is whether one has come to a bad end, `wrong` what it said of it, if it was something that a user can mend.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.failed = False
        self.wrong = self._error = self._last = ""

    def hear(self, line: str) -> None:
        """A line of what they print."""
        if not line.startswith(TOLD):
            self._last = line or self._last
            self._error = line if "Error:" in line and not line.startswith(OF_LAUNCHERS) else self._error
            return
        what, *how = json.loads(line.removeprefix(TOLD))
        if what == FAILED:
            self.failed = True
        elif what == WRONG:
            self.wrong = how[0]
        else:
            getattr(self.progress, what)(*how)

    @property
    def reason(self) -> str:
        """What one of them said was wrong, or else its last line with an error, or else its last line."""
        return self.wrong or self._error or self._last
