"""Fractions of a number of objects."""

from __future__ import annotations

from math import gcd

from rstar_mini.problems.families.inventory import (
    ASIDE_HAS,
    ASK_BOTH,
    ASK_GAP,
    ASK_NOW,
    BATCHES,
    CHANGES,
    COMPARISONS,
    HAS,
    STARTS,
)
from rstar_mini.problems.moves import BOTH, GAP, LEFTS, MAX_VALUE, OTHERS, Move, Numbers, Op, Theme, plain
from rstar_mini.problems.story import clause

GIVES_PART = clause("""
    {A} gives {part} of the {o} to {C}.
    Then {A} loses {part} of the {o}.
    {C} gets {part} of the {o} from {A}.
    {A} sells {part} of the {o}.
    ~ From {A} {part} of the {o} go to {C}.
""")
KEEPS_PART = clause("""
    {A} keeps only {part} of the {o}.
    {A} gives away the {o} but keeps {part} of them.
    Only {part} of the {o} are left for {A}.
    {A} keeps {part} of the {o} and sells the rest.
    ~ Of the {o}, {A} keeps {part} and gives away the rest.
""")
HAS_PART_AS = clause("""
    {B} has {part} as many {o} as {A}.
    The number of {o} of {B} is {part} of that of {A}.
    {B} has only {part} of the number of {o} of {A}.
    Now {B} has {part} of what {A} has.
    ~ Only {part} as many {o} as {A} is what {B} has.
""")
IS_PART_OF = clause("""
    {A} has {part} as many {o} as {B}.
    The number of {o} of {A} is {part} of that of {B}.
    {A} has only {part} of the number of {o} of {B}.
    Now {A} has {part} of what {B} has.
    ~ Only {part} as many {o} as {B} is what {A} has.
""")
ASK_RED = clause("""
    Now {part} of the {o} of {A} are red. How many red {o} does {A} have?
    How many red {o} does {A} have if {part} of them are red?
    Find the number of red {o} of {A} if {part} are red.
    Of all the {o} of {A}, {part} are red. How many are red?
    ~ If {part} of the {o} of {A} are red, how many are red?
""")
ASK_NOT_RED = clause("""
    Now {part} of the {o} of {A} are red. How many {o} are not red?
    How many {o} of {A} are not red if {part} of them are red?
    Find the number of {o} of {A} that are not red if {part} are red.
    Of all the {o} of {A}, {part} are red. How many are not red?
    ~ If {part} of the {o} of {A} are red, how many are not red?
""")


def _parts(v: int) -> list[Numbers]:
    return [(n, m) for n in (3, 4, 5) for m in range(2, n) if gcd(n, m) == 1 and v % n == 0 and v > n]


def _one_part(v: int) -> list[Numbers]:
    return [(n, 1) for n in (3, 4, 5) if v % n == 0 and v > n]


ONE, SOME = "{v} // {n}", "{v} // {n} * {m}"
_TAKE = ("Take away that part", LEFTS, "{v} - {r}")
PART_OFF = Op("gone lost", ONE, _one_part, then=(_TAKE,))
PARTS_OFF = Op("gone lost", SOME, _parts, then=(_TAKE,))
PART_KEPT = Op("part piece", ONE, _one_part)
PARTS_KEPT = Op("part piece", SOME, _parts)
PART_OTHER = Op(OTHERS, ONE, _one_part, "new")
PARTS_OTHER = Op(OTHERS, SOME, _parts, "new")
WHOLE = Op(OTHERS, "{v} * {n}", lambda v: [(n, 1) for n in (3, 4, 5) if v * n <= MAX_VALUE], "new")
RED = Op("red", SOME, _parts)
NOT_RED = Op("red", SOME, _parts, then=(("Take away the red part", LEFTS, "{v} - {r}"),))
FRACTIONS = Theme(
    (Move(plain(12, 120, 3), HAS), Move(plain(12, 120, 4), HAS), *STARTS[1:]),
    (
        *CHANGES[:2],
        *BATCHES,
        *COMPARISONS[:2],
        Move(PART_OFF, GIVES_PART),
        Move(PARTS_OFF, GIVES_PART),
        Move(PART_KEPT, KEEPS_PART),
        Move(PARTS_KEPT, KEEPS_PART),
        Move(PART_OTHER, HAS_PART_AS),
        Move(PARTS_OTHER, HAS_PART_AS),
        Move(WHOLE, IS_PART_OF),
        Move(RED, asks=ASK_RED),
        Move(NOT_RED, asks=ASK_NOT_RED),
        Move(BOTH, asks=ASK_BOTH),
        Move(GAP, asks=ASK_GAP),
    ),
    ASK_NOW,
    aside=ASIDE_HAS,
    key=(PART_OFF, PARTS_OFF, PART_KEPT, PARTS_KEPT, PART_OTHER, PARTS_OTHER, WHOLE, RED, NOT_RED),
)
