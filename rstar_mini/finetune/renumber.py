"""Verified solutions with other numbers: what is verified in a program is its way, and that leads further.

Where only a few hundred problems have a solution, a policy learns their answers by heart. So each is told again with
other numbers, in question and code alike, and the program says the new answer. Not in the paper, which has 747,000
problems.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random

from rstar_mini.code_cot import END_CODE, boxed_answer, output_block, program
from rstar_mini.policy.base import noise_key
from rstar_mini.search.expand import Runner
from rstar_mini.types import Execution, Step, Trajectory

FIXED = ("0", "1")  # they stay: they seldom are an amount
TURNS, DRAWS = 10, 4  # how often numbers are drawn, and how many for each copy that is still missing
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?!\.?\d|\w)")


def renumber(trajectories: Iterable[Trajectory], copies: int, seed: int, box: Runner) -> list[Trajectory]:
    """Up to `copies` of each trajectory, with numbers of as many digits; where few fit, there are fewer copies.

    The new answer must be of the kind of the old one: positive, and whole, with no rest that a division has dropped.
    A copy's problem has the id of the old one with ~1, ~2 and so on. Without copies are trajectories whose answer is no
    number that their code has printed at its end, and those in which a number might play another part in the code than
    in the question: where one stands twice, in "20 %", and in "1,000".
    """
    olds = [each for each in trajectories if _prints_its_answer(each) and _each_number_has_one_part(each)]
    found: list[dict[str, Trajectory]] = [{} for _ in olds]  # by question, so that none comes twice
    for turn in range(TURNS):
        asked = [
            (copy, old, enough)
            for old, enough in zip(olds, found, strict=True)
            for n in range(DRAWS * (copies - len(enough)))
            if (copy := _told_again(old, Random(noise_key(seed, old.problem.id, old.text, turn, n))))
        ]
        runs = iter(box.run_many([code for copy, _, _ in asked for code in _programs(copy)]))
        for copy, old, enough in asked:
            made = _answered(copy, old, [next(runs) for _ in _programs(copy)])
            if made and len(enough) < copies:
                enough.setdefault(made.problem.question, made)
    return _numbered(copy for enough in found for copy in enough.values())


def _numbered(made: Iterable[Trajectory]) -> list[Trajectory]:
    """Those of one problem have numbers of their own."""
    count, named = Counter[str](), []
    for copy in made:
        count[copy.problem.id] += 1
        named.append(replace(copy, problem=replace(copy.problem, id=f"{copy.problem.id}~{count[copy.problem.id]}")))
    return named


def _prints_its_answer(trajectory: Trajectory) -> bool:
    *code, last = trajectory.steps
    one_program = [step.text.endswith(END_CODE) for step in code] == [False] * (len(code) - 1) + [True]
    return one_program and _value(last.answer or "") is not None


def _each_number_has_one_part(trajectory: Trajectory) -> bool:
    asked, code = trajectory.problem.question, program(trajectory.steps)
    lines = "\n".join(line for line in code.splitlines() if not line.lstrip().startswith("#"))
    said, used = Counter(_NUMBER.findall(asked)), Counter(_NUMBER.findall(lines))
    twice = [number for number in said if number not in FIXED and (said[number] > 1 or used[number] > 1)]
    return not twice and "%" not in asked and not re.search(r"\d,\d", asked)


def _told_again(old: Trajectory, luck: Random) -> Trajectory | None:
    """Question and code with other numbers, without answer; None where two of them, or all with the old, are one."""
    question = old.problem.question
    numbers = {number: _like(number, luck) for number in dict.fromkeys(_NUMBER.findall(question))}
    if len(set(numbers.values())) < len(numbers) or all(old == new for old, new in numbers.items()):
        return None

    def told(text: str) -> str:
        return _NUMBER.sub(lambda number: numbers.get(number[0], number[0]), text)

    steps = tuple(Step(told(step.text)) for step in old.steps[:-1])
    return Trajectory(replace(old.problem, question=told(question), solution=None), steps, old.qs, True)


def _like(number: str, luck: Random) -> str:
    """Another with as many digits."""
    if number in FIXED:
        return number
    first = luck.choice("23456789" if len(number) == 1 else "123456789")
    return first + re.sub(r"\d", lambda _: luck.choice("0123456789"), number[1:])


def _programs(copy: Trajectory) -> list[str]:
    """The code; where it drops the rest of a division, also the same without that."""
    code = program(copy.steps)
    return [code, code.replace("//", "/")] if "//" in code else [code]


def _answered(copy: Trajectory, old: Trajectory, runs: Sequence[Execution]) -> Trajectory | None:
    """The copy with what its code printed and its answer, if that is of the kind of the old one."""
    values = [_value(run.stdout) if run.ok else None for run in runs]
    value, before, old_answer = values[0], _value(old.steps[-1].answer or ""), old.steps[-1].answer
    if value is None or before is None or any(other != value for other in values):
        return None
    if value <= 0 < before or (before.is_integer() and not value.is_integer()):
        return None
    answer = f"{value:.0f}" if value.is_integer() else runs[0].stdout.strip()
    printed = replace(copy.steps[-1], output=output_block(runs[0].stdout))
    said = old.steps[-1].text.replace(f"\\boxed{{{old_answer}}}", f"\\boxed{{{answer}}}")
    if boxed_answer(said) != answer:
        return None
    steps = (*copy.steps[:-1], printed, Step(said, answer=answer))
    return replace(copy, problem=replace(copy.problem, answer=answer), steps=steps)


def _value(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
