"""Plain sampling of whole solutions: greedy decoding, majority vote and rejection sampling, without any search.

Samples that agree so far share one node, and `multiplicity` says how many they are; the policy is asked once for all of
them. The noise of each is its own, so this is the distribution of independent samples. A sample whose code fails is
lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rstar_mini.search.expand import Expander
from rstar_mini.types import Node, Problem, Tree


def sample(
    problems: Sequence[Problem],
    expander: Expander,
    n: int,
    temperature: float,
    depth: int = 16,
    on_wave: Callable[[int], None] | None = None,
) -> list[Tree]:
    """`n` independent solutions of each problem, as one tree a problem; temperature 0 with n = 1 is greedy decoding."""
    trees = [Tree(problem, Node.root(n)) for problem in problems]
    wave = [(tree, tree.root, n) for tree in trees]
    while wave:
        expander.expand(wave, temperature)
        children = [(tree, child) for tree, node, _ in wave for child in node.children]
        wave = [(tree, node, node.multiplicity) for tree, node in children if not node.terminal and node.depth < depth]
        if on_wave:
            on_wave(len(wave))
    return trees
