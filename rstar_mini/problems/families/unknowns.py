"""Equations and systems: unknown numbers and prices, solved with sympy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rstar_mini.problems.families.unit_prices import UNIT_PRICES
from rstar_mini.problems.moves import (
    ADD,
    BOTH,
    FEWER,
    GAP,
    HALF,
    HALF_AS,
    MORE,
    NEED,
    PART_AS,
    SUB,
    TIMES,
    TIMES_AS,
    Move,
    Numbers,
    Op,
    Theme,
    fixed,
)
from rstar_mini.problems.story import clause

ONE_UNKNOWN = ("Name the unknown", 'from sympy import solve, symbols\nx = symbols("x")')
TWO_UNKNOWNS = ("Name the two unknowns", 'from sympy import solve, symbols\nx, y = symbols("x y")')

TIMES_PLUS = clause("""
    {A} thinks of a number. {n} times the number plus {m} is {k}.
    {A} has a number. It is first taken {n} times, then {m} is added. This makes {k}.
    If {m} is added to {n} times the number of {A}, this makes {k}.
    {n} times the number of {A} is {m} less than {k}.
    ~ {k} is {m} more than {n} times the number of {A}.
""")
TIMES_MINUS = clause("""
    {A} thinks of a number. {n} times the number minus {m} is {k}.
    {A} has a number. It is first taken {n} times, then {m} is taken away. This makes {k}.
    If {m} is taken away from {n} times the number of {A}, this makes {k}.
    {n} times the number of {A} is {m} more than {k}.
    ~ {k} is {m} less than {n} times the number of {A}.
""")
PLUS_TIMES = clause("""
    {A} thinks of a number. First {m} is added to it. {n} times this sum is {k}.
    {A} has a number. {m} is added first, then it is taken {n} times. This makes {k}.
    {n} times the sum of {m} and the number of {A} is {k}.
    If {m} is first added to the number of {A}, then {n} times the sum is {k}.
    ~ {k} is {n} times the sum of {m} and the number of {A}.
""")
COST_PLUS = clause("""
    {n} {o} and a bag for ${m} cost ${k} in all. {A} buys one {s}.
    {A} buys one {s}. {n} {o} and a book for ${m} cost ${k} together.
    {C} pays ${k} for {n} {o} and a bag for ${m}. {A} buys one {s}.
    For ${k} the shop sells {n} {o} and a bag. The bag costs ${m}. {A} buys one {s}.
    ~ {A} buys one {s}. With a bag for ${m}, the price of {n} {o} is ${k}.
""")
SUM_AND_MORE = clause("""
    The sum of the numbers of {A} and {C} is {n}. The number of {A} is {m} more than the number of {C}.
    {A} and {C} have numbers with a sum of {n}. The number of {C} is {m} less than the number of {A}.
    The number of {C} is {m} less than the number of {A}. Together the numbers make {n}.
    Together the numbers of {A} and {C} make {n}. The number of {A} is larger by {m}.
    ~ By {m} the number of {A} is larger than the number of {C}. The sum of the numbers is {n}.
""")
SUM_AND_LESS = clause("""
    The sum of the numbers of {A} and {C} is {n}. The number of {A} is {m} less than the number of {C}.
    {A} and {C} have numbers with a sum of {n}. The number of {C} is {m} more than the number of {A}.
    The number of {C} is {m} more than the number of {A}. Together the numbers make {n}.
    Together the numbers of {A} and {C} make {n}. The number of {A} is smaller by {m}.
    ~ By {m} the number of {A} is smaller than the number of {C}. The sum of the numbers is {n}.
""")
SUM_AND_TIMES = clause("""
    The sum of the numbers of {A} and {C} is {n}. The number of {A} is {m} times the number of {C}.
    {A} and {C} have numbers with a sum of {n}. The number of {A} is {m} times as large.
    The number of {A} is {m} times the number of {C}. Together the numbers make {n}.
    Together the numbers of {A} and {C} make {n}. The number of {A} is {m} times as large.
    ~ {m} times the number of {C} is the number of {A}. The sum of the numbers is {n}.
