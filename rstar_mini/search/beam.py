"""Beam search over steps, guided by the PPM: the paper's other search, without values that are backed up."""

from __future__ import annotations

from collections.abc import Sequence

from rstar_mini.search.expand import Expander
from rstar_mini.types import Node, Problem, Tree


def beam_search(
    problems: Sequence[Problem], expander: Expander, width: int, candidates: int, temperature: float, depth: int = 16
) -> list[Tree]:
    """One tree for each problem: at each depth the `width` steps of highest PPM score go on.

    A step that gives an answer stays in the tree, and leaves the beam narrower by one.
    """
    trees = [Tree(problem) for problem in problems]
    beams = {id(tree): [tree.root] for tree in trees}
    room = {id(tree): width for tree in trees}
    for _ in range(depth):
        expander.expand([(tree, node, candidates) for tree in trees for node in beams[id(tree)]], temperature)
        for tree in trees:
            found = [child for node in beams[id(tree)] for child in node.children]
            best = sorted(found, key=_score, reverse=True)[: room[id(tree)]]
            beams[id(tree)] = [node for node in best if not node.terminal]
            room[id(tree)] -= sum(node.terminal for node in best)
    return trees


def _score(node: Node) -> float:
    return node.prior or 0.0
