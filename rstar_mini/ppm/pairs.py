"""Preference pairs from trees (section 3.3): high-Q steps against low-Q steps under the same prefix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rstar_mini.code_cot import judged_text
from rstar_mini.types import Node, Problem, Tree


@dataclass(frozen=True, slots=True)
class Pair:
    """Two continuations of one prefix, the better first. `weight` is 1 / (n_pos n_neg) of Eq. 4.

    `final` marks pairs of whole trajectories, whose prefix is the bare question.
    """

    problem: Problem
    prefix: str
    chosen: str
    rejected: str
    weight: float
    q_chosen: float
    q_rejected: float
    final: bool = False

    def to_json(self) -> dict[str, Any]:
        """A row that `datasets` loads."""
        return asdict(self) | {"problem": self.problem.to_json()}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Pair:
        """The inverse of `to_json`."""
        return cls(**row | {"problem": Problem.from_json(row["problem"])})


def preference_pairs(trees: Iterable[Tree], per_side: int = 2, margin: float = 0.0) -> list[Pair]:
    """Step pairs under every prefix and trajectory pairs for the final step, `per_side` a side (the paper's 2).

    A pair is kept when the two Q-values differ by more than `margin`. A problem whose trajectories are all right or all
    wrong gives none.
    """
    return [
        pair for tree in trees for pair in (*_step_pairs(tree, per_side, margin), *_final_pairs(tree, per_side, margin))
    ]


def _step_pairs(tree: Tree, per_side: int, margin: float) -> Iterator[Pair]:
    right, wrong = _leading_to(tree, True), _leading_to(tree, False)
    for node in tree.nodes():
        if all(child.terminal for child in node.children):
            continue  # the final step is compared by whole trajectories
        chosen = sorted((child for child in node.children if id(child) in right), key=lambda child: -child.q)
        rejected = sorted((child for child in node.children if id(child) in wrong), key=lambda child: child.q)
        prefix = "".join(step.full_text for step in node.steps())
        better = [(judged_text(child.step), child.q) for child in chosen[:per_side]]
        worse = [(judged_text(child.step), child.q) for child in rejected[:per_side]]
        yield from _cross(tree.problem, prefix, better, worse, margin, final=False)


def _final_pairs(tree: Tree, per_side: int, margin: float) -> Iterator[Pair]:
    trajectories = [tree.trajectory(node) for node in tree.terminals()]
    right = sorted((t for t in trajectories if t.correct), key=lambda t: -t.mean_q)
    wrong = sorted((t for t in trajectories if t.correct is False), key=lambda t: t.mean_q)
    better = [(t.text, t.mean_q) for t in right[:per_side]]
    worse = [(t.text, t.mean_q) for t in wrong[:per_side]]
    yield from _cross(tree.problem, "", better, worse, margin, final=True)


def _cross(
    problem: Problem,
    prefix: str,
    better: Sequence[tuple[str, float]],
    worse: Sequence[tuple[str, float]],
    margin: float,
    final: bool,
) -> Iterator[Pair]:
    """Every better against every worse; the weight makes each prefix count once, however many pairs it gives."""
    kept = [(b, w) for b in better for w in worse if b[1] - w[1] > margin]
    for (chosen, q_chosen), (rejected, q_rejected) in kept:
        yield Pair(problem, prefix, chosen, rejected, 1 / len(kept), q_chosen, q_rejected, final)


def _leading_to(tree: Tree, correct: bool) -> set[int]:
    """Ids of the nodes below or at which a terminal with this ground truth lies."""
    found: set[int] = set()
    for terminal in tree.terminals():
        node: Node | None = terminal if terminal.correct is correct else None
        while node is not None and id(node) not in found:
            found.add(id(node))
            node = node.parent
    return found
