"""Inventory: objects that people get, give away, share and compare."""

from __future__ import annotations

from rstar_mini.problems.moves import (
    ADD,
    ADD_BATCH,
    BOTH,
    FEWER,
    GAP,
    HALF,
    HALF_AS,
    MORE,
    NEED,
    PART_AS,
    SPLIT,
    SUB,
    SUB_BATCH,
    TIMES,
    TIMES_AS,
    Move,
    Op,
    Theme,
    grid,
    plain,
)
from rstar_mini.problems.story import clause

HAS = clause("""
    {A} has {n} {o}.
    There are {n} {o} in the bag of {A}.
    {A} starts with {n} {o}.
    {A} keeps {n} {o} in a box.
    In the room of {A} there are {n} {o}.
    ~ At first {A} has {n} {o}.
""")
HAS_BOXES = clause("""
    {A} has {n} boxes with {m} {o} in each box.
    {A} has {n} boxes. Each box holds {m} {o}.
    There are {m} {o} in each of the {n} boxes of {A}.
    In each of {n} boxes {A} has {m} {o}.
    {A} fills {n} boxes with {m} {o} each.
    ~ {A} starts with {n} boxes of {m} {o} each.
""")
HAS_COLOURS = clause("""
    {A} has {n} red {o} and {m} blue {o}.
    There are {n} red and {m} blue {o} in the bag of {A}.
    {A} has {n} red {o}. {A} also has {m} blue {o}.
    {A} has {n} red {o} in one box and {m} blue {o} in another.
    In the box of {A} there are {n} red {o} and also {m} blue ones.
    ~ {A} starts with {n} red {o} and also {m} blue {o}.
""")
GETS = clause("""
    {A} buys {n} more {o}.
    Then {A} finds {n} {o}.
    {A} gets {n} {o} from {C}.
    {C} brings {n} {o} to {A}.
    {A} adds {n} {o} from the shop.
    ~ {C} gives {A} {n} {o}.
""")
GIVES = clause("""
    {A} gives {n} {o} to {C}.
    Then {A} loses {n} {o}.
    {C} gets {n} {o} from {A}.
    {A} gives {C} {n} of the {o}.
    {C} takes {n} {o} from {A}.
    {n} of the {o} of {A} are lost.
    ~ {A} sells {n} of the {o}.
""")
GETS_BOXES = clause("""
    {A} buys {n} boxes with {m} {o} in each.
    Then {A} finds {n} boxes. Each holds {m} {o}.
    On each of {n} days {A} gets {m} {o}.
    ~ {C} gives {A} {n} bags of {m} {o} each.
""")
GIVES_EACH = clause("""
    {A} gives {n} friends {m} {o} each.
    Each of {n} friends gets {m} {o} from {A}.
    On each of {n} days {A} loses {m} {o}.
    ~ {A} sells {n} bags with {m} {o} in each.
""")
GROWS = clause("""
    Then {A} gets so many {o} that there are {times} as many.
    The number of {o} that {A} has grows to {times} as many.
    After a week {A} has {times} as many {o}.
    {C} gives so many {o} to {A} that {A} has {times} as many.
    By the next day {A} has {times} the number of {o}.
    ~ Soon {A} has {times} as many {o} as before.
""")
GIVES_HALF = clause("""
    {A} gives half of the {o} to {C}.
    {C} gets half of the {o} from {A}.
    {A} sells one half of the {o}.
    {A} loses one half of all the {o}.
    Half of the {o} of {A} go to {C}.
    ~ Then {A} loses half of the {o}.
""")
SHARES = clause("""
    {A} puts the {o} equally into {n} bags and keeps only one bag.
    {n} people share the {o} of {A} equally, and {A} is one of them.
    The {o} of {A} go equally to {n} people, and one of them is {A}.
    {A} and the others, {n} people in all, share the {o} of {A} equally.
    {A} makes {n} equal parts of the {o} and keeps one of them.
    ~ {A} shares the {o} equally in {n} parts and keeps one part.
""")
HAS_MORE = clause("""
    {B} has {n} more {o} than {A}.
    {B} has {n} {o} more than {A} has.
    {B} has as many {o} as {A} and {n} more.
    There are {n} more {o} in the bag of {B} than in the bag of {A}.
    {B} is {n} {o} ahead of {A}.
    ~ Now {B} has {n} more {o} than {A} has.
""")
HAS_FEWER = clause("""
    {B} has {n} fewer {o} than {A}.
    {B} has {n} {o} fewer than {A} has.
    Now {B} has {n} fewer {o} than {A} has.
    There are {n} fewer {o} in the bag of {B} than in the bag of {A}.
    {B} is {n} {o} behind {A}.
    ~ Now {B} has {n} {o} fewer than {A}.
""")
HAS_TIMES = clause("""
    {B} has {times} as many {o} as {A}.
    Now {B} has {times} the number of {o} that {A} has.
    For each of the {o} of {A}, {B} has {n}.
    In the bag of {B} there are {times} as many {o} as in the bag of {A}.
    {B} has {times} the {o} of {A}.
    ~ {B} has {times} as many {o} as {A} has now.
""")
HAS_PART = clause("""
    {A} has {times} as many {o} as {B}.
    Now {A} has {times} the number of {o} that {B} has.
    For each of the {o} of {B}, {A} has {n}.
    ~ {A} has {times} as many {o} as {B} has now.
""")
HAS_HALF = clause("""
    {B} has half as many {o} as {A}.
    Now {B} has half the number of {o} that {A} has.
    {B} has one half of the number of {o} of {A}.
    In the bag of {B} there are half as many {o} as in the bag of {A}.
    {B} has half the {o} of {A}.
    ~ {B} has only half as many {o} as {A} has now.
""")
GETS_ALL = clause("""
    {P} gives all the {o} of {P} to {A}.
    Then {A} buys all the {o} of {P}.
    {P} loses all {o}, and {A} finds them all.
    ~ {A} gets all the {o} that {P} has.
""")
ASK_NOW = clause("""
    How many {o} does {A} have now?
    Find the number of {o} that {A} has now.
    What is the number of {o} {A} has in the end?
    How many {o} are there in the bag of {A} now?
    Tell how many {o} {A} has.
    ~ How many {o} does {A} have in the end?
""")
ASK_BOTH = clause("""
    How many {o} do {A} and {P} have together?
    Find the number of {o} that {P} and {A} have together.
    What is the number of {o} of {P} and {A} together?
    ~ How many {o} do {P} and {A} have in all?
""")
ASK_GAP = clause("""
    How many more {o} does {X} have than {Y}?
    Find how many {o} more {X} has than {Y}.
    By how many {o} is {X} ahead of {Y}?
    ~ How many fewer {o} does {Y} have than {X}?
""")
ASK_NEED = clause("""
    {A} needs {n} {o}. How many more {o} does {A} need?
    How many {o} is {A} short of {n} {o}?
    {A} wants {n} {o} in all. How many are missing?
    {A} wants to have {n} {o}. Find how many more {A} needs.
    How many {o} must {A} still find to reach {n}?
    ~ How many more {o} must {A} get to have {n} {o}?
""")
ASIDE_HAS = clause("""
    {D} has {n} {o}.
    There are {n} {o} in the bag of {D}.
    {D} has {n} {o2} in a box.
    {D} finds {n} {o}.
    In the bag of {D} there are {n} {o}.
    ~ {D} buys {n} {o}.
""")

