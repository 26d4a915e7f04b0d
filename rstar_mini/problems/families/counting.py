"""Counting: in how many ways can somebody choose?"""

from __future__ import annotations

from rstar_mini.problems.moves import (
    ADD,
    BOTH,
    FEWER,
    GAP,
    MORE,
    PART_AS,
    SUB,
    TIMES_AS,
    Move,
    Op,
    Theme,
    factor,
    grid,
    span,
)
from rstar_mini.problems.story import clause

OUTFITS = clause("""
    {A} has {n} coats and {m} hats and puts on one of each.
    {A} can choose one of {n} coats and one of {m} hats.
    There are {n} coats and {m} hats. {A} must choose one coat and one hat.
    For one coat and one hat {A} can choose from {n} coats and {m} hats.
    ~ {A} puts on one of {m} hats and one of {n} coats.
""")
ORDERED = clause("""
    {A} puts {o} in a row. The first is one of {n}, the next one of the others.
    {A} can choose a first and then a second one from {n} different {o}.
    From {n} different {o} {A} must choose a first and then a second one.
    Of {n} different {o}, one is the first and one of the others is the second for {A}.
    ~ First one and then a second one is what {A} must choose from {n} different {o}.
""")
PAIRS = clause("""
    {A} can choose any two of {n} different {o} for a bag.
    From {n} different {o} {A} must choose two to put into a bag.
    Two of {n} different {o} go into the bag of {A}, and the order does not count.
    {A} has {n} different {o} and must choose any two of them to keep.
    ~ For a bag, any two of {n} different {o} is what {A} can choose.
""")
ALSO_CHOOSE = clause("""
    {A} also must choose one of {n} boxes.
    Then {A} can also choose one of {n} bags.
    There are also {n} books, and {A} must choose one.
    {A} also gets one of {n} different books.
    ~ One of {n} bags is what {A} also must choose.
""")
WAYS_ADD = clause("""
    Then {A} finds {n} more ways.
    {C} finds {n} more ways for {A}.
    There are also {n} other ways for {A}.
    {A} has {n} other ways also.
    ~ Also there are {n} more ways for {A}.
""")
WAYS_SUB = clause("""
    {n} of the ways of {A} do not count.
    {A} must not choose {n} of these ways.
    {A} does not want {n} of these ways.
    {C} takes away {n} of the ways of {A}.
    ~ Of the ways of {A} {n} do not count.
""")
WAYS_MORE = clause("""
    {B} has {n} more ways than {A}.
    {A} has {n} fewer ways than {B}.
    For {B} there are {n} ways more than for {A}.
    {B} finds {n} ways more than {A}.
    ~ Than {A}, {B} has {n} more ways.
""")
WAYS_FEWER = clause("""
    {B} has {n} fewer ways than {A}.
    {A} has {n} more ways than {B}.
    For {B} there are {n} ways fewer than for {A}.
    {B} finds {n} ways fewer than {A}.
    ~ Than {B}, {A} has {n} more ways.
""")
WAYS_TIMES = clause("""
    {B} has {times} as many ways as {A}.
    For {B} there are {times} as many ways as for {A}.
    For each of the ways of {A}, {B} has {n}.
    Now {B} has {times} the number of ways of {A}.
    ~ {times} as many ways as {A} is what {B} has.
""")
WAYS_PART = clause("""
    {A} has {times} as many ways as {B}.
    For {A} there are {times} as many ways as for {B}.
    For each of the ways of {B}, {A} has {n}.
    Now {A} has {times} the number of ways of {B}.
    ~ {times} as many ways as {B} is what {A} has.
""")
ASK_WAYS = clause("""
    How many ways does {A} have?
    How many different ways are there for {A}?
    Find the number of ways of {A} in the end.
    In how many ways can {A} choose?
    ~ In the end, how many ways are there for {A}?
    ~ How many different ways can {A} choose?
""")
ASK_WAYS_BOTH = clause("""
    How many ways do {A} and {P} have together?
    How many ways are there for {P} and {A} in all?
    Find the number of ways of {A} and {P} together.
    What is the sum of the ways of {P} and {A}?
    ~ Together, how many ways do {P} and {A} have?
""")
ASK_WAYS_GAP = clause("""
    How many more ways does {X} have than {Y}?
    How many fewer ways does {Y} have than {X}?
    Find how many ways more {X} has than {Y}.
    By how many ways is {X} ahead of {Y}?
    ~ Than {Y}, how many more ways does {X} have?
""")


ONE_LESS = ("others", "{n} - 1")
IN_ORDER = ("Multiply the choices", "ways", "{n} * {r}")
CHOOSE_ALSO = Op("more choices", "{v} * {n}", factor)
WAYS = Theme(
    (
        Move(Op("ways", "{n} * {m}", grid(range(2, 13), range(2, 11))), OUTFITS),
        Move(Op(*ONE_LESS, span(4, 14), then=(IN_ORDER,)), ORDERED),
        Move(Op(*ONE_LESS, span(4, 14), then=(IN_ORDER, ("Count each pair once", "pairs", "{r} // 2"))), PAIRS),
    ),
    (
        Move(CHOOSE_ALSO, ALSO_CHOOSE),
        Move(ADD, WAYS_ADD),
        Move(SUB, WAYS_SUB),
        Move(MORE, WAYS_MORE),
        Move(FEWER, WAYS_FEWER),
        Move(TIMES_AS, WAYS_TIMES),
        Move(PART_AS, WAYS_PART),
        Move(BOTH, asks=ASK_WAYS_BOTH),
        Move(GAP, asks=ASK_WAYS_GAP),
    ),
    ASK_WAYS,
    unit="ways",
)
