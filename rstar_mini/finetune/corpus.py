"""What the `tiny` base reads before any round: programs about questions whose answers it does not know.

The questions of the training problems, without their solutions, each with small programs that quote its sentences and
calculate with its numbers at random; and the few worked solutions, which alone show the right calculations.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator
from random import Random

from rstar_mini.code_cot import write_solution
from rstar_mini.prompts import PLAIN
from rstar_mini.types import Problem

SNIPPETS = 16  # for each question
WORKED_REPEATS = 8  # the worked solutions are few, and nothing else shows the right calculations
OPERATIONS = {
    "+": (operator.add, "total sum amount all"),
    "-": (operator.sub, "left rest remain need"),
    "*": (operator.mul, "many grown cost all"),
    "//": (operator.floordiv, "each share half full"),
}
"""Operators, what they do, and names that fit their results."""
LARGEST = 999  # products of the small programs have three digits at most
NUMBER = re.compile(r"\d+|\bhalf\b|\btwice\b")
SCRAMBLED, SWAPPED = 0.4, 0.3  # chances: the words of all sentences are shuffled; operands change places
IDLE, LONGER = 0.2, 0.5  # chances: a sentence is left out; a quotation goes on to a sentence without numbers


def corpus(problems: Iterable[Problem], rng: Random) -> list[tuple[str, str]]:
    """(context, text to learn): programs about each question, and every worked solution under its question."""
    problems = list(problems)
    worked = [(PLAIN.format(question=p.question), p.solution) for p in problems if p.solution]
    return [snippet(p.question, rng) for p in problems for _ in range(SNIPPETS)] + worked * WORKED_REPEATS


def snippet(question: str, rng: Random) -> tuple[str, str]:
    """A question that holds two numbers, as a docstring, and a small program about it. It solves nothing.

    In some, the words of every sentence are shuffled first: what cannot be guessed from habit must be copied.
    The program goes through the sentences in order, quotes some in each comment, and calculates with the numbers in
    them and the result before. The operators are drawn at random, without a look at the answer. So it teaches what
    every solution needs and no answer gives away: to keep one's place in a text, to quote, to copy numbers, and to know
    what a name stands for.
    """
    if rng.random() < SCRAMBLED:
        question = " ".join(_scrambled(sentence, rng) for sentence in _sentences(question))
    steps: list[tuple[str, str]] = []
    values: dict[str, int] = {}
    last = ""
    for quotation, numbers in _passages(question, rng):
        operands = (last or numbers[0], numbers[-1])
        left, right = operands[::-1] if rng.random() < SWAPPED else operands
        a, b = (values[side] if side in values else int(side) for side in (left, right))
        sign = rng.choice([sign for sign in OPERATIONS if _natural(a, sign, b)])
        compute, names = OPERATIONS[sign]
        last = rng.choice([name for name in names.split() if name not in values])
        values[last] = compute(a, b)
        steps.append((quotation, f"{last} = {left} {sign} {right}"))
    return f'"""{question}"""\n', write_solution(steps, last, str(values[last]))


def _sentences(question: str) -> list[str]:
    return re.split(r"(?<=[.?]) ", question)


def _scrambled(sentence: str, rng: Random) -> str:
    words = sentence[:-1].split()
    return " ".join(rng.sample(words, len(words))) + sentence[-1]


def _natural(a: int, sign: str, b: int) -> bool:
    """Results stay small whole numbers, and always at least one operator is left."""
    return sign == "+" or (a >= b > 0 if sign in ("-", "//") else a * b <= LARGEST)


def _passages(question: str, rng: Random) -> Iterator[tuple[str, list[str]]]:
    """Sentences together with their numbers: so many that there are two numbers at first, then at least one."""
    sentences = _sentences(question)
    telling = [sentence for sentence in sentences if NUMBER.search(sentence)]
    idle = rng.choice(telling) if len(telling) > 2 and rng.random() < IDLE else None
    quoted: list[str] = []
    numbers: list[str] = []
    wanted = 2
    for sentence, following in zip(sentences, [*sentences[1:], ""], strict=True):
        if sentence == idle:
            continue
        quoted.append(sentence)
        numbers += [found if found.isdigit() else "2" for found in NUMBER.findall(sentence)]
        goes_on = following and not NUMBER.search(following) and rng.random() < LONGER
        if len(numbers) >= wanted and not goes_on:
            yield " ".join(quoted), numbers
            quoted, numbers, wanted = [], [], 1
