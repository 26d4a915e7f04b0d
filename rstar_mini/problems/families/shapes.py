"""Families about areas and fences, and about points in games and their averages."""

from __future__ import annotations

from rstar_mini.problems.moves import (
    ADD, ADD_BATCH, BOTH, FEWER, GAP, HALF_AS, MORE, NEED, PART_AS, SUB, SUB_BATCH, TIMES_AS, Move, Numbers, Op, Theme, start,
)
from rstar_mini.problems.story import clause

_SIDES = [(n, m) for n in range(4, 21) for m in range(2, 13) if n > m and n * m <= 200]
_LESS = [(n, m) for n in range(5, 21) for m in range(2, 12) if n - m > 1 and n * (n - m) <= 200]
_MORE = [(n, m) for n in range(3, 14) for m in range(2, 9) if n * (n + m) <= 200]
_TRIPLES = [(n, m, k) for n in range(4, 31) for m in range(3, 31) for k in range(2, 31) if len({n, m, k}) == 3]


def _divisors(v: int) -> list[Numbers]:
    return [(n,) for n in range(2, 13) if v % n == 0 and v // n > 1]


def _prices(v: int) -> list[Numbers]:
    return [(n,) for n in range(2, 10) if v * n <= 300]


RECTANGLE = clause("""
    The garden of {A} is {n} metres long and {m} metres wide.
    {A} has a garden that is {n} metres long and {m} metres wide.
    The length of the garden of {A} is {n} metres and the width is {m} metres.
    {A} has a garden with a length of {n} metres and a width of {m} metres.
    ~ {n} metres long and {m} metres wide is the garden of {A}.
    ~ With a width of {m} metres, the garden of {A} has a length of {n} metres.
""")
SQUARE = clause("""
    The garden of {A} is a square. Each side is {n} metres long.
    {A} has a square garden with a side of {n} metres.
    Each side of the square garden of {A} is {n} metres long.
    The garden of {A} is a square with sides of {n} metres.
    ~ {n} metres is the length of each side of the square garden of {A}.
""")
WIDTH_LESS = clause("""
    The garden of {A} is {n} metres long. The width is {m} metres less than the length.
    The length of the garden of {A} is {n} metres. It is {m} metres more than the width.
    {A} has a garden with a length of {n} metres. It is {m} metres less wide than long.
    The garden of {A} is {n} metres long. The length is {m} metres more than the width.
    ~ {m} metres less than the length is the width of the garden of {A}. The length is {n} metres.
""")
LENGTH_MORE = clause("""
    The garden of {A} is {n} metres wide. The length is {m} metres more than the width.
    The width of the garden of {A} is {n} metres. It is {m} metres less than the length.
    {A} has a garden with a width of {n} metres. It is {m} metres more long than wide.
    The garden of {A} is {n} metres wide. The width is {m} metres less than the length.
    ~ {m} metres more than the width is the length of the garden of {A}. The width is {n} metres.
""")
LAND_ADD = clause("""
    {A} buys {n} more square metres of land for it.
    Then {A} makes the garden {n} square metres larger.
    {C} gives {A} {n} square metres of land for the garden.
    The garden then grows by {n} square metres.
    ~ By {n} square metres {A} makes the garden larger.
""")
LAND_SUB = clause("""
    {A} sells {n} square metres of the land.
    A house takes {n} square metres of the garden.
    {A} gives {n} square metres of the land to {C}.
    Then {A} makes the garden {n} square metres smaller.
    ~ By {n} square metres {A} makes the garden smaller.
""")
LARGER = clause("""
    The garden of {B} is {n} square metres larger.
    The garden of {B} has {n} square metres more than the garden of {A}.
    The garden of {A} is {n} square metres smaller than the garden of {B}.
    {B} has {n} square metres more land than {A}.
    ~ Than the garden of {A}, the garden of {B} is {n} square metres larger.
""")
SMALLER = clause("""
    The garden of {B} is {n} square metres smaller.
    The garden of {B} has {n} square metres less than the garden of {A}.
    The garden of {A} is {n} square metres larger than the garden of {B}.
    {B} has {n} square metres less land than {A}.
    ~ Than the garden of {A}, the garden of {B} is {n} square metres smaller.
""")
LARGE_TIMES = clause("""
    The garden of {B} is {times} as large.
    The garden of {B} is {times} as large as the garden of {A}.
    {B} has {times} as many square metres of land as {A}.
    For each square metre of {A}, {B} has {n}.
    ~ {times} as large as the garden of {A} is the garden of {B}.
""")
LARGE_PART = clause("""
    The garden of {A} is {times} as large as that of {B}.
    The garden of {A} is {times} as large as the garden of {B}.
    {A} has {times} as many square metres of land as {B}.
    For each square metre of {B}, {A} has {n}.
    ~ {times} as large as the garden of {B} is the garden of {A}.
""")
LARGE_HALF = clause("""
    The garden of {B} is half as large.
    The garden of {B} is half as large as the garden of {A}.
    {B} has half as many square metres of land as {A}.
    {B} has only one half of the land of {A}.
    ~ Half as large as the garden of {A} is the garden of {B}.
""")
ASK_AREA = clause("""
    What is the area of the garden of {A} in square metres?
    How many square metres is the garden of {A}?
    Find the area of the garden of {A} in square metres.
    How large is the garden of {A} in square metres?
    ~ In square metres, how large is the garden of {A}?
    ~ What area does the garden of {A} have in square metres?
""")
ASK_AREA_BOTH = clause("""
    How many square metres do {A} and {P} have together?
    What is the area of both gardens together?
    Find the sum of the areas of both gardens.
    How large are both gardens together in square metres?
    ~ Together, how many square metres are both gardens?
""")
ASK_AREA_GAP = clause("""
    By how many square metres is the garden of {X} larger than the garden of {Y}?
    How many square metres more does {X} have than {Y}?
    Find how many square metres less {Y} has than {X}.
    How many square metres smaller is the garden of {Y} than the garden of {X}?
    ~ Than the garden of {Y}, how many square metres larger is the garden of {X}?
""")
ASK_LAND_COST = clause("""
    Each square metre of the garden of {A} costs ${n}. What is the price?
    What does the garden of {A} cost if each square metre costs ${n}?
    {A} pays ${n} for each square metre. How much is the whole garden?
    Find the price of the garden of {A} at ${n} for each square metre.
    ~ At ${n} for each square metre, what does the garden of {A} cost?
""")
ASK_BEDS = clause("""
    {A} shares the area in {n} equal parts. How many square metres is each part?
    {n} flower beds share the area of {A} equally. How large is each bed in square metres?
    Find the area of each part if {A} makes {n} equal parts of the garden.
    The garden of {A} has {n} equal flower beds and no more. What is the area of each?
    ~ If {A} makes {n} equal flower beds of the garden, what is the area of each?
""")
FENCE_ADD = clause("""
    {A} buys {n} more metres of fence.
    {C} gives {A} {n} metres of fence also.
    Then {A} needs {n} metres of fence more for a flower bed.
    For the house {A} gets {n} more metres of fence.
    ~ {n} metres more of fence go to {A} for the house.
""")
FENCE_SUB = clause("""
    {n} metres need no fence because of the house.
    A gate takes {n} metres of the fence.
    {A} makes a gate of {n} metres, so the fence is shorter.
    At the gate of {n} metres there is no fence.
    ~ Because of a gate of {n} metres, {A} makes the fence shorter.
""")
FENCE_LONGER = clause("""
    The fence of {B} is {n} metres longer.
    The fence of {B} is {n} metres longer than the fence of {A}.
    The fence of {A} is {n} metres shorter than the fence of {B}.
    {B} has {n} metres of fence more than {A}.
    ~ Than the fence of {A}, the fence of {B} is {n} metres longer.
""")
FENCE_SHORTER = clause("""
    The fence of {B} is {n} metres shorter.
    The fence of {B} is {n} metres shorter than the fence of {A}.
    The fence of {A} is {n} metres longer than the fence of {B}.
    {B} has {n} metres of fence less than {A}.
    ~ Than the fence of {A}, the fence of {B} is {n} metres shorter.
""")
FENCE_TIMES = clause("""
    The fence of {B} is {times} as long.
    The fence of {B} is {times} as long as the fence of {A}.
    {B} has {times} as many metres of fence as {A}.
    For each metre of fence of {A}, {B} has {n}.
    ~ {times} as long as the fence of {A} is the fence of {B}.
""")
ASK_FENCE = clause("""
    How long is the fence around the garden of {A} in metres?
    How many metres of fence does {A} have around the garden?
    Find the length of the fence around the garden of {A}.
    What is the length of the fence of {A} in metres?
    ~ Around the garden of {A}, how many metres long is the fence?
    ~ In metres, how long is the fence of {A}?
""")
ASK_FENCE_BOTH = clause("""
    How many metres of fence do {A} and {P} have together?
    What is the length of both fences together?
    Find the sum of the metres of both fences.
    How long are both fences together in metres?
    ~ Together, how many metres long are both fences?
""")
ASK_FENCE_COST = clause("""
    Each metre of the fence of {A} costs ${n}. What is the price?
    What does the fence of {A} cost if each metre costs ${n}?
    {A} pays ${n} for each metre. How much is the whole fence?
    Find the price of the fence of {A} at ${n} for each metre.
    ~ At ${n} for each metre, what does the fence of {A} cost?
""")
ASIDE_LAND = clause("""
    The house of {D} is {n} metres long.
    The garden of {D} is {n} metres long.
    The garden of {D} has {n} flowers.
    {D} has {n} square metres of land.
    ~ {n} metres long is the garden of {D}.
""")

AREA_COST = Op((("Multiply area and price", "cost", "{v} * {n}"),), _prices)
PART = Op((("Share the area equally", "each", "{v} // {n}"),), _divisors)
WIDTH = ("Find the width", "width", "{n} - {m}")
LENGTH = ("Find the length", "length", "{n} + {m}")
AREA = Theme(
    (Move(start("Multiply length and width", "area", "{n} * {m}", lambda v: _SIDES), RECTANGLE),
     Move(start("Find the area", "area", "{n} * {n}", lambda v: [(n,) for n in range(3, 14)]), SQUARE),
     Move(Op((WIDTH, ("Multiply length and width", "area", "{n} * {r}")), lambda v: _LESS), WIDTH_LESS),
     Move(Op((LENGTH, ("Multiply length and width", "area", "{n} * {r}")), lambda v: _MORE), LENGTH_MORE)),
    (Move(ADD, LAND_ADD), Move(SUB, LAND_SUB), Move(MORE, LARGER), Move(FEWER, SMALLER), Move(TIMES_AS, LARGE_TIMES),
     Move(PART_AS, LARGE_PART), Move(HALF_AS, LARGE_HALF), Move(BOTH, asks=ASK_AREA_BOTH), Move(GAP, asks=ASK_AREA_GAP),
     Move(AREA_COST, asks=ASK_LAND_COST), Move(PART, asks=ASK_BEDS)),
    ASK_AREA, unit="area", aside=ASIDE_LAND,
)  # fmt: skip
FENCE_COST = Op((("Multiply length and price", "cost", "{v} * {n}"),), _prices)
AROUND = ("Double it for the fence", "fence", "2 * {r}")
FENCE = Theme(
    (Move(start("Add the four sides", "fence", "4 * {n}", lambda v: [(n,) for n in range(3, 31)]), SQUARE),
     Move(Op((("Add length and width", "sides", "{n} + {m}"), AROUND), lambda v: _SIDES), RECTANGLE),
     Move(Op((WIDTH, ("Add length and width", "sides", "{n} + {r}"), AROUND), lambda v: _LESS), WIDTH_LESS),
     Move(Op((LENGTH, ("Add length and width", "sides", "{n} + {r}"), AROUND), lambda v: _MORE), LENGTH_MORE)),
    (Move(ADD, FENCE_ADD), Move(SUB, FENCE_SUB), Move(MORE, FENCE_LONGER), Move(FEWER, FENCE_SHORTER),
     Move(TIMES_AS, FENCE_TIMES), Move(BOTH, asks=ASK_FENCE_BOTH), Move(FENCE_COST, asks=ASK_FENCE_COST)),
    ASK_FENCE, unit="fence", aside=ASIDE_LAND,
)  # fmt: skip

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
    With {n} points in the first game, {A} gets {m} more in the next.
    ~ The games of {A} end with {n} points in the first and {m} in the next.
""")
THREE_GAMES = clause("""
    {A} gets {n}, {m} and {k} points in three games and starts the next day with the average.
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

SUM_OF_THREE = ("Add the three numbers", "sum", "{n} + {m} + {k}")
_MEANS = [numbers for numbers in _TRIPLES if sum(numbers) % 3 == 0]
MEAN = Op((("Divide by the games", "mean", "{v} // {n}"),), _divisors)
AVERAGES = Theme(
    (Move(start("Multiply points and games", "points", "{n} * {m}", lambda v: [(n, m) for n in range(3, 21) for m in range(2, 9)]), GAMES),
     Move(start("Add the two games", "points", "{n} + {m}", lambda v: [(n, m) for n in range(5, 31) for m in range(4, 31)]), TWO_GAMES),
     Move(Op((SUM_OF_THREE, ("Divide by three", "points", "{r} // 3")), lambda v: _MEANS), THREE_GAMES)),
    (Move(ADD, PLAYS_ON), Move(ADD_BATCH, PLAYS_MORE), Move(SUB, LOSES), Move(SUB_BATCH, LOSES_EACH), Move(MORE, POINTS_MORE),
     Move(FEWER, POINTS_FEWER), Move(TIMES_AS, POINTS_TIMES), Move(PART_AS, POINTS_PART), Move(MEAN, asks=ASK_MEAN),
     Move(BOTH, asks=ASK_POINTS_BOTH), Move(GAP, asks=ASK_POINTS_GAP), Move(NEED, asks=ASK_POINTS_NEED)),
    ASK_POINTS, unit="points", aside=ASIDE_POINTS,
)  # fmt: skip
