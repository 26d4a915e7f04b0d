"""Sharing: full boxes, what is left over, equal shares."""

from __future__ import annotations

from rstar_mini.problems.families.inventory import ASIDE_HAS, BATCHES, CHANGES, COMPARISONS, GETS_ALL, HAS, STARTS
from rstar_mini.problems.moves import BOTH, SPLIT, Move, Numbers, Op, Theme, plain
from rstar_mini.problems.story import clause

ASK_FULL = clause("""
    {A} packs {n} {o} in each box. How many boxes are full?
    {A} puts the {o} into boxes of {n}. Find the number of full boxes.
    How many full boxes of {n} {o} can {A} pack?
    With {n} {o} in each box, how many boxes does {A} fill?
    {A} fills boxes of {n} {o}. How many boxes are full?
    ~ Each box holds {n} {o}. How many full boxes can {A} pack?
""")
ASK_OVER = clause("""
    {A} packs {n} {o} in each box. How many {o} are left over?
    Each box holds {n} {o}. How many {o} of {A} are not in a full box?
    {A} puts the {o} into boxes of {n}. Find the number of {o} left over.
    With {n} {o} in each box, how many {o} of {A} are left over?
    {A} fills boxes of {n} {o}. How many {o} go into no box?
    ~ {n} friends share the {o} of {A} equally. How many {o} are left over?
""")
ASK_EACH = clause("""
    {A} gives the {o} equally to {n} friends. How many {o} does each friend get?
    {n} friends share the {o} of {A} equally. How many {o} are there for each?
    The {o} of {A} go equally to {n} people. How many {o} does each get?
    {n} friends get equal parts of the {o} of {A}. Find the number of {o} for each.
    How many {o} does each of {n} friends get from {A} in equal parts?
    ~ {A} puts the {o} equally into {n} bags. How many {o} are in each bag?
""")
ASK_FILL = clause("""
    {A} packs {n} {o} in each box. How many more {o} does {A} need to fill the last box?
    Each box holds {n} {o}. How many {o} are missing in the last box of {A}?
    {A} puts the {o} into boxes of {n}. Find how many {o} the last box is short of.
    ~ {A} puts {n} {o} into each bag. How many more {o} must {A} get to fill the last bag?
""")
PACKS = clause("""
    {A} packs {n} {o} in each bag.
    {A} puts all the {o} into bags of {n}.
    All the {o} of {A} go into bags with {n} in each.
    {A} makes bags of {n} from all the {o}.
    With {n} {o} in each, {A} fills bags.
    ~ {A} packs the {o}. Each bag holds {n} {o}.
""")


def _uneven(v: int) -> list[Numbers]:
    return [(n,) for n in range(3, 13) if v % n and v > n]


FULL = Op("full", "{v} // {n}", _uneven)
OVER = Op("over", "{v} % {n}", _uneven)
FILL = Op("over", "{v} % {n}", _uneven, then=(("Find how many are missing", "need", "{n} - {r}"),), hard=True)
PACK = Op("bags", "{v} // {n}", lambda v: [(n,) for n in range(2, 13) if v % n == 0 and v > 3 * n])
SHARING = Theme(
    (Move(plain(20, 99), HAS), *STARTS[1:]),
    (
        *CHANGES[:2],
        *BATCHES,
        *COMPARISONS,
        Move(PACK, PACKS, unit="bags"),
        Move(BOTH, GETS_ALL),
        Move(FULL, asks=ASK_FULL),
        Move(OVER, asks=ASK_OVER),
        Move(SPLIT, asks=ASK_EACH),
        Move(FILL, asks=ASK_FILL),
    ),
    None,
    aside=ASIDE_HAS,
    low=1,
)
