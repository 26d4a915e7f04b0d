"""What the base of the puzzles reads: random play that avoids held-out puzzles, and numbers of one token each."""

import itertools
from random import Random

import pytest
import torch

from rstar_mini.code_cot import split_steps
from rstar_mini.finetune.number_features import plant_number_features
from rstar_mini.finetune.plays import REACHED, plays
from rstar_mini.finetune.tokenizer import NUMBERS, build_tokenizer, puzzle_lines
from rstar_mini.problems import load_problems
from rstar_mini.problems.puzzles.generate import FAMILIES


@pytest.fixture(scope="module")
def read():
    return list(plays(300, Random(0), set()))


@pytest.fixture(scope="module")
def tokenizer(read):
    return build_tokenizer(question + play for question, play in read)


def states(play: str) -> list[list[int]]:
    """The numbers of each state that is shown, the final answer left out."""
    shown = [step.output.partition("<output>")[2].partition("<")[0] for step in split_steps(play)]
    return [[int(number) for number in output.split()] for output in shown if output][:-1]


def test_most_plays_miss_their_goal_and_some_reach_it(read):
    ends = [states(play)[-1] for _, play in read]
    assert all(left == 0 for *_, left in ends)
    reached = sum(now == goal for *_, now, goal, _ in ends) / len(ends)
    assert REACHED - 0.08 < reached < REACHED + 0.12


def test_a_play_keeps_to_its_goal_and_the_question_names_it(read):
    for question, play in read:
        first, last = states(play)[0], states(play)[-1]
        assert f" {first[-2]}" in question
        if "scales" not in question:  # there the other side is the goal, and grows
            assert first[-2] == last[-2]


def test_no_play_is_of_a_puzzle_to_avoid():
    """The first plays of a seed are drawn again when their keys are to be avoided."""
    from rstar_mini.problems.puzzles.puzzle import Puzzle, State

    question, play = next(iter(plays(1, Random(3), set())))
    now, goal, left = states(play)[0][-3:]
    key = Puzzle("moves", State(now, goal, left, tuple(states(play)[0][:-3]))).key
    assert next(iter(plays(1, Random(3), {key}))) != (question, play)


def test_every_number_is_one_token_wherever_it_stands(tokenizer):
    for number in ("0", "7", "42", "999"):
        (token,) = tokenizer.encode(number, add_special_tokens=False)
        for text in (f"has {number} pens", f"[{number}, 3]", f"${number}.", f"\\boxed{{{number}}}", f"({number})"):
            assert tokenizer.encode(text, add_special_tokens=False).count(token) == 1


def test_texts_come_back_unchanged(tokenizer, read):
    others = [problem.question for problem in load_problems("generated", limit=50)]
    for text in [*(question + play for question, play in read[:50]), *others, "a  b\n\n  c 1234 $5.50"]:
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_a_line_of_a_puzzles_code_is_one_token(tokenizer):
    assert len(puzzle_lines()) > 2 * len(FAMILIES)
    assert all(len(tokenizer.encode(line, add_special_tokens=False)) == 1 for line in puzzle_lines())


def test_products_of_number_features_depend_on_the_difference_alone():
    embeddings = torch.zeros(len(NUMBERS), 64)
    plant_number_features(embeddings, list(range(len(NUMBERS))), 0.1)
    products = embeddings @ embeddings.T
    for difference in (0, 1, 17):
        row = torch.diagonal(products, difference)
        assert torch.allclose(row, row[0].expand_as(row), atol=1e-4)
    nearest = [max(range(1000), key=lambda other, n=n: products[n, other].item()) for n in (3, 250, 999)]
    assert nearest == [3, 250, 999]


def test_the_same_seed_gives_the_same_plays():
    first, again = (list(itertools.islice(plays(9, Random(5), set()), 9)) for _ in range(2))
    assert first == again
