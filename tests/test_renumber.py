"""Verified solutions told again with other numbers."""

import re

import pytest

from rstar_mini.code_cot import split_steps, write_solution
from rstar_mini.finetune.renumber import renumber
from rstar_mini.sandbox import Sandbox
from rstar_mini.types import Problem, Trajectory


@pytest.fixture(scope="module")
def box():
    with Sandbox() as sandbox:
        yield sandbox


def solved(question: str, answer: str, *lines: str, printed: str | None = None) -> Trajectory:
    steps = [(f"Step with {line}", line) for line in lines]
    text = write_solution(steps, lines[-1].split(" = ")[0], printed or answer)
    text = text.replace(f"\\boxed{{{printed}}}", f"\\boxed{{{answer}}}") if printed else text
    return Trajectory(
        Problem("p", question, answer, level=2), tuple(split_steps(text)), (1.0,) * (len(lines) + 2), True
    )


ATE = solved("Paco had 37 cookies and 5 cakes. He ate 36 cookies. How many cookies are left?", "1", "left = 37 - 36")


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def test_copies_are_solutions_of_what_they_tell(box):
    copies = renumber([ATE], 6, 0, box)
    assert len(copies) == len({copy.problem.question for copy in copies}) == 6
    assert [copy.problem.id for copy in copies] == [f"p~{i}" for i in range(1, 7)]
    for copy in copies:
        had, cakes, ate = numbers(copy.problem.question)
        assert 10 <= had <= 99 and 10 <= ate <= 99 and 2 <= cakes <= 9
        assert copy.problem.answer == copy.answer == str(had - ate) and had > ate
        assert f"# Step with left = {had} - {ate}\nleft = {had} - {ate}\n" in copy.text
        assert f"<output>{had - ate}<end_of_output>" in copy.text and copy.correct and copy.qs == ATE.qs
        assert "".join(step.full_text for step in split_steps(copy.text)) == copy.text
        assert copy.problem.level == 2


def test_copies_of_one_problem_have_names_of_their_own(box):
    other = solved(ATE.problem.question, "1", "rest = 37 - 36")
    copies = renumber([ATE, other], 3, 0, box)
    assert len({copy.problem.id for copy in copies}) == len({copy.problem.question for copy in copies}) == 6


def test_the_same_seed_gives_the_same_copies(box):
    assert renumber([ATE], 3, 7, box) == renumber([ATE], 3, 7, box) != renumber([ATE], 3, 8, box)


def test_a_division_comes_out_even(box):
    question = "9 friends share 36 crackers. How many does each get?"
    [one, two] = (
        renumber([solved(question, "4", f"each = 36 {sign} 9", printed=printed)], 4, 0, box)
        for sign, printed in (("//", None), ("/", "4.0"))
    )
    assert one and two
    for copy in one + two:
        friends, crackers = numbers(copy.problem.question)
        assert crackers == friends * int(copy.problem.answer)
    assert all(f"<output>{copy.problem.answer}.0<" in copy.text for copy in two)


def test_numbers_of_the_code_alone_stay(box):
    question = "A cat sleeps 14 hours a day. How many hours does it sleep in a week?"
    [copy] = renumber([solved(question, "98", "week = 14 * 7")], 1, 0, box)
    hours = numbers(copy.problem.question)[0]
    assert f"week = {hours} * 7" in copy.text and copy.problem.answer == str(7 * hours)


def test_decimals_keep_their_places(box):
    [copy] = renumber([solved("A pen costs 1.25. What do 3 cost?", "3.75", "cost = 1.25 * 3")], 1, 0, box)
    price, count = re.findall(r"\d\.\d\d|\d", copy.problem.question)
    assert price != "1.25" and float(copy.problem.answer) == float(price) * int(count)


@pytest.mark.parametrize(
    "trajectory",
    [
        solved("Which is more, 3 or 4?", "B", "answer = 'B'"),
        solved("What is 0 or 1?", "1", "answer = 1"),
        solved("What are 20 % of 55?", "11", "part = 55 * 0.2"),
        solved("I had 1,000 and lost 300. What is left?", "700", "left = 1000 - 300"),
        solved("2 boxes hold 2 balls each. How many?", "4", "balls = 2 + 2"),
        solved("A square has sides of 2. What is its area?", "4", "area = 2 ** 2"),
        solved("A cat eats 7 mice a day. How many in a week?", "49", "mice = 7 * 7"),
    ],
    ids=["no number", "nothing to change", "percent", "thousands", "twice asked", "exponent", "constant"],
)
def test_what_cannot_be_told_again_has_no_copies(box, trajectory):
    assert renumber([trajectory], 2, 0, box) == []
