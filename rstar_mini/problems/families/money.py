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
    Theme,
    grid,
    plain,
    single,
)
from rstar_mini.problems.story import clause

HAS = clause("""
    {A} has ${n}.
    At first {A} has ${n} in the bag.
    {A} starts with ${n}.
    {A} has ${n} to spend.
    ~ There is ${n} in the bag of {A} at first.
    ~ In the bag of {A} there is ${n}.
""")
WORKS = clause("""
    {A} works {n} hours and earns ${m} an hour.
    {A} earns ${m} for each hour of work and works {n} hours.
    For {n} hours of work {A} gets ${m} an hour.
    {A} saves ${m} a week for {n} weeks.
    ~ {A} gets ${m} an hour and works for {n} hours.
    ~ An hour of work earns {A} ${m}, and {A} works {n} hours.
""")
EARNS = clause("""
    {A} earns ${n} more.
    {C} gives {A} ${n}.
    Then {A} finds ${n}.
    {A} gets ${n} from {C}.
    ~ From {C} {A} gets ${n} more.
    ~ To {A} {C} gives ${n} more.
""")
SPENDS = clause("""
    {A} spends ${n}.
    {A} gives ${n} to {C}.
    Then {A} buys {o2} for ${n}.
    {C} gets ${n} from {A}.
    {A} loses ${n}.
    ~ For ${n} {A} buys {o2}.
    ~ {C} sells {o2} to {A} for ${n}.
""")
BUYS = clause("""
    {A} buys {n} {o2} for ${m} each.
    Each {s2} costs ${m}, and {A} buys {n} {o2}.
    Then {A} spends ${m} on each of {n} {o2}.
    {A} gives {n} friends ${m} each.
    ~ {A} buys {n} {o2}, and ${m} is the price of each {s2}.
    ~ For ${m} each {A} then buys {n} {o2}.
""")
SELLS = clause("""
    {A} sells {n} {o2} for ${m} each.
    {C} buys {n} {o2} from {A} for ${m} each.
    Then {A} earns ${m} an hour for {n} hours.
    Each of {n} friends gives ${m} to {A}.
    ~ For ${m} each {A} sells {n} {o2} to {C}.
""")
SPENDS_HALF = clause("""
    {A} spends half of the money.
    {A} gives half of the money to {C}.
    Then {A} loses one half of the money.
    {C} gets half of the money of {A}.
    ~ Half of the money of {A} then goes to {C}.
""")
GROWS = clause("""
    Soon {A} has {times} as much money.
    The money of {A} grows to {times} as much.
    After a week {A} has {times} as much money as before.
    Then {A} earns so much that there is {times} as much money.
    ~ {times} as much money as before is what {A} has soon.
""")
HAS_MORE = clause("""
    {B} has ${n} more than {A}.
    Now {A} has ${n} less than {B}.
    {B} has more money than {A} by ${n}.
    {A} has less money than {B} by ${n}.
    ~ Than {A}, {B} has ${n} more.
    ~ By ${n}, {A} has less money than {B}.
""")
HAS_LESS = clause("""
    {B} has ${n} less than {A}.
    Now {A} has ${n} more than {B}.
    {B} has less money than {A} by ${n}.
    {A} has more money than {B} by ${n}.
    ~ Than {A}, {B} has ${n} less.
    ~ By ${n}, {A} has more money than {B}.
""")
HAS_TIMES = clause("""
    {B} has {times} as much money as {A}.
    Now {B} has {times} the money that {A} has.
    For each dollar of {A}, {B} has ${n}.
    {B} has {times} as much as {A} has now.
    ~ {times} the money of {A} is what {B} has.
""")
HAS_PART = clause("""
    {A} has {times} as much money as {B}.
    Now {A} has {times} the money that {B} has.
    For each dollar of {B}, {A} has ${n}.
    {A} has {times} as much as {B} has now.
    ~ {times} the money of {B} is what {A} has.
""")
HAS_HALF = clause("""
    {B} has half as much money as {A}.
    Now {B} has half the money that {A} has.
    {B} has only half as much as {A} has now.
    {B} has one half of the money of {A}.
    ~ Half the money of {A} is what {B} has.
""")
GETS_ALL = clause("""
    {P} gives all the money of {P} to {A}.
    {A} gets all the money that {P} has.
    Then {P} spends all the money of {P} on {A}.
    {P} loses all the money, and {A} finds it.
    ~ All the money that {P} has goes to {A}.
""")
ASK_NOW = clause("""
    How much money does {A} have now?
    How many dollars does {A} have in the end?
    Find the money that {A} has now.
    What is the amount of money {A} has in the end?
    ~ In the end, how much money is in the bag of {A}?
    ~ How much of the money does {A} now have?
""")
ASK_BOTH = clause("""
    How much money do {A} and {P} have together?
    How many dollars do {P} and {A} have in all?
    Find the money that {P} and {A} have together.
    What is the amount of money of {P} and {A} together?
    ~ Together, how much money do {P} and {A} have in the end?
""")
ASK_GAP = clause("""
    How much more money does {X} have than {Y}?
    How many dollars less does {Y} have than {X}?
    Find how much more {X} has than {Y}.
    By how many dollars is {X} ahead of {Y}?
    ~ Than {Y}, how much more money does {X} have?
""")
ASK_NEED = clause("""
    {A} needs ${n}. How much more money does {A} need?
    How much more must {A} earn to have ${n}?
    A {s} costs ${n}. How many dollars is {A} short?
    {A} wants to buy {o} for ${n}. How many dollars are missing?
    ~ To have ${n} in all, how much more must {A} earn?
""")
ASIDE_MONEY = clause("""
    {D} has ${n}.
    {D} spends ${n} on {o2}.
    {D} earns ${n} an hour.
    {D} saves ${n} a week.
    ~ In the bag of {D} there is ${n}.
""")

_COMPARISONS = (
    Move(MORE, HAS_MORE),
    Move(FEWER, HAS_LESS),
    Move(TIMES_AS, HAS_TIMES),
    Move(PART_AS, HAS_PART),
    Move(HALF_AS, HAS_HALF),
)
EARN = single("Find the money from work", "pay", "{n} * {m}", grid(range(2, 11), range(2, 13)))
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
