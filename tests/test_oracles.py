"""The scripted policy and judge behind "how good must a judge be?": legal play, and as many mistakes as asked for."""

import pytest

from rstar_mini.experiments.oracles import NoisyJudge, OraclePolicy
from rstar_mini.problems import load_problems
from rstar_mini.problems.puzzles.follow import Follower, read_puzzles
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Budget, Expander, is_right, sample, search


@pytest.fixture(scope="module")
def problems():
    return load_problems("puzzles", "validation", limit=10)


@pytest.fixture(scope="module")
def puzzles(problems):
    shipped = read_puzzles("validation")
    return {problem.id: shipped[problem.id] for problem in problems}


@pytest.fixture(scope="module")
def box():
    with Sandbox() as box:
        yield box


def searched(problems, puzzles, box, noise: float):
    expander = Expander(OraclePolicy(puzzles, 0.4), box, NoisyJudge(puzzles, noise, 0), "0", ground_truth=False)
    return search(problems, expander, Budget(candidates=4, rollouts=4, c=0.5))


def test_its_plays_are_sound_and_its_skill_shows(problems, puzzles, box):
    solved = []
    for skill in (0.0, 0.9):
        trees = sample(problems, Expander(OraclePolicy(puzzles, skill), box, ground_truth=False), 6, 1.0)
        ends = [end for tree in trees for end in tree.terminals()]
        assert len(ends) >= len(problems)
        for end in ends:
            assert Follower(puzzles[tree_of(trees, end)]).follow(end.steps()[:-1]).fault == ""
        solved.append(sum(any(is_right(end, tree.problem) for end in tree.terminals()) for tree in trees))
    assert solved[0] < solved[1] == len(problems)


def tree_of(trees, end):
    root = end
    while root.parent:
        root = root.parent
    return next(tree.problem.id for tree in trees if tree.root is root)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_judge_is_wrong_about_as_many_states_as_asked_for(problems, puzzles, box, noise):
    wrong = [
        (node.prior > 0) != Follower(puzzles[tree.problem.id]).winnable(node.steps())
        for tree in searched(problems, puzzles, box, noise)
        for node in tree.nodes()
        if node.parent and not node.terminal
    ]
    assert len(wrong) > 200
    assert sum(wrong) / len(wrong) == pytest.approx(noise, abs=0.08)


def test_an_exact_judge_solves_more_than_one_that_guesses(problems, puzzles, box):
    solved = {
        noise: sum(
            is_right(max(tree.terminals(), key=lambda end: end.prior, default=None), tree.problem)
            for tree in searched(problems, puzzles, box, noise)
        )
        for noise in (0.0, 0.5)
    }
    assert solved[0.0] > solved[0.5]
