"""Which trajectories the next policy learns from (section 3.2): the best few correct ones of each problem."""

from __future__ import annotations

from collections.abc import Iterable

from rstar_mini.types import Trajectory, Tree

MIN_AGREEMENT_ACCURACY = (
    0.5  # section 3.4.1: problems labelled by agreement whose trajectories are right less often are dropped
)


def best_trajectories(trees: Iterable[Tree], per_problem: int = 2) -> list[Trajectory]:
    """The `per_problem` correct trajectories of highest mean Q of each tree, distinct as text, best first.

    Problems whose label came from agreement, and whose trajectories are right in less than half of the cases, give
    none.
    """
    chosen: list[Trajectory] = []
    for tree in trees:
        trajectories = [tree.trajectory(node) for node in tree.terminals()]
        right = {t.text: t for t in sorted(trajectories, key=lambda t: t.mean_q) if t.correct}
        trusted = tree.problem.agreement is None or len(right) >= MIN_AGREEMENT_ACCURACY * len(trajectories)
        if trusted:
            chosen.extend(sorted(right.values(), key=lambda t: -t.mean_q)[:per_problem])
    return chosen
