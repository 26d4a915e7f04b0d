"""Puzzles that need search: every legal play runs without an error, and few plays reach the goal.

A play is a row of decisions. It wins when the last state stands at its goal. The question asks for a record of the
play, such as the sum of the numbers on the way, so that the goal does not give the answer away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from rstar_mini.code_cot import CODE, END_CODE, END_STEP, answer_step, output_block, shown
from rstar_mini.problems.story import Clause


@dataclass(frozen=True, slots=True)
class State:
    """Where a play stands.

    `numbers` are those that the next decisions may use. `record` is what the question asks for at the end.
    """

    now: int
    goal: int
    left: int  # decisions
    numbers: tuple[int, ...]
    record: int = 0

    @property
    def won(self) -> bool:
        """Whether the play has ended at its goal."""
        return not self.left and self.now == self.goal

    def __str__(self) -> str:
        """What the interpreter prints after each step: all that decides whether the goal can still be reached."""
        return " ".join(map(str, (*self.numbers, self.now, self.goal, self.left)))


@dataclass(frozen=True, slots=True)
class Puzzle:
    """A puzzle without its words. Two puzzles of one key are the same one, however they are told."""

    family: str
    start: State

    @property
    def key(self) -> tuple[str | int, ...]:
        """What training and test are kept apart by: family, decisions, number at the start, goal, numbers."""
        return (self.family, self.start.left, self.start.now, self.start.goal, *self.start.numbers)

    @classmethod
    def from_key(cls, key: Sequence[Any]) -> Puzzle:
        """The puzzle of a key."""
        family, left, now, goal, *numbers = key
        return cls(family, State(now, goal, left, tuple(numbers)))


@dataclass(frozen=True, slots=True)
class Decision:
    """One legal decision: what the step's comment says, its code, and the state after it."""

    comment: str
    code: str
    after: State


class Family(Protocol):
    """A kind of puzzle: its rules, its words and its code."""

    @property
    def name(self) -> str:
        """The family's name in files and recipes."""
        ...

    @property
    def told(self) -> Sequence[Clause]:
        """The sentences of the question. Slots: `A` (a name), `now`, `goal`, `left`, `numbers`, the family's own."""
        ...

    def start(self, count: int, rng: Random) -> State:
        """A start at random; its goal is set later, to where some play ends."""
        ...

    def decisions(self, state: State) -> list[Decision]:
        """The legal decisions in a state with decisions left."""
        ...

    def slots(self, start: State) -> dict[str, object]:
        """What this family's phrasings name besides."""
        ...

    def setup(self, start: State) -> str:
        """The code of the first step: the numbers, and the function that makes a move and prints the state.

        No step compares anything with the goal, else the sandbox would be the judge.
        """
        ...


SETUP = "Write down the numbers and what a move does"
RESULT = "total"  # the variable that holds the record, in all families


def write_play(family: Family, start: State, play: Sequence[Decision]) -> str:
    """A play as a trajectory, with what the interpreter shows after each step."""
    record = str(play[-1].after.record)
    steps = [(SETUP, family.setup(start), start), *((move.comment, move.code, move.after) for move in play)]
    code = "\n".join(f"# {comment}\n{line}\n{END_STEP}{shown(str(state))}" for comment, line, state in steps)
    end = f"# Now print the final answer\nprint({RESULT})\n{END_CODE}{output_block(record)}"
    return f"{CODE}\n{code}\n{end}{answer_step(record)}"


def listed(numbers: Sequence[int]) -> str:
    """Numbers in a sentence: "7, 2 and 9"."""
    return " and ".join(filter(None, [", ".join(map(str, numbers[:-1])), str(numbers[-1])]))
