"""Table 7: policies trained from the base on as many solutions of the same problems, chosen in other ways."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache

from rstar_mini.code_cot import split_steps
from rstar_mini.evaluation.paper import known, paper_table
from rstar_mini.evaluation.systems import MakeExpander, Outcome, greedily, score_ends
from rstar_mini.evolution.models import Models
from rstar_mini.experiments.judges import rival
from rstar_mini.experiments.lab import Lab
from rstar_mini.experiments.results import Findings, Grid, claim_of, measured
from rstar_mini.policy import forget
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.search import Expander, sample
from rstar_mini.types import Node, Problem, Trajectory, Tree

TITLE = "SFT data: step-verified, rejection sampling, random, and the seed solutions"
TABLES = (7,)
SAMPLES = 8  # of each training problem, by the policy of the round before the last; the paper takes 32
VERIFIED, REJECTION, RANDOM = "step-verified", "rejection sampling", "random sample"  # as in table 7
FEW, SEED = "step-verified, of problems with a seed solution", "seed solutions"


def data(lab: Lab) -> Findings:
    """Greedy accuracy of policies that differ in what they were fine-tuned on, and in nothing else."""
    solutions = cache(lambda seed: _solutions(lab, seed))
    seeded = any(problem.solution for problem in lab.training(lab.seeds[0]))
    names = (VERIFIED, REJECTION, RANDOM, *((FEW, SEED) if seeded else ()))
    found = {name: _greedy(lab, name, solutions) for name in names}
    rows = {name: (measured(outcomes),) for name, outcomes in found.items()}
    paper = paper_table(7).column("MATH")
    claims = [
        claim_of(
            f"{VERIFIED} over {other}",
            "7",
            known(paper, VERIFIED) - known(paper, other),
            found[VERIFIED],
            found[other],
        )
        for other in (REJECTION, RANDOM)
    ]
    return [Grid("Held-out problems right (%), greedy", ("greedy",), rows)], claims


def _greedy(lab: Lab, name: str, solutions: Callable[[int], dict[str, list[Trajectory]]]) -> list[Outcome]:
    """The policy trained from the base on these solutions."""

    def models(seed: int) -> Models:
        return lab.policy_from(seed, f"policy from {name}", lambda: solutions(seed)[name])

    def ask(problems: Sequence[Problem], expander: MakeExpander, _: PPMScorer | None) -> dict[str, Outcome]:
        return {"greedy": greedily(problems, expander("greedy"), lab.recipe)}

    return lab.measure(f"policy from {name}", models, 1, ask)["greedy"]


def _solutions(lab: Lab, seed: int) -> dict[str, list[Trajectory]]:
    """For each way to choose: as many solutions of each problem, of the problems that every way has solutions of."""
    per_problem, luck = lab.recipe.sft.per_problem, random.Random(seed)
    verified: defaultdict[str, list[Trajectory]] = defaultdict(list)
    for trajectory in lab.trajectories(seed):
        verified[trajectory.problem.id].append(trajectory)
    chosen: dict[str, list[Trajectory]] = {name: [] for name in (VERIFIED, REJECTION, RANDOM, FEW, SEED)}
    for tree in _samples(lab, seed):
        right = list({tree.trajectory(end).text: end for end in tree.terminals() if end.correct}.values())
        best = verified[tree.problem.id]
        n = min(per_problem, len(right), len(best))
        chosen[VERIFIED] += best[:n]
        chosen[REJECTION] += map(tree.trajectory, sorted(right, key=_score, reverse=True)[:n])
        chosen[RANDOM] += map(tree.trajectory, luck.sample(right, n))
        if tree.problem.solution and best:
            chosen[FEW] += best[:1]
            chosen[SEED].append(Trajectory(tree.problem, tuple(split_steps(tree.problem.solution)), correct=True))
    return chosen


def _samples(lab: Lab, seed: int) -> list[Tree]:
    """Whole solutions of the training problems by the policy of the round before, each scored by an ORM."""
    problems, models, number = lab.training(seed), lab.models(seed), max(0, lab.rounds[-1] - 1)
    judge, size = rival(lab, seed, "ORM").scorer(1), lab.recipe.search.shard
    lab.progress.stage(f"seed {seed}: samples of the training problems", len(problems))
    trees: list[Tree] = []
    with closing(models.policy(number)) as policy:
        for first in range(0, len(problems), size):
            part = problems[first : first + size]
            expander = Expander(policy, lab.box, None, f"{seed}/experiments/data")
            found = sample(part, expander, SAMPLES, lab.recipe.search.temperature, lab.recipe.search.depth)
            score_ends(found, judge)
            trees += found
            forget(policy, judge)
            lab.progress.advance(len(part))
    return trees


def _score(end: Node) -> float:
    return end.prior or 0.0
