"""Chains of events: a theme says how a story begins, what may happen next, and what is asked; `tell` draws one of a level.

The story follows one quantity. A move changes it ("buys 5 more"), passes to another person's ("Ben has 5 fewer than
Mia"), or ends the story with a question of its own ("How many more does Ben need?").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rstar_mini.problems.story import Clause, DeadEndError, Story, clause

Numbers = tuple[int, ...]
MAX_VALUE = 300  # three digits at most, and few of them


@dataclass(frozen=True, slots=True)
class Op:
    """The computing steps of a move and the numbers it may use.

    `steps` holds (comment, variable names to try, expression) with the slots `v` (the quantity now), `p` (the quantity of
    the person before), `n`, `m`, `k` (drawn numbers) and `r` (the result of the move's step before). `numbers` lists the
    draws that keep the quantity whole and positive.
    """

    steps: tuple[tuple[str, str, str], ...]
    numbers: Callable[[int], Sequence[Numbers]]
    person: str = "same"  # "same", "new": pass to a person not met yet, "pair": needs the person before as well


@dataclass(frozen=True, slots=True)
class Move:
    """An operation and how it is told. `asks` is the question of a move that ends the story; `unit` renames what is counted."""

    op: Op
    says: Clause | None = None
    asks: Clause | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Theme:
    """All that a family of chained problems needs. `must_end` wants an ending move, `unit` is what is counted, the objects if None."""

    starts: tuple[Move, ...]
    moves: tuple[Move, ...]
    asks: Clause | None
    unit: str | None = None
    aside: Clause | None = None
    low: int = 2
    high: int = MAX_VALUE


def _one(comment: str, names: str, expression: str, numbers: Callable[[int], Sequence[Numbers]], person: str = "same") -> Op:
    return Op(((comment, names, expression),), numbers, person)


def _up(v: int) -> Sequence[Numbers]:
    return [(n,) for n in range(2, 31)]


def _down(v: int) -> Sequence[Numbers]:
    return [(n,) for n in range(2, min(v - 1, 41))]


def _factor(v: int) -> Sequence[Numbers]:
    return [(n,) for n in range(2, 6) if v * n <= MAX_VALUE]


def _divisor(v: int) -> Sequence[Numbers]:
    return [(n,) for n in range(2, 11) if v % n == 0 and v > n]


def _even(v: int) -> Sequence[Numbers]:
    return [(2,)] if v % 2 == 0 and v > 2 else []


def _above(v: int) -> Sequence[Numbers]:
    return [(n,) for n in range(v + 2, v + 41)]


def _nothing(v: int) -> Sequence[Numbers]:
    return [()]


def _batch(v: int) -> Sequence[Numbers]:
    return [(n, m) for n in range(2, 10) for m in range(2, 13) if n != m]


def _batch_below(v: int) -> Sequence[Numbers]:
    return [(n, m) for n, m in _batch(v) if n * m < v]


def plain(low: int, high: int, step: int = 1) -> Op:
    """A start that gives the quantity outright."""
    return Op((), lambda v: [(n,) for n in range(low, high + 1, step)])


def start(comment: str, names: str, expression: str, numbers: Callable[[int], Sequence[Numbers]]) -> Op:
    """A start of one step; `numbers` ignores its argument."""
    return _one(comment, names, expression, numbers)


TOTALS, LEFTS, OTHERS = "total sum amount", "left rest remain", "other third fourth fifth"
ADD = _one("Add the new {u}", TOTALS, "{v} + {n}", _up)
SUB = _one("Take away those {u}", LEFTS, "{v} - {n}", _down)
TIMES = _one("Multiply the {u}", "many grown", "{v} * {n}", _factor)
HALF = _one("Take half of the {u}", "half quarter", "{v} // 2", _even)
SPLIT = _one("Share the {u} equally", "each share", "{v} // {n}", _divisor)
MORE = _one("Find the {u} of {B}", OTHERS, "{v} + {n}", _up, "new")
FEWER = _one("Find the {u} of {B}", OTHERS, "{v} - {n}", _down, "new")
TIMES_AS = _one("Find the {u} of {B}", OTHERS, "{v} * {n}", _factor, "new")
PART_AS = _one("Find the {u} of {B}", OTHERS, "{v} // {n}", _divisor, "new")
HALF_AS = _one("Find the {u} of {B}", OTHERS, "{v} // 2", _even, "new")
BOTH = _one("Add both numbers together", "both", "{p} + {v}", _nothing, "pair")
GAP = _one("Find the difference", "gap", "{x} - {y}", _nothing, "pair")
NEED = _one("Find how many are missing", "need", "{n} - {v}", _above)
ADD_BATCH = Op((("Count the new {u}", "new extra", "{n} * {m}"), ("Add the new {u}", TOTALS, "{v} + {r}")), _batch)
SUB_BATCH = Op((("Count the {u} that go", "gone lost", "{n} * {m}"), ("Take away those {u}", LEFTS, "{v} - {r}")), _batch_below)

ASIDE = clause("""
    {D} is {n} years old.
    {D} lives {n} miles away.
    The house of {D} has {n} windows.
    The birthday of {D} is in {n} days.
    There are {n} children in the class of {D}.
    ~ In {n} days it is the birthday of {D}.
    ~ In the house of {D} there are {n} windows.
""")


class _Teller:
    """Draws moves until the story has its number of steps."""

    def __init__(self, story: Story, theme: Theme, level: int) -> None:
        self.story, self.theme, self.level = story, theme, level
        self.now = self.before = ""
        self.used: list[Move] = []
        story.slots["u"] = theme.unit or story.slots["o"]

    @property
    def room(self) -> int:
        return self.level - len(self.story.steps)

    def tell(self) -> None:
        fitting = [move for move in self.theme.starts if self._fits(move)]
        self._play(self.story.rng.choice(fitting))
        while self.room:
            self._play(self._choose())
        if not (self.used[-1].asks or self.theme.asks):
            raise DeadEndError
        self._ask(self.used[-1].asks or self.theme.asks)

    def _fits(self, move: Move) -> bool:
        after = self.room - len(move.op.steps)
        return after == 0 if move.asks else after >= (0 if self.theme.asks else 1)

    def _choose(self) -> Move:
        options = [move for move in self.theme.moves if self._fits(move) and self._allowed(move)]
        fresh = [move for move in options if move not in self.used] or options
        ends = [move for move in fresh if move.asks]
        if ends and self.story.rng.random() < 0.5:
            fresh = ends
        if not fresh:
            raise DeadEndError
        return self.story.rng.choice(fresh)

    def _allowed(self, move: Move) -> bool:
        if move.unit and move.unit == self.story.slots["o"]:
            return False
        if move.op.person == "pair" and not self.before:
            return False
        return not (move.op is GAP and self.used[-1].op in (MORE, FEWER)) and bool(self._numbers(move))

    def _numbers(self, move: Move) -> Sequence[Numbers]:
        return move.op.numbers(int(self.story.value(self.now)) if self.now else 0)

    def _play(self, move: Move) -> None:
        story, op = self.story, move.op
        numbers = story.rng.choice(self._numbers(move))
        drawn = dict(zip("nmk", map(str, numbers), strict=False))
        drawn["times"] = "twice" if drawn.get("n") == "2" else f"{drawn.get('n')} times"
        story.slots |= drawn
        if op.person == "new":
            if not story.people:
                raise DeadEndError
            story.slots["B"] = story.people.pop()
        if move.says:
            story.say(move.says)
        self._compute(op)
        self.used.append(move)
        if move.unit:
            story.slots["o"] = story.slots["u"] = move.unit

    def _compute(self, op: Op) -> None:
        story, now = self.story, self.now
        result = now or story.slots["n"]
        values = {"v": now, "p": self.before}
        if op.person == "pair":
            ahead = story.value(now) > story.value(self.before)
            values |= {"x": now, "y": self.before} if ahead else {"x": self.before, "y": now}
            names = (story.slots["A"], story.slots["P"])
            story.slots["X"], story.slots["Y"] = names if ahead else names[::-1]
        for comment, names_to_try, expression in op.steps:
            result = story.step(comment, names_to_try, expression.format_map(story.slots | values | {"r": result}))
        self._check(result)
        if op.person == "new":
            self.before = now
            story.slots |= {"P": story.slots["A"], "A": story.slots["B"]}
        elif op.person == "pair":
            self.before = ""
        self.now = result

    def _check(self, result: str) -> None:
        if not self.theme.low <= self.story.value(result) <= self.theme.high:
            raise DeadEndError

    def _ask(self, asks: Clause | None) -> None:
        if self.level >= 2 and self.story.rng.random() < 0.3:
            self._wander()
        if asks:
            self.story.say(asks)

    def _wander(self) -> None:
        story = self.story
        aside = self.theme.aside if self.theme.aside and story.rng.random() < 0.5 else ASIDE
        story.say(aside, n=story.rng.randint(2, 40))
        story.sentences.insert(story.rng.randrange(len(story.sentences)), story.sentences.pop())


def tell(story: Story, theme: Theme, level: int) -> None:
    """Tell a story of `level` computing steps.

    Raises:
        DeadEndError: the numbers drawn leave no way on.
    """
    _Teller(story, theme, level).tell()
