"""What a round's trees yield: trajectories for the policy, pairs for the PPM, coverage, and the unsolved problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any
from zlib import crc32

from rstar_mini.code_cot import split_steps
from rstar_mini.evolution.run import Run
from rstar_mini.files import iterate_jsonl
from rstar_mini.finetune.trajectories import best_trajectories
from rstar_mini.ppm.pairs import preference_pairs
from rstar_mini.problems.kinds import kinds
from rstar_mini.types import Problem, Trajectory, Tree

TRAJECTORIES, RENUMBERED = "trajectories.jsonl", "renumbered.jsonl"


def harvest(run: Run, number: int, problems: Sequence[Problem]) -> dict[str, Any]:
    """Write a round's trajectories, pairs, unsolved problems and undecided answers; returns the counts of them.

    Where search does not find again what it found in an earlier round, the trajectories of that round stand in. One
    shard after the other, so that no more of a round is in memory.
    """
    folder, recipe, solved, counts = run.round(number), run.recipe, set[str](), Counter[str]()
    with ExitStack() as opened:
        names = (TRAJECTORIES, "pairs.jsonl", "undecided.jsonl")
        trajectory, pair, undecided = (opened.enter_context(run.lines(folder / name)) for name in names)
        for trees in run.shards(number):
            solved |= {tree.problem.id for tree in trees if tree.solved}
            for best in best_trajectories(trees, recipe.sft.per_problem):
                trajectory(row_of_trajectory(best))
                counts["trajectories"] += 1
            for each in preference_pairs(trees, recipe.ppm.per_side, recipe.ppm.margin):
                pair(each.to_json())
                counts["pairs"] += 1
            for row in _undecided(trees):
                undecided(row)
                counts["undecided"] += 1
        for row in iterate_jsonl(run.round(number - 1) / TRAJECTORIES) if number > 1 else ():
            if row["problem"]["id"] not in solved:
                trajectory(row)
                counts["carried"] += 1
    run.write_jsonl(folder / "unsolved.jsonl", (p.to_json() for p in problems if p.id not in solved))
    made = {name: counts[name] for name in ("trajectories", "carried", "pairs", "undecided")}
    return {"coverage": coverage(problems, solved)} | made


def _undecided(trees: Sequence[Tree]) -> Iterator[dict[str, Any]]:
    """Answers that nobody can judge, and how often each was given."""
    said = Counter(
        (tree.problem.id, tree.problem.answer, node.step.answer)
        for tree in trees
        for node in tree.terminals()
        if node.correct is None
    )
    for (problem, gold, answer), n in said.items():
        yield {"problem": problem, "gold": gold, "predicted": answer, "times": n}


def row_of_trajectory(trajectory: Trajectory) -> dict[str, Any]:
    """A row of trajectories.jsonl."""
    problem, qs = trajectory.problem, list(trajectory.qs)
    return {"prompt": problem.question, "completion": trajectory.text, "qs": qs, "problem": problem.to_json()}


def trajectory_from_row(row: dict[str, Any]) -> Trajectory:
    """The inverse of `row_of_trajectory`."""
    return Trajectory(Problem.from_json(row["problem"]), tuple(split_steps(row["completion"])), tuple(row["qs"]), True)


def coverage(problems: Sequence[Problem], solved: set[str]) -> dict[str, dict[str, int]]:
    """How many problems have a verified right trajectory, over all, by kind and by level (table 2)."""
    groups: dict[str, list[Problem]] = {"all": list(problems)}
    groups |= {kind: [problems[place] for place in places] for kind, places in kinds(problems).items()}
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
