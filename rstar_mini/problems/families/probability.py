"""Probability: chances as exact fractions."""

from __future__ import annotations

from rstar_mini.problems.story import Story, clause
from rstar_mini.problems.tell import wander

SOME_RED = clause("""
    {A} has {m} {o} in a bag, and {n} of them are red.
    There are {m} {o} in the bag of {A}. {n} of the {o} are red.
    {n} of the {m} {o} in the bag of {A} are red.
    Of the {m} {o} of {A}, {n} are red. All are in a bag.
    ~ In the bag of {A} there are {m} {o}, {n} of them red.
""")
RED_AND_BLUE = clause("""
    {A} has {n} red and {m} blue {o} in a bag.
    There are {n} red {o} and {m} blue {o} in the bag of {A}.
    {n} of the {o} in the bag of {A} are red, the other {m} are blue.
    {A} puts {n} red and also {m} blue {o} into a bag.
    ~ In the bag of {A} there are {n} {o} that are red and {m} that are blue.
""")
PUTS = clause("""
    Then {A} puts {n} more {colour} {o} into the bag.
    {C} adds {n} {colour} {o} to the bag.
    {n} more {colour} {o} go into the bag.
    {A} finds {n} {colour} {o} and adds them.
    ~ Into the bag {A} puts {n} {colour} {o} more.
""")
TAKES = clause("""
    Then {A} takes {n} {colour} {o} away from the bag.
    {C} gets {n} of the {colour} {o} from the bag.
    {n} of the {colour} {o} are taken away.
    {A} loses {n} of the {colour} {o}.
    ~ From the bag {A} takes {n} {colour} {o} away.
""")
ASK_RED = clause("""
    {A} takes one {s} from the bag. What is the chance that it is red?
    What is the chance that {A} takes a red {s} from the bag?
    Find the chance that one {s} from the bag is red.
    One {s} is taken from the bag. Find the chance that it is red.
    ~ If {A} takes one {s} from the bag, what is the chance that it is red?
""")
ASK_NOT_RED = clause("""
    {A} takes one {s} from the bag. What is the chance that it is not red?
    What is the chance that {A} takes a {s} that is not red from the bag?
    Find the chance that one {s} from the bag is not red.
    One {s} is taken from the bag. Find the chance that it is not red.
    ~ If {A} takes one {s} from the bag, what is the chance that it is not red?
""")
ASK_TWICE = clause("""
    {A} takes one {s}, puts it back and takes one again. What is the chance that both are red?
    What is the chance that {A} takes a red {s}, puts it back and takes a red one again?
    One {s} is taken, put back, and then one is taken again. Find the chance that both are red.
    Find the chance that {A} takes a red {s} two times if it is put back each time.
    ~ If {A} takes one {s} two times and puts it back each time, what is the chance that both are red?
""")
FRACTIONS = ("Use exact fractions", "from fractions import Fraction")
ASKS = (
    (ASK_NOT_RED, "Find the chance of not red", "1 - {chance}"),
    (ASK_TWICE, "Multiply both chances", "{chance} * {chance}"),
)


def chances(story: Story, level: int) -> None:
    """A bag of red and blue objects, changed a few times, and the chance of a red one."""
    late = level > 1 and story.rng.random() < 0.5
    given = level - late == 1
    red, blue = story.rng.sample(range(3, 13), 2)
    amounts = {"red": str(red), "blue": str(blue), "total": str(red + blue)}
    story.setup = [FRACTIONS]
    story.say(SOME_RED, n=red, m=red + blue) if given else story.say(RED_AND_BLUE, n=red, m=blue)
    for _ in range(level - 2 - late):
        _change(story, amounts)
    if not given:
        amounts["total"] = story.step("Count all the {o}", "total", "{red} + {blue}".format_map(amounts))
    chance = story.step("Find the chance of red", "chance", "Fraction({red}, {total})".format_map(amounts))
    asks, comment, expression = story.rng.choice(ASKS)
    if late:
        story.step(comment, "result", expression.format(chance=chance))
    story.say(asks if late else ASK_RED)
    wander(story, level, None)


def _change(story: Story, amounts: dict[str, str]) -> None:
    colour = story.rng.choice(("red", "blue"))
    now = amounts[colour]
    room = int(story.value(now)) - 1
    grows = room < 3 or story.rng.random() < 0.5
    n = story.rng.randint(2, 9 if grows else room)
    story.say(PUTS if grows else TAKES, n=n, colour=colour)
    names = f"{colour}s more_{colour} last_{colour}"
    amounts[colour] = story.step(f"Count the {colour} " + "{o}", names, f"{now} {'+' if grows else '-'} {n}")
