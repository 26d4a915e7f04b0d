"""Filling in signs: a plus or a minus before each number, so that the result is the goal."""

from __future__ import annotations

from random import Random

from rstar_mini.problems.puzzles.puzzle import Decision, State
from rstar_mini.problems.story import clause


class Signs:
    """The sum of the results after each sign is asked for."""

    name = "signs"
    told = (
        clause("""
            {A} writes {now} and then the numbers {numbers}.
            After {now} {A} writes the numbers {numbers}.
            {A} starts with {now} and goes on with {numbers}.
            ~ {A} goes on with the numbers {numbers} after {now}.
        """),
        clause("""
            Before each of these {left} numbers stands a plus or a minus, and the result is {goal}.
            A plus or a minus before each of these {left} numbers makes the result {goal}.
            With a plus or a minus before each of these {left} numbers the result is {goal}.
            ~ The result is {goal} with a plus or a minus before each of these {left} numbers.
        """),
        clause("""
            It never falls below 0.
            No result on the way is below 0.
            ~ Below 0 it never falls.
        """),
        clause("""
            What is the sum of the results after each sign?
            What do the results after each sign add up to?
            {A} adds up the results after each sign. What is the sum?
            ~ After each sign {A} writes down the result. What is the sum of these numbers?
        """),
    )

    def start(self, count: int, rng: Random) -> State:
        """A first number, and so many others of one digit."""
        return State(rng.randint(1, 20), 0, count, tuple(rng.randint(1, 9) for _ in range(count)))

    def decisions(self, state: State) -> list[Decision]:
        """The sign of the next number; the result stays at 0 or above."""
        number, rest = state.numbers[0], state.numbers[1:]
        results = (("Plus", "+", state.now + number), ("Minus", "-", state.now - number))
        return [
            Decision(
                comment, f"move(now {sign} row.pop(0))", State(to, state.goal, state.left - 1, rest, state.record + to)
            )
            for comment, sign, to in results
            if to >= 0
        ]

    def slots(self, start: State) -> dict[str, object]:
        """None besides the common ones."""
        return {}

    def setup(self, start: State) -> str:
        """`move` goes to a result."""
        return f"""\
now, goal, left, total = {start.now}, {start.goal}, {start.left}, 0
row = [{", ".join(map(str, start.numbers))}]
def move(to):
    global now, left, total
    now, left, total = to, left - 1, total + to
    print(*row, now, goal, left)
print(*row, now, goal, left)"""
