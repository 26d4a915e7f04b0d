"""What can happen in a story: operations on the quantity that it follows, and numbers that keep it whole and positive.

A move changes the quantity ("buys 5 more"), passes to another person's ("Ben has 5 fewer than Mia"), or ends the story
with a question of its own ("How many more does Ben need?"). A theme is a family's choice of moves and phrasings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rstar_mini.problems.story import Clause

Numbers = tuple[int, ...]
Draws = Callable[[int], Sequence[Numbers]]  # the quantity now -> the numbers that a move may use
MAX_VALUE = 300  # three digits at most, and few of them


@dataclass(frozen=True, slots=True)
class Op:
    """The computing steps of a move and the numbers it may use.

    `names` are variable names to try and `expression` what the first step computes, with the slots `v` (the quantity
    now), `p` (that of the person before), `x` and `y` (the larger and the smaller of the two) and `n`, `m`, `k`, `j`
    (drawn numbers); without names the move computes nothing. The first step's comment quotes what the move told. The
    steps `then` (comment, names, expression) follow; `r` is the result of the step before. `person` is "same", "new"
    to pass to a person not met yet, or "pair" to need the person before as well. `setup` is a step (comment, code) that
    goes before the computing ones; the result is then the last of the drawn numbers. `hard` ones are kept for stories
    of level 4 and 5.
    """

    names: str
    expression: str
    numbers: Draws
    person: str = "same"
    then: tuple[tuple[str, str, str], ...] = ()
    setup: tuple[str, str] | None = None
    hard: bool = False

    @property
    def steps(self) -> tuple[tuple[str, str, str], ...]:
        """All computing steps as (comment, names, expression); the first still waits for its quotation."""
        return (("", self.names, self.expression), *self.then) if self.names else ()


@dataclass(frozen=True, slots=True)
class Move:
    """An operation and how it is told; `asks` is the question of a move that ends the story, `unit` renames objects."""

    op: Op
    says: Clause | None = None
    asks: Clause | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Theme:
    """All that a family of chained problems needs.

    Without `asks`, a move with its own question must end the story. `unit` names what is counted in comments (the
    objects if None), `aside` is a sentence with a number that does not matter, `low` and `high` bound every quantity.
    `key` are the operations that the family is about: each story has at least one of them.
    """

    starts: tuple[Move, ...]
    moves: tuple[Move, ...]
    asks: Clause | None
    unit: str | None = None
    aside: Clause | None = None
    key: tuple[Op, ...] = ()
    low: int = 2
    high: int = MAX_VALUE


def fixed(numbers: Sequence[Numbers]) -> Draws:
    """The same draws whatever the quantity, as for a start."""
    return lambda v: numbers


def span(low: int, high: int, step: int = 1) -> Draws:
    """One number from `low` to `high`."""
    return fixed([(n,) for n in range(low, high + 1, step)])


def grid(first: range, second: range) -> Draws:
    """Two different numbers."""
    return fixed([(n, m) for n in first for m in second if n != m])


def plain(low: int, high: int, step: int = 1) -> Op:
    """A start that gives the quantity outright."""
    return Op("", "", span(low, high, step))


def down(v: int) -> Sequence[Numbers]:
    """Numbers to take away from `v`."""
    return [(n,) for n in range(2, min(v - 1, 41))]


def factor(v: int) -> Sequence[Numbers]:
    """Numbers to multiply `v` by."""
    return [(n,) for n in range(2, 7) if v * n <= MAX_VALUE]


def divisor(v: int) -> Sequence[Numbers]:
    """Numbers that divide `v` and leave more than one each."""
    return [(n,) for n in range(2, 11) if v % n == 0 and v > n]


def even(v: int) -> Sequence[Numbers]:
    """The number two, when it divides `v`."""
    return [(2,)] if v % 2 == 0 and v > 2 else []


def above(v: int) -> Sequence[Numbers]:
    """Numbers to reach from `v`."""
    return [(n,) for n in range(v + 2, v + 41)]


def batch_below(v: int) -> Sequence[Numbers]:
    """Two numbers whose product can be taken away from `v`."""
    return [(n, m) for n in range(2, 10) for m in range(2, 13) if n != m and n * m < v]


TOTALS, LEFTS, OTHERS = "total sum amount", "left rest remain", "other third fourth fifth"
ADD = Op(TOTALS, "{v} + {n}", span(2, 30))
SUB = Op(LEFTS, "{v} - {n}", down)
TIMES = Op("many grown", "{v} * {n}", factor)
HALF = Op("half quarter", "{v} // 2", even)
SPLIT = Op("each share", "{v} // {n}", divisor)
MORE = Op(OTHERS, "{v} + {n}", span(2, 30), "new")
FEWER = Op(OTHERS, "{v} - {n}", down, "new")
TIMES_AS = Op(OTHERS, "{v} * {n}", factor, "new")
PART_AS = Op(OTHERS, "{v} // {n}", divisor, "new", hard=True)
HALF_AS = Op(OTHERS, "{v} // 2", even, "new")
BOTH = Op("both", "{p} + {v}", fixed([()]), "pair", hard=True)
GAP = Op("gap", "{x} - {y}", fixed([()]), "pair", hard=True)
NEED = Op("need", "{n} - {v}", above)
ADD_BATCH = Op(
    "new extra",
    "{n} * {m}",
    grid(range(2, 10), range(2, 13)),
    then=(("Add the new {u}", TOTALS, "{v} + {r}"),),
    hard=True,
)
SUB_BATCH = Op("gone lost", "{n} * {m}", batch_below, then=(("Take away the lost {u}", LEFTS, "{v} - {r}"),), hard=True)
