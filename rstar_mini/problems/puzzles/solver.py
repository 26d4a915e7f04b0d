"""Exact values by enumeration: which states can still be won, and with which answers.

They make sure that a puzzle has one answer, and measure how good policies and judges are. No model learns from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from random import Random

from rstar_mini.problems.puzzles.puzzle import Decision, Family, State


class Solver:
    """All plays of one family. What was found is remembered until `forget`."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.decisions = cache(family.decisions)
        self._records = cache(self._winning_records)

    def forget(self) -> None:
        """Free the memory: no two puzzles share much."""
        self.decisions.cache_clear()
        self._records.cache_clear()

    def winnable(self, state: State) -> bool:
        """Whether some legal play from here reaches the goal. The record has no part in it."""
        return bool(self._records(_bare(state)))

    def answers(self, start: State) -> frozenset[int]:
        """The records of all winning plays: a puzzle has one answer when there is one."""
        return self._records(_bare(start))

    def ends(self, state: State) -> Iterator[State]:
        """The state at the end of each legal play that goes to its end."""
        if not state.left:
            yield state
        for decision in self.family.decisions(state) if state.left else []:
            yield from self.ends(decision.after)

    def luck(self, state: State, answer: int) -> float:
        """The probability that uniform random legal play ends with the answer, be it at the goal or elsewhere."""
        if not state.left:
            return float(state.record == answer)
        options = self.decisions(state)
        return sum(self.luck(decision.after, answer) for decision in options) / len(options) if options else 0.0

    def lucky_share(self, start: State, answer: int) -> float:
        """Of random legal plays that end elsewhere than at the goal, or stop early, the share with the answer."""
        lost, lucky = self._lost(start, answer)
        return lucky / lost if lost else 0.0

    def play(self, state: State, rng: Random, winning: bool) -> list[Decision]:
        """A random legal play, among winning decisions alone if so asked; it may stop where no decision is legal."""
        play: list[Decision] = []
        while state.left:
            options = [decision for decision in self.decisions(state) if not winning or self.winnable(decision.after)]
            if not options:
                break
            play.append(rng.choice(options))
            state = play[-1].after
        return play

    def _winning_records(self, state: State) -> frozenset[int]:
        """What the winning plays from here add to the record."""
        if not state.left:
            return frozenset([0] if state.won else [])
        after = [decision.after for decision in self.decisions(state)]
        return frozenset(end.record + more for end in after for more in self._records(_bare(end)))

    def _lost(self, state: State, answer: int) -> tuple[float, float]:
        """Probabilities that random play is lost, and that it is lost with the right answer."""
        options = self.decisions(state) if state.left else []
        if not options:
            lost = float(not state.won)
            return lost, lost * (not state.left and state.record == answer)
        below = [self._lost(decision.after, answer) for decision in options]
        return sum(lost for lost, _ in below) / len(options), sum(lucky for _, lucky in below) / len(options)


def _bare(state: State) -> State:
    """Without the record, which decides no win, so that equal states are looked at once."""
    return State(state.now, state.goal, state.left, state.numbers)
