"""Plain sampling of whole solutions: greedy decoding, majority vote and rejection sampling, without any search.

Samples that agree so far share one node, and `multiplicity` says how many they are; the policy is asked once for all of
them. The noise of each is its own, so this is the distribution of independent samples. A sample whose code fails is
lost.
"""

from __future__ import annotations

from collections.abc import Sequence

from rstar_mini.search.expand import Expander
from rstar_mini.types import Node, Problem, Tree


def sample(
    problems: Sequence[Problem],
    expander: Expander,
    n: int,
    temperature: float,
    depth: int = 16,
) -> list[Tree]:
    """`n` independent solutions of each problem, as one tree a problem; temperature 0 with n = 1 is greedy decoding."""
    trees = [Tree(problem, Node.root(n)) for problem in problems]
    expander.submit([(tree, tree.root, n) for tree in trees], temperature)
    while expander.busy:
        children = [(tree, child) for tree, node in expander.collect() for child in node.children]
        alive = [(tree, node, node.multiplicity) for tree, node in children if not node.terminal and node.depth < depth]
        expander.submit(alive, temperature)
    return trees