COMPARISONS = (
    Move(MORE, HAS_MORE),
    Move(FEWER, HAS_FEWER),
    Move(TIMES_AS, HAS_TIMES),
    Move(PART_AS, HAS_PART),
    Move(HALF_AS, HAS_HALF),
)
CHANGES = (Move(ADD, GETS), Move(SUB, GIVES), Move(TIMES, GROWS), Move(HALF, GIVES_HALF))
BATCHES = (Move(ADD_BATCH, GETS_BOXES), Move(SUB_BATCH, GIVES_EACH))
ENDS = (Move(BOTH, asks=ASK_BOTH), Move(GAP, asks=ASK_GAP), Move(NEED, asks=ASK_NEED))
STARTS = (
    Move(plain(5, 60), HAS),
    Move(Op("all", "{n} * {m}", grid(range(2, 11), range(3, 13))), HAS_BOXES),
    Move(
        Op("all", "{n} + {m}", grid(range(3, 31), range(3, 31))),
        HAS_COLOURS,
    ),
)
INVENTORY = Theme(
    STARTS,
    (*CHANGES, *BATCHES, *COMPARISONS, Move(SPLIT, SHARES), Move(BOTH, GETS_ALL), *ENDS),
    ASK_NOW,
    aside=ASIDE_HAS,
)
