"""Geometry: the area of a garden and the fence around it."""

from __future__ import annotations

from rstar_mini.problems.moves import (
    ADD,
    BOTH,
    FEWER,
    GAP,
    HALF_AS,
    MORE,
    PART_AS,
    SUB,
    TIMES_AS,
    Move,
    Op,
    Theme,
    divisor,
    factor,
    fixed,
    span,
)
from rstar_mini.problems.story import clause

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
    The garden of {A} then grows by {n} square metres.
    ~ By {n} square metres {A} makes the garden larger.
""")
LAND_SUB = clause("""
    {A} sells {n} square metres of the land.
    A house takes {n} square metres of the garden of {A}.
    {A} gives {n} square metres of the land to {C}.
    Then {A} makes the garden {n} square metres smaller.
    ~ By {n} square metres {A} makes the garden smaller.
""")
LARGER = clause("""
    By {n} square metres the garden of {B} is larger than that of {A}.
    The garden of {B} has {n} square metres more than the garden of {A}.
    The garden of {A} is {n} square metres smaller than the garden of {B}.
    {B} has {n} square metres more land than {A}.
    ~ Than the garden of {A}, the garden of {B} is {n} square metres larger.
""")
SMALLER = clause("""
    By {n} square metres the garden of {B} is smaller than that of {A}.
    The garden of {B} has {n} square metres less than the garden of {A}.
    The garden of {A} is {n} square metres larger than the garden of {B}.
    {B} has {n} square metres less land than {A}.
    ~ Than the garden of {A}, the garden of {B} is {n} square metres smaller.
""")
LARGE_TIMES = clause("""
    The garden of {B} is {times} as large as that of {A}.
    The garden of {B} is {times} as large as the garden of {A}.
    {B} has {times} as many square metres of land as {A}.
    For each square metre of {A}, {B} has {n}.
    ~ The area of {A} taken {times} makes the garden of {B}.
""")
LARGE_PART = clause("""
    The garden of {A} is {times} as large as that of {B}.
    The garden of {A} is {times} as large as the garden of {B}.
    {A} has {times} as many square metres of land as {B}.
    For each square metre of {B}, {A} has {n}.
    ~ The area of {B} taken {times} makes the garden of {A}.
""")
LARGE_HALF = clause("""
    The garden of {B} is half as large as that of {A}.
    The garden of {B} is half as large as the garden of {A}.
    {B} has half as many square metres of land as {A}.
    {B} has only one half of the land of {A}.
    ~ Half of the area of {A} makes the garden of {B}.
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
    What is the area of the gardens of {A} and {P} together?
    Find the sum of the areas of {P} and {A}.
    How large are the gardens of {P} and {A} together in square metres?
    ~ Together, how many square metres do the gardens of {P} and {A} have?
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
    {n} metres need no fence because of the house of {A}.
    A gate takes {n} metres of the fence of {A}.
    {A} makes a gate of {n} metres, so the fence is shorter.
    At the gate of {A} {n} metres need no fence.
    ~ Because of a gate of {n} metres, {A} makes the fence shorter.
""")
FENCE_LONGER = clause("""
    By {n} metres the fence of {B} is longer than that of {A}.
    The fence of {B} is {n} metres longer than the fence of {A}.
    The fence of {A} is {n} metres shorter than the fence of {B}.
    {B} has {n} metres of fence more than {A}.
    ~ Than the fence of {A}, the fence of {B} is {n} metres longer.
""")
FENCE_SHORTER = clause("""
    By {n} metres the fence of {B} is shorter than that of {A}.
    The fence of {B} is {n} metres shorter than the fence of {A}.
    The fence of {A} is {n} metres longer than the fence of {B}.
    {B} has {n} metres of fence less than {A}.
    ~ Than the fence of {A}, the fence of {B} is {n} metres shorter.
""")
FENCE_TIMES = clause("""
    The fence of {B} is {times} as long as that of {A}.
    The fence of {B} is {times} as long as the fence of {A}.
    {B} has {times} as many metres of fence as {A}.
    For each metre of fence of {A}, {B} has {n}.
    ~ The fence of {A} taken {times} makes the fence of {B}.
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
    What is the length of the fences of {A} and {P} together?
    Find the sum of the metres of fence of {P} and {A}.
    How long are the fences of {P} and {A} together in metres?
    ~ Together, how many metres long are the fences of {P} and {A}?
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

_SIDES = [(n, m) for n in range(4, 21) for m in range(2, 13) if n > m and n * m <= 200]
_LESS = [(n, m) for n in range(5, 21) for m in range(2, 12) if n - m > 1 and n * (n - m) <= 200]
_MORE = [(n, m) for n in range(3, 14) for m in range(2, 9) if n * (n + m) <= 200]
AREA_COST = Op("cost", "{v} * {n}", factor)
PART = Op("each", "{v} // {n}", divisor)
WIDTH, LENGTH = ("width", "{n} - {m}"), ("length", "{n} + {m}")
TIMES_LENGTH = ("Multiply length and width", "area", "{n} * {r}")
AREA = Theme(
    (
        Move(Op("area", "{n} * {m}", fixed(_SIDES)), RECTANGLE),
        Move(Op("area", "{n} * {n}", span(3, 13)), SQUARE),
        Move(Op(*WIDTH, fixed(_LESS), then=(TIMES_LENGTH,)), WIDTH_LESS),
        Move(Op(*LENGTH, fixed(_MORE), then=(TIMES_LENGTH,)), LENGTH_MORE),
    ),
    (
        Move(ADD, LAND_ADD),
        Move(SUB, LAND_SUB),
        Move(MORE, LARGER),
        Move(FEWER, SMALLER),
        Move(TIMES_AS, LARGE_TIMES),
        Move(PART_AS, LARGE_PART),
        Move(HALF_AS, LARGE_HALF),
        Move(BOTH, asks=ASK_AREA_BOTH),
        Move(GAP, asks=ASK_AREA_GAP),
        Move(AREA_COST, asks=ASK_LAND_COST),
        Move(PART, asks=ASK_BEDS),
    ),
    ASK_AREA,
    unit="land",
    aside=ASIDE_LAND,
)
FENCE_COST = Op("cost", "{v} * {n}", factor)
BOTH_SIDES = ("Add length and width", "sides", "{n} + {r}")
AROUND = ("Double it for the fence", "fence", "2 * {r}")
FENCE = Theme(
    (
        Move(Op("fence", "4 * {n}", span(3, 30)), SQUARE),
        Move(Op("sides", "{n} + {m}", fixed(_SIDES), then=(AROUND,)), RECTANGLE),
        Move(Op(*WIDTH, fixed(_LESS), then=(BOTH_SIDES, AROUND)), WIDTH_LESS),
        Move(Op(*LENGTH, fixed(_MORE), then=(BOTH_SIDES, AROUND)), LENGTH_MORE),
    ),
    (
        Move(ADD, FENCE_ADD),
        Move(SUB, FENCE_SUB),
        Move(MORE, FENCE_LONGER),
        Move(FEWER, FENCE_SHORTER),
        Move(TIMES_AS, FENCE_TIMES),
        Move(BOTH, asks=ASK_FENCE_BOTH),
        Move(FENCE_COST, asks=ASK_FENCE_COST),
    ),
    ASK_FENCE,
    unit="fence",
    aside=ASIDE_LAND,
)
