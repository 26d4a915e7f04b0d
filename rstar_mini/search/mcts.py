"""Monte Carlo Tree Search over steps (section 3.2), batched over problems.

One rollout walks from the root to a terminal node: `select` goes down by UCT (Eq. 1), a leaf is expanded on the way,
and `backup` adds the terminal's reward to every node of the path (Eq. 2). A node is expanded once; a branch in which
nothing is left to expand is closed and no longer walked, so that no rollout is spent on repeating an earlier one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from rstar_mini.search.expand import Budget, Expander
from rstar_mini.types import Node, Problem, Tree

DEAD_END = -1.0  # reward of a path on which no candidate ran, or which grew past the depth limit


def uct(node: Node, c: float, unvisited_first: bool = True) -> float:
    """UCT(s) = Q(s) + c sqrt(ln N_parent(s) / N(s)) (Eq. 1)."""
    assert node.parent is not None
    if not node.visits:
        return math.inf if unvisited_first else 0.0
    return node.q + c * math.sqrt(math.log(max(node.parent.visits, 1)) / node.visits)


def select(node: Node, budget: Budget) -> Node:
    """Walk down the open children of highest UCT (the first of equals) to a node that is a leaf."""
    while node.expanded and not node.terminal:
        open_children = [child for child in node.children if not child.closed]
        if not open_children:
            break
        node = max(open_children, key=lambda child: uct(child, budget.c, budget.unvisited_first))
    return node


def backup(node: Node, reward: float) -> None:
    """q(s) += reward, N(s) += 1 for every node from the leaf to the root (Eq. 2); branches without open ends close."""
    current: Node | None = node
    while current is not None:
        current.visits += 1
        current.value += reward
        ended = current is node or (current.expanded and all(child.closed for child in current.children))
        current.closed = current.closed or ended
        current = current.parent


def search(
    problems: Sequence[Problem], expander: Expander, budget: Budget, on_tree: Callable[[Tree], None] | None = None
) -> list[Tree]:
    """One tree for each problem, searched together in waves; `on_tree` is told of each tree when it is finished."""
    trees = [Tree(problem) for problem in problems]
    grow(trees, expander, budget, on_tree)
    return trees


def grow(
    trees: Iterable[Tree], expander: Expander, budget: Budget, on_tree: Callable[[Tree], None] | None = None
) -> None:
    """Add `budget.rollouts` rollouts to each tree, and `budget.extra_rollouts` to those that are unsolved then."""
    goals = {id(tree): tree.rollouts + budget.rollouts for tree in trees}
    leaves = {id(tree): (tree, tree.root) for tree in trees}
    extended: set[int] = set()
    while leaves:
        wave: list[tuple[Tree, Node, int]] = []
        for key, (tree, node) in list(leaves.items()):
            leaf = _advance(tree, node, goals[key], budget, expander.ground_truth)
            if (
                leaf is None
                and budget.extra_rollouts
                and key not in extended
                and not tree.solved
                and not tree.root.closed
            ):
                extended.add(key)
                goals[key] += budget.extra_rollouts
                leaf = _advance(tree, tree.root, goals[key], budget, expander.ground_truth)
            if leaf is None:
                del leaves[key]
                if on_tree:
                    on_tree(tree)
            else:
                leaves[key] = (tree, leaf)
                wave.append((tree, leaf, budget.candidates))
        if wave:
            expander.expand(wave, budget.temperature)


def _advance(tree: Tree, node: Node, goal: int, budget: Budget, ground_truth: bool) -> Node | None:
    """Finish rollouts until one meets a leaf that must be expanded; None when the budget or the tree is used up."""
    while tree.rollouts < goal and not tree.root.closed:
        leaf = select(node, budget)
        if not leaf.terminal and not leaf.expanded and leaf.depth < budget.depth:
            return leaf
        backup(leaf, terminal_reward(leaf, ground_truth) if leaf.terminal else DEAD_END)
        tree.rollouts += 1
        node = tree.root
    return None


def terminal_reward(node: Node, ground_truth: bool) -> float:
    """+1 / -1 by ground truth when making data (0 when undecided); the PPM's score at test time (section 3.3)."""
    if ground_truth:
        return 0.0 if node.correct is None else 1.0 if node.correct else -1.0
    return node.prior or 0.0
