"""How long work tells of its progress, without knowing who listens (a terminal, a notebook, or nobody)."""

from __future__ import annotations

from typing import Protocol

from rstar_mini.types import Tree


class Progress(Protocol):
    """A listener to a long piece of work."""

    def stage(self, name: str, total: int) -> None:
        """A new stage of `total` units begins; the one before it is over."""
        ...

    def advance(self, amount: int = 1) -> None:
        """`amount` units of the current stage are done."""
        ...

    def say(self, text: str) -> None:
        """A line worth keeping: a result, a warning."""
        ...

    def solved(self, tree: Tree) -> None:
        """A tree with a right answer; the first one is worth showing."""
        ...


class Silent:
    """Nobody listens."""

    def stage(self, name: str, total: int) -> None:
        """Ignored."""

    def advance(self, amount: int = 1) -> None:
        """Ignored."""

    def say(self, text: str) -> None:
        """Ignored."""

    def solved(self, tree: Tree) -> None:
        """Ignored."""
