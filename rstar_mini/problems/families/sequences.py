"""Sequences: a row of numbers with one rule."""

from __future__ import annotations

from rstar_mini.problems.story import Story, clause
from rstar_mini.problems.tell import wander

FIRST = clause("""
    The first number of {A} is {n}.
    {A} starts a row of numbers with {n}.
    A row of numbers of {A} starts with {n}.
    {n} is the first number in the row of {A}.
    ~ In the row of {A} the first number is {n}.
""")
NEXT_MORE = clause("""
    Each next number is {m} more than the one before.
    Each number is {m} less than the next one.
    {m} is added to make each next number.
    The numbers then grow by {m} each time.
    ~ By {m} the numbers grow each time.
""")
NEXT_LESS = clause("""
    Each next number is {m} less than the one before.
    Each number is {m} more than the next one.
    {m} is taken away to make each next number.
    The numbers then go down by {m} each time.
    ~ By {m} the numbers go down each time.
""")
NEXT_TIMES = clause("""
    Each next number is {times} the one before.
    Each next number is {times} as large as the one before.
    The number before is taken {times} to make each next number.
    The numbers grow to {times} as much each time.
    ~ {times} the one before is each next number.
""")
NEXT_TWICE_LESS = clause("""
    Each next number is {m} less than twice the one before.
    Twice the number before minus {m} is each next number.
    Each time {A} takes the number twice and then takes {m} away.
    To make each next number {A} takes {m} away from twice the number before.
    ~ {m} less than twice the one before is each next number.
""")
ASK_NTH = clause("""
    What is the {nth} number in this row?
    Find the {nth} number of {A}.
    How large is the {nth} number in the row?
    What number is the {nth} one?
    ~ In this row, what is the {nth} number?
    ~ The {nth} number of {A} is how large?
""")
ASK_SUM_OF_ROW = clause("""
    What is the sum of the first {k} numbers in this row?
    Find the sum of the first {k} numbers of {A}.
    How large are the first {k} numbers together?
    What do the first {k} numbers of {A} make together?
    ~ Together, how large are the first {k} numbers in this row?
""")
ORDINALS = ("second", "third", "fourth", "fifth", "sixth")
RULES = (
    (NEXT_MORE, "{v} + {m}", range(3, 41), range(2, 21)),
    (NEXT_LESS, "{v} - {m}", range(60, 100), range(2, 12)),
    (NEXT_TIMES, "{v} * {m}", range(2, 7), range(2, 4)),
    (NEXT_TWICE_LESS, "2 * {v} - {m}", range(9, 16), range(2, 8)),
)


def sequence(story: Story, level: int) -> None:
    """A row of numbers with one rule; asks for a later number or for the sum of the first few."""
    rng = story.rng
    rule, expression, firsts, steps = rng.choice(RULES)
    n, m = rng.choice(firsts), rng.choice(steps)
    total = level >= 3 and rng.random() < 0.4
    story.say(FIRST, n=n)
    story.say(rule, m=m, times="twice" if m == 2 else f"{m} times")
    names = [str(n)]
    for nth in ORDINALS[: level - total]:
        names.append(story.step(f"Find the {nth} number", nth, expression.format(v=names[-1], m=m)))
    if total:
        story.step("Add all the numbers", "total", " + ".join(names))
    story.say(ASK_SUM_OF_ROW if total else ASK_NTH, nth=ORDINALS[level - 1], k=len(names))
    wander(story, level, None)
