"""Moves to a target: double, add or take away, exactly so many times."""

from __future__ import annotations

from random import Random

from rstar_mini.problems.puzzles.puzzle import Decision, State
from rstar_mini.problems.story import clause

LARGEST = 99
RULES = (
    clause("""
        {A} goes from {now} to {goal} in exactly {left} moves.
        In exactly {left} moves {A} gets from {now} to {goal}.
        {A} starts at {now} and reaches {goal} after exactly {left} moves.
        ~ Exactly {left} moves take {A} from {now} to {goal}.
    """),
    clause("""
        Each move doubles the number, adds {add} or takes away {take}.
        A move is to double the number, to add {add} or to take away {take}.
        In a move {A} doubles the number, adds {add} or takes away {take}.
        ~ To double the number, to add {add} or to take away {take} is a move.
    """),
    clause("""
        The number stays between 1 and 99.
        It stays between 1 and 99 on the way.
        ~ On the way the number stays between 1 and 99.
    """),
)
ASK_SUM = clause("""
    What is the sum of the numbers after each move?
    What do the numbers after each move add up to?
    {A} adds up the numbers after each move. What is the sum?
    ~ After each move {A} writes down the number. What is the sum of these numbers?
""")
ASK_DOUBLINGS = clause("""
    How many of the moves double the number?
    How often does {A} double the number?
    In how many moves is the number doubled?
    ~ How often is the number doubled?
""")


class NumberMoves:
    """The sum of the numbers on the way is asked for: hardly any wrong play has it."""

    name = "moves"
    told = (*RULES, ASK_SUM)

    def start(self, count: int, rng: Random) -> State:
        """Two different numbers to add and to take away."""
        return State(rng.randint(2, 20), 0, count, tuple(rng.sample(range(2, 13), 2)))

    def decisions(self, state: State) -> list[Decision]:
        """Those that stay between 1 and 99."""
        add, take = state.numbers
        moves = (
            ("Double", "* 2", state.now * 2),
            ("Add", "+ add", state.now + add),
            ("Take away", "- take", state.now - take),
        )
        return [
            Decision(comment, f"move({self.arguments(change)})", self._after(state, to, change))
            for comment, change, to in moves
            if 1 <= to <= LARGEST
        ]

    def arguments(self, change: str) -> str:
        """What the step's code gives to `move`."""
        return f"now {change}"

    def recorded(self, to: int, change: str) -> int:
        """What a move adds to the record."""
        return to

    def slots(self, start: State) -> dict[str, object]:
        """The two numbers by their names."""
        return {"add": start.numbers[0], "take": start.numbers[1]}

    def setup(self, start: State) -> str:
        """`move` goes to a number."""
        return self._setup(start, "to", "to")

    def _setup(self, start: State, parameters: str, recorded: str) -> str:
        add, take = start.numbers
        return f"""\
now, goal, left, total = {start.now}, {start.goal}, {start.left}, 0
add, take = {add}, {take}
def move({parameters}):
    global now, left, total
    now, left, total = to, left - 1, total + {recorded}
    print(add, take, now, goal, left)
print(add, take, now, goal, left)"""

    def _after(self, state: State, to: int, change: str) -> State:
        return State(to, state.goal, state.left - 1, state.numbers, state.record + self.recorded(to, change))


class Doublings(NumberMoves):
    """How often the number is doubled is asked for: many wrong plays have the right answer by luck."""

    name = "doublings"
    told = (*RULES, ASK_DOUBLINGS)

    def arguments(self, change: str) -> str:
        """The number to go to, and 1 for a doubling."""
        return f"now {change}, {int(change == '* 2')}"

    def recorded(self, to: int, change: str) -> int:
        """1 for a doubling."""
        return int(change == "* 2")

    def setup(self, start: State) -> str:
        """`move` also counts the doublings."""
        return self._setup(start, "to, doubled", "doubled")
