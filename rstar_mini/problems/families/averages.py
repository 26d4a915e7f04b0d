"""Averages: points in games."""

from __future__ import annotations

from rstar_mini.problems.moves import (
    ADD,
    ADD_BATCH,
    BOTH,
    FEWER,
    GAP,
    MORE,
    NEED,
    PART_AS,
    SUB,
    SUB_BATCH,
    TIMES_AS,
    Move,
    Op,
    Theme,
    divisor,
    fixed,
    grid,
)
from rstar_mini.problems.story import clause

GAMES = clause("""
    {A} gets {n} points in each of {m} games.
    In each of {m} games {A} gets {n} points.
    {A} plays {m} games and gets {n} points in each.
    {A} has an average of {n} points in {m} games.
    In {m} games the average of {A} is {n} points.
    ~ {n} points is the average of {A} in {m} games.
    ~ An average of {n} points is what {A} gets in {m} games.
""")
TWO_GAMES = clause("""
    {A} gets {n} points in one game and {m} points in the next.
    In the first game {A} gets {n} points, in the last {m} points.
    {A} plays two games and gets {n} and {m} points.
    After {n} points in the first game, {A} gets {m} points in the next.
    ~ The games of {A} end with {n} points in the first and {m} in the next.
""")
THREE_GAMES = clause("""
    The number of points of {A} is the average of {n}, {m} and {k}.
    The points of {A} are the average of three games with {n}, {m} and {k} points.
    In three games {C} gets {n}, {m} and {k} points. {A} gets the average of these points.
    {A} gets as many points as the average of {n}, {m} and {k}.
    ~ The average of {n}, {m} and {k} is the number of points that {A} gets.
""")
PLAYS_ON = clause("""
    {A} gets {n} more points in the next game.
    Then {A} plays and gets {n} points.
    In the next game {A} gets {n} points.
    {C} gives {A} {n} points.
    ~ {n} points more go to {A} in the next game.
""")
PLAYS_MORE = clause("""
    Then {A} gets {m} points in each of {n} games.
    In {n} more games {A} has an average of {m} points.
    {A} plays {n} more games and gets {m} points in each.
    The average of {A} is {m} points in the next {n} games.
    ~ {m} points is the average of {A} in {n} more games.
""")
LOSES = clause("""
    {A} loses {n} points.
    Then {A} gives {n} points to {C}.
    In the next game {A} loses {n} points.
    {C} takes {n} points from {A}.
    ~ {n} of the points go from {A} to {C}.
""")
LOSES_EACH = clause("""
    {A} loses {m} points in each of {n} games.
    In each of {n} games {C} takes {m} points from {A}.
    Then {A} gives {m} points to each of {n} friends.
    {A} plays {n} games more and loses {m} points in each.
    ~ In {n} games {A} loses {m} points each.
""")
POINTS_MORE = clause("""
    {B} has {n} points more than {A}.
    {A} has {n} points fewer than {B}.
    {B} is {n} points ahead of {A}.
    Now {A} is {n} points short of the points of {B}.
    ~ Than {A}, {B} has {n} points more.
    ~ {n} points ahead of {A} is {B}.
""")
POINTS_FEWER = clause("""
    {B} has {n} points fewer than {A}.
    {A} has {n} points more than {B}.
    {A} is {n} points ahead of {B}.
    Now {B} is {n} points short of the points of {A}.
    ~ Than {B}, {A} has {n} points more.
    ~ {n} points ahead of {B} is {A}.
""")
POINTS_TIMES = clause("""
    {B} has {times} as many points as {A}.
    Now {B} has {times} the points of {A}.
    For each point of {A}, {B} has {n}.
    The points of {B} are {times} as many as the points of {A}.
    ~ {times} as many points as {A} is what {B} has.
""")
POINTS_PART = clause("""
    {A} has {times} as many points as {B}.
    Now {A} has {times} the points of {B}.
    For each point of {B}, {A} has {n}.
    The points of {A} are {times} as many as the points of {B}.
    ~ {times} as many points as {B} is what {A} has.
""")
ASK_POINTS = clause("""
    How many points does {A} have now?
    How many points does {A} have in the end?
    Find the number of points of {A} in all.
    What is the sum of the points of {A}?
    ~ In the end, how many points are there for {A}?
    ~ In all, how many points does {A} have?
""")
ASK_MEAN = clause("""
    All these points are from {n} games. What is the average of {A}?
    What is the average of {A} if there are {n} games in all?
    {A} plays {n} games for this. How many points is that on average?
    Find the average of {A} in {n} games.
    ~ In {n} games, what is the average of {A}?
""")
ASK_POINTS_BOTH = clause("""
    How many points do {A} and {P} have together?
    What is the sum of the points of {P} and {A}?
    Find the number of points that {P} and {A} have in all.
    How many points are there for {A} and {P} together?
    ~ Together, how many points do {P} and {A} have?
""")
ASK_POINTS_GAP = clause("""
    How many points is {X} ahead of {Y}?
    How many points fewer does {Y} have than {X}?
    Find how many more points {X} has than {Y}.
    By how many points is {X} ahead of {Y}?
    ~ Than {Y}, how many more points does {X} have?
""")
ASK_POINTS_NEED = clause("""
    {A} needs {n} points. How many points are missing?
    How many more points must {A} get to have {n}?
    How many points is {A} short of {n} points?
    {A} wants {n} points in all. How many more does {A} need?
    ~ To have {n} points, how many more must {A} get?
""")
ASIDE_POINTS = clause("""
    {D} gets {n} points.
    {D} has an average of {n} points.
    {D} loses {n} points in a game.
    The average of {D} is {n} points.
    ~ {n} points is the average of {D}.
""")

SUM = ("sum", "{n} + {m} + {k}")
_TRIPLES = [(n, m, k) for n in range(4, 31) for m in range(3, 31) for k in range(2, 31) if (n + m + k) % 3 == 0]
MEAN = Op("mean", "{v} // {n}", divisor)
AVERAGES = Theme(
    (
        Move(Op("points", "{n} * {m}", grid(range(3, 21), range(2, 9))), GAMES),
        Move(Op("points", "{n} + {m}", grid(range(5, 31), range(4, 31))), TWO_GAMES),
        Move(Op(*SUM, fixed(_TRIPLES), then=(("Divide by three", "points", "{r} // 3"),)), THREE_GAMES),
    ),
    (
        Move(ADD, PLAYS_ON),
        Move(ADD_BATCH, PLAYS_MORE),
        Move(SUB, LOSES),
        Move(SUB_BATCH, LOSES_EACH),
        Move(MORE, POINTS_MORE),
        Move(FEWER, POINTS_FEWER),
        Move(TIMES_AS, POINTS_TIMES),
        Move(PART_AS, POINTS_PART),
        Move(MEAN, asks=ASK_MEAN),
        Move(BOTH, asks=ASK_POINTS_BOTH),
        Move(GAP, asks=ASK_POINTS_GAP),
        Move(NEED, asks=ASK_POINTS_NEED),
    ),
    ASK_POINTS,
    unit="points",
    aside=ASIDE_POINTS,
)
