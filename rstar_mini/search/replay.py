"""A finished search again, rollout by rollout: the same code walks a tree whose children are known already."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

from rstar_mini.errors import UserError
from rstar_mini.search.expand import Budget
from rstar_mini.search.mcts import grow
from rstar_mini.types import Node, Tree


class _Recorded:
    """In the place of an `Expander`: gives each leaf the children that it got in the finished tree."""

    def __init__(self, tree: Tree, ground_truth: bool) -> None:
        self.ground_truth = ground_truth
        self.ready: list[tuple[Tree, Node]] = []
        self.nodes = {node_path(node): node for node in tree.nodes()}

    @property
    def busy(self) -> bool:
        return bool(self.ready)

    def submit(self, leaves: Sequence[tuple[Tree, Node, int]], temperature: float) -> None:
        for tree, leaf, _ in leaves:
            known = self.nodes[node_path(leaf)]
            leaf.expanded, leaf.dropped = True, known.dropped
            leaf.children = [_fresh(child, leaf) for child in known.children]
            self.ready.append((tree, leaf))

    def collect(self) -> list[tuple[Tree, Node]]:
        ready, self.ready = self.ready, []
        return ready

    def release(self, ended: Sequence[tuple[Tree, Node]]) -> None:
        pass


def replay(tree: Tree, budget: Budget) -> list[Tree]:
    """The tree after 0, 1, 2, ... of its rollouts. `budget` gives c, the depth and the rule for unvisited children.

    Raises:
        UserError: the walk ends elsewhere than the tree, so it was searched with another budget, or not by rollouts.
    """
    judged = any(node.correct is not None for node in tree.nodes())
    now = Tree(tree.problem)
    expander = _Recorded(tree, judged)
    frames, one = [copy.deepcopy(now)], replace(budget, rollouts=1, extra_rollouts=0)
    for _ in range(tree.rollouts):
        grow([now], expander, one)  # type: ignore[arg-type]  # it has what a search asks of an Expander
        frames.append(copy.deepcopy(now))
    if [node.visits for node in now.nodes()] != [node.visits for node in tree.nodes()]:
        rule = "first" if budget.unvisited_first else "at 0"
        settings = f"c = {budget.c:g}, depth {budget.depth}, unvisited children {rule}"
        raise UserError(f"{tree.problem.id} was not searched with this budget ({settings}); give the tree's own")
    frames[-1].tokens = tree.tokens  # how many there were before is not recorded
    return frames


def walk(before: Tree, after: Tree) -> list[Node]:
    """The nodes of `after`, the root first, that the rollout between these two states went through and backed up."""
    earlier = {node_path(node): node.visits for node in before.nodes()}
    return [node for node in after.nodes() if node.visits > earlier.get(node_path(node), _fresh(node, node).visits)]


def _fresh(node: Node, parent: Node) -> Node:
    """The node as it was when it was made."""
    visits, value = (0, 0.0) if node.prior is None else (1, node.prior)
    made = Node(node.step, parent, visits=visits, value=value, prior=node.prior, correct=node.correct)
    made.multiplicity = node.multiplicity
    return made


def node_path(node: Node) -> tuple[str, ...]:
    """What stays the same about a node from one state of a search to the next: the texts that lead to it."""
    return tuple(step.full_text for step in node.steps())
