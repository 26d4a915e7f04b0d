"""Monte Carlo Tree Search over steps (section 3.2), of many problems at once.

One rollout walks from the root to a terminal node: `select` goes down by UCT (Eq. 1), a leaf is expanded on the way,
and `backup` adds the terminal's reward to every node of the path (Eq. 2). A node is expanded once; a branch in which
nothing is left to expand is closed and no longer walked, so that no rollout is spent on repeating an earlier one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from rstar_mini.search.expand import Budget, Expander
from rstar_mini.types import Node, Problem, Tree

DEAD_END = -1.0  # reward of a path on which no candidate ran, or which grew past the depth limit
IN_FLIGHT = 256  # trees at work together: enough to fill a batch; more only take memory, and time in cache misses


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


def backup(node: Node, reward: float) -> list[Node]:
    """q(s) += reward, N(s) += 1 for every node from the leaf to the root (Eq. 2); branches without open ends close.

    Returns:
        the nodes that closed.
    """
    closed: list[Node] = []
    current: Node | None = node
    while current is not None:
        current.visits += 1
        current.value += reward
        if current is node or (current.expanded and all(child.closed for child in current.children)):
            current.closed = True
            closed.append(current)
        current = current.parent
    return closed


def search(
    problems: Sequence[Problem], expander: Expander, budget: Budget, on_tree: Callable[[Tree], None] | None = None
) -> list[Tree]:
    """One tree for each problem, searched together in waves; `on_tree` is told of each tree when it is finished."""
    trees = [Tree(problem) for problem in problems]
    grow(trees, expander, budget, on_tree)
    return trees


def grow(
    trees: Iterable[Tree],
    expander: Expander,
    budget: Budget,
    on_tree: Callable[[Tree], None] | None = None,
    unsolved_rollouts: Sequence[int] = (),
) -> None:
    """Add `budget.rollouts` rollouts to each tree; while it is unsolved the extra ones, then `unsolved_rollouts`."""
    stages = [*([budget.extra_rollouts] if budget.extra_rollouts else []), *unsolved_rollouts]
    walks = {id(tree): _Walk(tree, tree.rollouts + budget.rollouts, stages) for tree in trees}
    waiting = iter([(walk, walk.tree.root) for walk in walks.values()])
    ready = deque(islice(waiting, IN_FLIGHT))
    while ready or expander.busy:
        leaves, ended = [], []
        while ready:
            walk, node = ready.popleft()
            leaf, closed = _advance(walk, node, budget, expander.ground_truth)
            ended += [(walk.tree, node) for node in closed]
            if leaf is not None:
                leaves.append((walk.tree, leaf, budget.candidates))
            else:
                ready.extend(islice(waiting, 1))
                if on_tree:
                    on_tree(walk.tree)
        expander.release(ended)
        expander.submit(leaves, budget.temperature)
        ready.extend((walks[id(tree)], node) for tree, node in expander.collect())


@dataclass(slots=True)
class _Walk:
    """A tree with the number of rollouts it is to have, and what is added to it while it is unsolved."""

    tree: Tree
    goal: int
    stages: Sequence[int]

    def finished(self) -> bool:
        """Whether the rollouts are used up, or the tree; an unsolved tree enters its next stage first."""
        while self.tree.rollouts >= self.goal and self.stages and not self.tree.root.closed and not self.tree.solved:
            self.goal, self.stages = self.goal + self.stages[0], self.stages[1:]
        return self.tree.rollouts >= self.goal or self.tree.root.closed


def _advance(walk: _Walk, node: Node, budget: Budget, ground_truth: bool) -> tuple[Node | None, list[Node]]:
    """Finish rollouts until one meets a leaf that must be expanded (None when there are no more), and what closed."""
    closed: list[Node] = []
    while not walk.finished():
        leaf = select(node, budget)
        if not leaf.terminal and not leaf.expanded and leaf.depth < budget.depth:
            return leaf, closed
        closed += backup(leaf, terminal_reward(leaf, ground_truth) if leaf.terminal else DEAD_END)
        walk.tree.rollouts += 1
        node = walk.tree.root
    return None, closed


def terminal_reward(node: Node, ground_truth: bool) -> float:
    """+1 / -1 by ground truth when making data (0 when undecided); the PPM's score at test time (section 3.3)."""
    if ground_truth:
        return 0.0 if node.correct is None else 1.0 if node.correct else -1.0
    return node.prior or 0.0