""")
TWO_PRICES = clause("""
    {n} {o} and {m} {o2} cost ${k} in all. One {s} and one {s2} cost ${j}. {A} buys one {s}.
    {A} buys one {s}. {n} {o} and {m} {o2} cost ${k} together. A {s} and a {s2} cost ${j}.
    A {s} and a {s2} cost ${j} together. {C} pays ${k} for {n} {o} and {m} {o2}. {A} buys one {s}.
    For ${k} the shop sells {n} {o} and {m} {o2}. One of each costs ${j}. {A} buys one {s}.
    ~ One of each costs ${j}, and the price of {n} {o} and {m} {o2} is ${k}. {A} buys one {s}.
""")
NUMBER_ADD = clause("""
    Then {A} adds {n} to the number.
    {A} makes the number larger by {n}.
    {C} adds {n} to the number of {A}.
    The number of {A} then grows by {n}.
    ~ By {n} {A} makes the number larger.
""")
NUMBER_SUB = clause("""
    Then {A} takes {n} away from the number.
    {A} makes the number smaller by {n}.
    {C} takes {n} from the number of {A}.
    The number of {A} then goes down by {n}.
    ~ By {n} {A} makes the number smaller.
""")
NUMBER_TIMES = clause("""
    Then {A} takes the number {times}.
    {A} makes the number {times} as large.
    {C} makes the number of {A} {times} as large.
    The number of {A} grows to {times} as much.
    ~ {times} as large {A} then makes the number.
""")
NUMBER_HALF = clause("""
    Then {A} takes half of the number.
    {A} makes the number half as large.
    {C} makes the number of {A} half as large.
    The number of {A} goes down to one half.
    ~ Half as large {A} then makes the number.
""")
NUMBER_MORE = clause("""
    The number of {B} is {n} more than the number of {A}.
    The number of {A} is {n} less than the number of {B}.
    {B} has a number that is {n} more than that of {A}.
    The number of {B} is larger than the number of {A} by {n}.
    ~ Than the number of {A}, the number of {B} is {n} more.
""")
NUMBER_LESS = clause("""
    The number of {B} is {n} less than the number of {A}.
    The number of {A} is {n} more than the number of {B}.
    {B} has a number that is {n} less than that of {A}.
    The number of {B} is smaller than the number of {A} by {n}.
    ~ Than the number of {A}, the number of {B} is {n} less.
""")
NUMBER_TIMES_AS = clause("""
    The number of {B} is {times} the number of {A}.
    The number of {B} is {times} as large as the number of {A}.
    {B} has a number {times} as large as that of {A}.
    {times} the number of {A} makes the number of {B}.
    ~ The number of {A} taken {times} makes the number of {B}.
""")
NUMBER_PART_AS = clause("""
    The number of {A} is {times} the number of {B}.
    The number of {A} is {times} as large as the number of {B}.
    {A} has a number {times} as large as that of {B}.
    {times} the number of {B} makes the number of {A}.
    ~ The number of {B} taken {times} makes the number of {A}.
""")
NUMBER_HALF_AS = clause("""
    The number of {B} is half the number of {A}.
    The number of {B} is half as large as the number of {A}.
    {B} has a number half as large as that of {A}.
    Half of the number of {A} makes the number of {B}.
    ~ The number of {B} is what half of the number of {A} makes.
""")
ASK_NUMBER = clause("""
    What is the number of {A} now?
    Find the number of {A} in the end.
    What number does {A} have in the end?
    How large is the number of {A} now?
    ~ In the end, what is the number of {A}?
    ~ Now how large is the number that {A} has?
""")
ASK_SUM = clause("""
    What is the sum of the numbers of {A} and {P}?
    Find the sum of the numbers of {P} and {A}.
    What do the numbers of {A} and {P} make together?
    How large are the numbers of {P} and {A} together?
    ~ Together, what do the numbers of {P} and {A} make?
""")
ASK_NUMBER_GAP = clause("""
    By how much is the number of {X} larger than the number of {Y}?
    How much smaller is the number of {Y} than the number of {X}?
    Find how much the number of {X} is ahead of the number of {Y}.
    How much less than the number of {X} is the number of {Y}?
    ~ Than the number of {Y}, how much larger is the number of {X}?
