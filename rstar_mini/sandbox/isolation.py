"""How well a program is kept apart from the machine, and the layers that do it."""

from __future__ import annotations

from enum import StrEnum

LAYERS = "limits,guard,kernel"


class Isolation(StrEnum):
    """From the weakest to the strongest; README.md beside this file says what each promises.

    SPAWN is a process of its own with a wall clock, PROCESS adds the system's limits, KERNEL adds seccomp and
    Landlock. ANY is only ever asked for.
    """

    ANY = "any"
    SPAWN = "spawn"
    PROCESS = "process"
    KERNEL = "kernel"

    def satisfies(self, required: Isolation) -> bool:
        """True when this isolation is at least as strong as `required`."""
        order = list(Isolation)
        return order.index(self) >= order.index(required)
