"""What a round's trees yield: trajectories for the policy, pairs for the PPM, coverage, and the unsolved problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from zlib import crc32

from rstar_mini.code_cot import split_steps
from rstar_mini.evolution.run import Run
from rstar_mini.files import read_jsonl
from rstar_mini.finetune.trajectories import best_trajectories
from rstar_mini.ppm.pairs import preference_pairs
from rstar_mini.types import Problem, Trajectory

TRAJECTORIES, RENUMBERED = "trajectories.jsonl", "renumbered.jsonl"


def harvest(run: Run, number: int, problems: Sequence[Problem]) -> dict[str, Any]:
    """Write a round's trajectories, pairs, unsolved problems and undecided answers; returns the counts of them.

    Where search does not find again what it found in an earlier round, the trajectories of that round stand in.
    """
    folder, recipe = run.round(number), run.recipe
    trees = run.trees(number)
    trajectories = best_trajectories(trees, recipe.sft.per_problem)
    pairs = preference_pairs(trees, recipe.ppm.per_side, recipe.ppm.margin)
    solved = {tree.problem.id for tree in trees if tree.solved}
    earlier = read_jsonl(run.round(number - 1) / TRAJECTORIES) if number > 1 else []
    carried = [row for row in earlier if row["problem"]["id"] not in solved]
    run.write_jsonl(folder / TRAJECTORIES, [*map(row_of_trajectory, trajectories), *carried])
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
    counts = {"trajectories": len(trajectories), "carried": len(carried)}
    counts |= {"pairs": len(pairs), "undecided": len(undecided)}
    return {"coverage": coverage(problems, solved)} | counts


def row_of_trajectory(trajectory: Trajectory) -> dict[str, Any]:
    """A row of trajectories.jsonl."""
    problem, qs = trajectory.problem, list(trajectory.qs)
    return {"prompt": problem.question, "completion": trajectory.text, "qs": qs, "problem": problem.to_json()}


def trajectory_from_row(row: dict[str, Any]) -> Trajectory:
    """The inverse of `row_of_trajectory`."""
    return Trajectory(Problem.from_json(row["problem"]), tuple(split_steps(row["completion"])), tuple(row["qs"]), True)


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
