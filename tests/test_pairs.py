"""Pairs and trajectories from a tree made by hand."""

import pytest

from rstar_mini.finetune import best_trajectories
from rstar_mini.ppm import Pair, preference_pairs
from rstar_mini.types import Node, Problem, Step, Tree

PROBLEM = Problem("p", "q", "7")


def grown(problem: Problem = PROBLEM) -> Tree:
    """Root -> steps a (Q 0.9), b (0.2), c (-0.3), d (-0.8); a and b lead to the right answer, b, c, d to wrong ones."""
    tree = Tree(problem)

    def add(parent: Node, text: str, q: float, correct: bool | None = None) -> Node:
        answer = "x" if correct is not None else None
        node = Node(Step(text, answer=answer), parent, visits=10, value=10 * q, correct=correct, expanded=True)
        parent.children.append(node)
        return node

    a, b = add(tree.root, "a<end_of_step>", 0.9), add(tree.root, "b<end_of_step>", 0.2)
    c, d = add(tree.root, "c<end_of_step>", -0.3), add(tree.root, "d<end_of_step>", -0.8)
    add(a, "A<end_of_answer>", 1.0, True)
    add(b, "B<end_of_answer>", 0.6, True)
    add(b, "B'<end_of_answer>", -0.2, False)
    add(c, "C<end_of_answer>", -1.0, False)
    add(d, "D<end_of_answer>", -1.0, False)
    return tree


def steps(pairs: list[Pair]) -> list[tuple[str, str]]:
    return [(p.chosen[0], p.rejected[0]) for p in pairs if not p.final]


def test_step_pairs_are_two_best_right_against_two_worst_wrong():
    pairs = [p for p in preference_pairs([grown()]) if not p.final]
    assert steps(pairs) == [("a", "d"), ("a", "c"), ("b", "d"), ("b", "c")]
    assert {p.weight for p in pairs} == {0.25} and {p.prefix for p in pairs} == {""}
    assert (pairs[0].q_chosen, pairs[0].q_rejected) == (pytest.approx(0.9), pytest.approx(-0.8))


def test_final_pairs_compare_whole_trajectories_by_mean_q():
    pairs = [p for p in preference_pairs([grown()]) if p.final]
    assert pairs[0].chosen == "a<end_of_step>A<end_of_answer>"
    assert [p.rejected[:1] for p in pairs] == ["d", "c", "d", "c"]
    assert (pairs[0].q_chosen, pairs[0].q_rejected) == (pytest.approx(0.95), pytest.approx(-0.9))


def test_a_node_is_never_preferred_to_itself_and_margins_filter():
    tree = grown()
    tree.root.children = tree.root.children[1:2]  # only b, which leads both ways
    assert steps(preference_pairs([tree])) == []
    assert steps(preference_pairs([grown()], margin=1.6)) == [("a", "d")]
    assert steps(preference_pairs([grown()], per_side=1)) == [("a", "d")]


def test_all_right_or_all_wrong_gives_no_pair():
    tree = grown()
    tree.root.children = tree.root.children[2:]
    assert preference_pairs([tree]) == []


def test_pairs_survive_json():
    pair = preference_pairs([grown()])[0]
    assert Pair.from_json(pair.to_json()) == pair


def test_trajectories_are_the_best_right_ones_by_mean_q():
    assert [t.text[0] for t in best_trajectories([grown()])] == ["a", "b"]
    assert [t.text[0] for t in best_trajectories([grown()], per_problem=1)] == ["a"]


def test_labels_by_agreement_need_half_of_the_trajectories_right():
    assert best_trajectories([grown(Problem("p", "q", "7", agreement=0.4))]) == []  # 2 of 5 are right
    assert len(best_trajectories([grown(Problem("p", "q", "7"))])) == 2
