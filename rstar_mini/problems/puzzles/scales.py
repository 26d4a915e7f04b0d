"""Scales: each weight goes to the left, to the right or stays off, and in the end the pans balance."""

from __future__ import annotations

from random import Random

from rstar_mini.problems.puzzles.puzzle import Decision, State
from rstar_mini.problems.story import clause


class Scales:
    """`now` is what lies on the left, `goal` what lies on the right. The sum of what lies on the left is asked for."""

    name = "scales"
    told = (
        clause("""
            On the scales of {A} lie {now} grams on the left and {goal} grams on the right.
            {A} has {now} grams on the left of the scales and {goal} grams on the right.
            ~ On the left of the scales of {A} lie {now} grams, on the right {goal} grams.
        """),
        clause("""
            There are {left} weights of {numbers} grams, used in this order.
            {A} uses {left} weights of {numbers} grams in this order.
            ~ In this order {A} uses {left} weights: {numbers} grams.
        """),
        clause("""
            Each goes to the left, to the right or stays off, and in the end both sides are equal.
            Each weight is put on the left, on the right or stays off. In the end both sides are equal.
            ~ In the end both sides are equal, and each weight is on the left, on the right or off.
        """),
        clause("""
            After each weight {A} says how much is on the left. What is the sum of these numbers?
            {A} writes down how much is on the left after each weight. What do these numbers add up to?
            ~ How much is on the left {A} says after each weight. What is the sum of the numbers?
        """),
    )

    def start(self, count: int, rng: Random) -> State:
        """Something on the left, nothing yet on the right, and different weights from heavy to light."""
        return State(rng.randint(1, 20), 0, count, tuple(sorted(rng.sample(range(1, 26), count), reverse=True)))

    def decisions(self, state: State) -> list[Decision]:
        """Left, right or off."""
        weight, rest = state.numbers[0], state.numbers[1:]
        return [
            Decision(comment, f"put({arguments})", State(left, right, state.left - 1, rest, state.record + left))
            for comment, arguments, left, right in (
                ("Put it on the left", "weights.pop(0), 0", state.now + weight, state.goal),
                ("Put it on the right", "0, weights.pop(0)", state.now, state.goal + weight),
                ("Leave it off", "0, 0 * weights.pop(0)", state.now, state.goal),
            )
        ]

    def slots(self, start: State) -> dict[str, object]:
        """None besides the common ones."""
        return {}

    def setup(self, start: State) -> str:
        """`put` adds to both sides."""
        return f"""\
now, goal, left, total = {start.now}, {start.goal}, {start.left}, 0
weights = [{", ".join(map(str, start.numbers))}]
def put(on_left, on_right):
    global now, goal, left, total
    now, goal, left, total = now + on_left, goal + on_right, left - 1, total + now + on_left
    print(*weights, now, goal, left)
print(*weights, now, goal, left)"""
