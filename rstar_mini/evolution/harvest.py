"""What a round's trees yield: trajectories for the policy, pairs for the PPM, coverage, and the unsolved problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from zlib import crc32

from rstar_mini.evolution.run import Run
from rstar_mini.finetune.trajectories import best_trajectories
from rstar_mini.ppm.pairs import preference_pairs
from rstar_mini.types import Problem


def harvest(run: Run, number: int, problems: Sequence[Problem]) -> dict[str, Any]:
    """Write a round's trajectories, pairs, unsolved problems and undecided answers; returns the counts of them."""
    folder, recipe = run.round(number), run.recipe
    trees = run.trees(number)
    trajectories = best_trajectories(trees, recipe.sft.per_problem)
    pairs = preference_pairs(trees, recipe.ppm.per_side, recipe.ppm.margin)
    solved = {tree.problem.id for tree in trees if tree.solved}
    run.write_jsonl(
        folder / "trajectories.jsonl",
        (
            {"prompt": t.problem.question, "completion": t.text, "qs": list(t.qs), "problem": t.problem.to_json()}
            for t in trajectories
        ),
    )
    run.write_jsonl(folder / "pairs.jsonl", (pair.to_json() for pair in pairs))
    run.write_jsonl(folder / "unsolved.jsonl", (p.to_json() for p in problems if p.id not in solved))
    undecided = Counter(
        (tree.problem.id, tree.problem.answer, node.step.answer)
        for tree in trees
        for node in tree.terminals()
        if node.correct is None
    )
    run.write_jsonl(
        folder / "undecided.jsonl",
        ({"problem": p, "gold": gold, "predicted": said, "times": n} for (p, gold, said), n in undecided.items()),
    )
    counts = {"trajectories": len(trajectories), "pairs": len(pairs), "undecided": len(undecided)}
    return {"coverage": coverage(problems, solved)} | counts


def coverage(problems: Sequence[Problem], solved: set[str]) -> dict[str, dict[str, int]]:
    """How many problems have a verified right trajectory, over all and by level (table 2)."""
    groups: dict[str, list[Problem]] = {"all": list(problems)}
    for problem in sorted(problems, key=lambda p: p.level or 0):
        if problem.level is not None:
            groups.setdefault(str(problem.level), []).append(problem)
    return {name: {"correct": sum(p.id in solved for p in group), "n": len(group)} for name, group in groups.items()}


def held_back(problems: Sequence[Problem], share: float) -> list[Problem]:
    """A `share` of the problems, drawn by their ids: their pairs tell how good a PPM is, and train none.

    Drawn, because levels and families may come in turns.
    """
    drawn = sorted(problems, key=lambda problem: crc32(problem.id.encode()))
    return drawn[: round(share * len(problems))]
