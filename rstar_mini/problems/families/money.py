"""Money: earning, spending and comparing dollars."""

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
    {A} has ${n}.
    At first {A} has ${n} in the bag.
    {A} starts with ${n}.
    There are ${n} in the bag of {A}.
    So far {A} has ${n}.
    ~ {A} has ${n} to spend.
""")
WORKS = clause("""
    {A} works {n} hours and earns ${m} an hour.
    {A} earns ${m} for each hour of work and works {n} hours.
    {A} saves ${m} a week for {n} weeks.
    {A} works for {n} hours at ${m} an hour.
    Each week {A} saves ${m}. {A} does this for {n} weeks.
    ~ For {n} hours of work {A} gets ${m} an hour.
""")
EARNS = clause("""
    {A} earns ${n} more.
    Then {A} finds ${n}.
    {A} gets ${n} from {C}.
    {A} sells a book for ${n}.
    {C} pays ${n} to {A}.
    ~ {C} gives {A} ${n}.
""")
SPENDS = clause("""
    {A} spends ${n}.
    {A} gives ${n} to {C}.
    Then {A} buys {o2} for ${n}.
    {C} gets ${n} from {A}.
    {A} pays ${n} for {o2}.
    {C} takes ${n} from {A}.
    ~ {A} loses ${n}.
""")
BUYS = clause("""
    {A} buys {n} {o2} for ${m} each.
    Each {s2} costs ${m}, and {A} buys {n} {o2}.
    Then {A} spends ${m} on each of {n} {o2}.
    ~ {A} gives {n} friends ${m} each.
""")
SELLS = clause("""
    {A} sells {n} {o2} for ${m} each.
    Then {A} earns ${m} an hour for {n} hours.
    Each of {n} friends gives ${m} to {A}.
    ~ {C} buys {n} {o2} from {A} for ${m} each.
""")
SPENDS_HALF = clause("""
    {A} spends half of the money.
    Then {A} loses one half of the money.
    {C} gets half of the money of {A}.
    Half of the money of {A} goes to {C}.
    {A} pays half of the money for {o2}.
    ~ {A} gives half of the money to {C}.
""")
GROWS = clause("""
    Soon {A} has {times} as much money.
    The money of {A} grows to {times} as much.
    Then {A} earns so much that there is {times} as much money.
    By the next day {A} has {times} the money.
    {C} gives so much to {A} that {A} has {times} as much.
    ~ After a week {A} has {times} as much money as before.
""")
HAS_MORE = clause("""
    {B} has ${n} more than {A}.
    {B} has more money than {A} by ${n}.
    Now {B} has ${n} more than {A} has.
    There are ${n} more in the bag of {B} than in the bag of {A}.
    {B} is ${n} ahead of {A}.
    ~ {B} has more than {A} by ${n}.
""")
HAS_LESS = clause("""
    {B} has ${n} less than {A}.
    {B} has less money than {A} by ${n}.
    Now {B} has ${n} less than {A} has.
    There are ${n} less in the bag of {B} than in the bag of {A}.
    {B} is ${n} behind {A}.
    ~ {B} has less than {A} by ${n}.
""")
HAS_TIMES = clause("""
    {B} has {times} as much money as {A}.
    Now {B} has {times} the money that {A} has.
    For each dollar of {A}, {B} has ${n}.
    In the bag of {B} there is {times} as much money as in the bag of {A}.
    {B} has {times} the money of {A}.
    ~ {B} has {times} as much as {A} has now.
""")
HAS_PART = clause("""
    {A} has {times} as much money as {B}.
    Now {A} has {times} the money that {B} has.
    For each dollar of {B}, {A} has ${n}.
    ~ {A} has {times} as much as {B} has now.
""")
HAS_HALF = clause("""
    {B} has half as much money as {A}.
    {B} has only half as much as {A} has now.
    {B} has one half of the money of {A}.
    In the bag of {B} there is half as much money as in the bag of {A}.
    {B} has half the money of {A}.
    ~ Now {B} has half the money that {A} has.
""")
GETS_ALL = clause("""
    {P} gives all the money of {P} to {A}.
    {A} gets all the money that {P} has.
    {P} loses all the money, and {A} finds it.
    ~ Then {P} spends all the money of {P} on {A}.
""")
ASK_NOW = clause("""
    How much money does {A} have now?
    Find the money that {A} has now.
    What is the amount of money {A} has in the end?
    How many dollars are there in the bag of {A} now?
    Tell how much money {A} has.
    ~ How many dollars does {A} have in the end?
""")
ASK_BOTH = clause("""
    How much money do {A} and {P} have together?
    How many dollars do {P} and {A} have in all?
    What is the amount of money of {P} and {A} together?
    ~ Find the money that {P} and {A} have together.
""")
ASK_GAP = clause("""
    How much more money does {X} have than {Y}?
    How many dollars less does {Y} have than {X}?
    By how many dollars is {X} ahead of {Y}?
    ~ Find how much more {X} has than {Y}.
""")
ASK_NEED = clause("""
    {A} needs ${n}. How much more money does {A} need?
    How much more must {A} earn to have ${n}?
    {A} wants to buy {o} for ${n}. How many dollars are missing?
    {A} wants to have ${n}. Find how much more {A} needs.
    How many dollars must {A} still earn to reach ${n}?
    ~ A {s} costs ${n}. How many dollars is {A} short?
""")
ASIDE_MONEY = clause("""
    {D} has ${n}.
    {D} earns ${n} an hour.
    {D} saves ${n} a week.
    {D} finds ${n}.
    There are ${n} in the bag of {D}.
    ~ {D} spends ${n} on {o2}.
""")

_COMPARISONS = (
    Move(MORE, HAS_MORE),
    Move(FEWER, HAS_LESS),
    Move(TIMES_AS, HAS_TIMES),
    Move(PART_AS, HAS_PART),
    Move(HALF_AS, HAS_HALF),
)
EARN = Op("pay", "{n} * {m}", grid(range(2, 11), range(2, 13)))
MONEY = Theme(
    (Move(plain(10, 90), HAS), Move(EARN, WORKS)),
    (
        Move(ADD, EARNS),
        Move(SUB, SPENDS),
        Move(SUB_BATCH, BUYS),
        Move(ADD_BATCH, SELLS),
        Move(HALF, SPENDS_HALF),
        Move(TIMES, GROWS),
        *_COMPARISONS,
        Move(BOTH, GETS_ALL),
        Move(BOTH, asks=ASK_BOTH),
        Move(GAP, asks=ASK_GAP),
        Move(NEED, asks=ASK_NEED),
    ),
    ASK_NOW,
    unit="dollars",
    aside=ASIDE_MONEY,
)