""")
ASK_MISSING = clause("""
    How much must be added to the number of {A} to make {n}?
    The number of {A} needs to be {n}. How much is missing?
    How much is the number of {A} short of {n}?
    Find how much less than {n} the number of {A} is.
    ~ To make {n}, how much must be added to the number of {A}?
""")
ASIDE_NUMBER = clause("""
    {D} thinks of the number {n}.
    The number of {D} is {n}.
    {D} has the number {n}.
    {D} adds {n} to a number.
    ~ To a number {D} adds {n}.
""")


def _solve(setup: tuple[str, str], expression: str, numbers: Sequence[Numbers]) -> Op:
    """A start that solves for x, which is the last entry of each tuple of numbers."""
    return Op("answer", expression, fixed(numbers), setup=setup)


_X = range(3, 31)
LINEAR_PLUS = [(n, m, n * x + m, x) for n in range(2, 8) for m in range(2, 21) for x in _X if n * x + m < 130]
LINEAR_MINUS = [(n, m, n * x - m, x) for n in range(2, 8) for m in range(2, 21) for x in _X if 1 < n * x - m < 130]
SUM_PRODUCT = [(n, m, n * (x + m), x) for n in range(2, 8) for m in range(2, 16) for x in _X if n * (x + m) < 130]
PLUS = _solve(ONE_UNKNOWN, "solve({n} * x + {m} - {k})[0]", LINEAR_PLUS)
MINUS = _solve(ONE_UNKNOWN, "solve({n} * x - {m} - {k})[0]", LINEAR_MINUS)
PRODUCT = _solve(ONE_UNKNOWN, "solve({n} * (x + {m}) - {k})[0]", SUM_PRODUCT)
_PAIRS = [(x, y) for x in range(3, 51) for y in range(3, 51) if x != y]
MORE_LESS = _solve(
    TWO_UNKNOWNS, "solve([x + y - {n}, x - y - {m}])[x]", [(x + y, x - y, x) for x, y in _PAIRS if x - y > 1]
)
LESS_MORE = _solve(
    TWO_UNKNOWNS, "solve([x + y - {n}, y - x - {m}])[x]", [(x + y, y - x, x) for x, y in _PAIRS if y - x > 1]
)
SUM_RATIO = _solve(
    TWO_UNKNOWNS,
    "solve([x + y - {n}, x - {m} * y])[x]",
    [(m * y + y, m, m * y) for m in range(2, 8) for y in range(2, 16)],
)
PRICES = _solve(
    TWO_UNKNOWNS,
    "solve([{n} * x + {m} * y - {k}, x + y - {j}])[x]",
    [
        (n, m, n * x + m * y, x + y, x)
        for n in range(2, 6)
        for m in range(2, 6)
        if n != m
        for x in range(2, 16)
        for y in range(2, 16)
        if x != y
    ],
)

NUMBER_MOVES = (
    Move(ADD, NUMBER_ADD),
    Move(SUB, NUMBER_SUB),
    Move(TIMES, NUMBER_TIMES),
    Move(HALF, NUMBER_HALF),
    Move(MORE, NUMBER_MORE),
    Move(FEWER, NUMBER_LESS),
    Move(TIMES_AS, NUMBER_TIMES_AS),
    Move(PART_AS, NUMBER_PART_AS),
    Move(HALF_AS, NUMBER_HALF_AS),
    Move(BOTH, asks=ASK_SUM),
    Move(GAP, asks=ASK_NUMBER_GAP),
    Move(NEED, asks=ASK_MISSING),
)


def _numbers(*starts: Move) -> Theme:
    return Theme(starts, NUMBER_MOVES, ASK_NUMBER, unit="number", aside=ASIDE_NUMBER)


EQUATION = _numbers(Move(PLUS, TIMES_PLUS), Move(MINUS, TIMES_MINUS), Move(PRODUCT, PLUS_TIMES))
SYSTEM = _numbers(Move(MORE_LESS, SUM_AND_MORE), Move(LESS_MORE, SUM_AND_LESS), Move(SUM_RATIO, SUM_AND_TIMES))
EQUATION_PRICES = replace(UNIT_PRICES, starts=(Move(PLUS, COST_PLUS),))
SYSTEM_PRICES = replace(UNIT_PRICES, starts=(Move(PRICES, TWO_PRICES),))
