"""What search asks of a process preference model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rstar_mini.types import Problem, Step


class Scorer(Protocol):
    """Scores steps in [-1, 1], read at the last token of each step (section 3.3)."""

    def score(self, siblings: Sequence[tuple[Problem, tuple[Step, ...], Sequence[Step]]]) -> list[list[float]]:
        """For each (problem, prefix, candidate next steps): one score for each candidate."""
        ...


class Reads(Protocol):
    """What counts the tokens that a model has read."""

    forwarded: int


class Judge(Scorer, Protocol):
    """A scorer whose reading is counted, so that systems can be compared at equal tokens."""

    @property
    def cache(self) -> Reads:
        """Counts what was read."""
        ...
