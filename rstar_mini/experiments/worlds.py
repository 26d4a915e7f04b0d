"""How good must a judge be? Puzzles under a scripted policy and judges with a counted share of mistakes.

This chose the world before the judge: it shows what search would gain from a judge of each quality. No model takes
part; search, sandbox and the choice of an answer are those of a run (`rstar_mini.experiments.oracles`).
"""

from __future__ import annotations

from collections.abc import Sequence

from rstar_mini.evaluation.shards import by_shard, one_by_one
from rstar_mini.evaluation.systems import GuidedTrees, Outcome, Samples
from rstar_mini.experiments.lab import Lab
from rstar_mini.experiments.oracles import NoisyJudge, OraclePolicy
from rstar_mini.experiments.results import Findings, Grid, claim_of, measured
from rstar_mini.problems import load_problems
from rstar_mini.problems.puzzles.follow import read_puzzles
from rstar_mini.problems.puzzles.generate import FAMILIES
from rstar_mini.search import Expander, Selection, is_right
from rstar_mini.types import Problem

TITLE = "Worlds: how good must a judge be?"
TABLES = ()
NOISE = (0.0, 0.1, 0.2, 0.3, 0.4)  # share of the states that the judge is wrong about
SKILL = 0.4  # how much more often than by chance the policy takes a decision that can still win
PROBLEMS = 60  # validation puzzles of each family
SAMPLE = 8  # steps, and so tokens, of one sample
BUDGET = {"candidates": 4, "rollouts": 8, "trajectories": 1, "c": 0.5}
SYSTEMS = ("one sample", "vote", "one of N right", "best of N", "search")


def worlds(lab: Lab) -> Findings:
    """Search, a vote and the best of N by a weighted vote, at equal tokens, for each family and share of mistakes."""
    grids, claims = [], []
    for family in FAMILIES:
        found = {noise: [_outcomes(lab, family, noise, seed) for seed in lab.seeds] for noise in NOISE}
        rows = {
            f"{noise:.0%} wrong": tuple(measured([outcomes[system] for outcomes in each]) for system in SYSTEMS)
            for noise, each in found.items()
        }
        grids.append(
            Grid(f"{family}: puzzles right (%), by the share of states that the judge is wrong about", SYSTEMS, rows)
        )
        for noise in (0.2, 0.4):
            search, vote = ([outcomes[system] for outcomes in found[noise]] for system in ("search", "vote"))
            text = f"{family}: search over a vote of equal tokens, with a judge that is wrong about {noise:.0%}"
            claims.append(claim_of(text, "-", None, search, vote))
    return grids, claims


def _outcomes(lab: Lab, family: str, noise: float, seed: int) -> dict[str, Outcome]:
    puzzles = read_puzzles("validation")
    problems = load_problems("puzzles", "validation", PROBLEMS, [family])
    recipe = lab.recipe.model_copy(update={"evaluation": lab.recipe.evaluation.model_copy(update=BUDGET)})

    def ask(part: Sequence[Problem]) -> dict[str, Outcome]:
        here = {problem.id: puzzles[problem.id] for problem in part}
        policy = OraclePolicy(here, SKILL)

        def expander(name: str, judge: NoisyJudge | None = None) -> Expander:
            return Expander(policy, lab.box, judge, f"{seed}/worlds/{name}", ground_truth=False)

        grown = GuidedTrees(part, expander, NoisyJudge(here, noise, seed), recipe).until(1)
        votes = Samples(part, expander, "vote", recipe, SAMPLE * len(part)).until(grown.tokens)
        judge = NoisyJudge(here, noise, seed)
        best = Samples(part, expander, "best", recipe, 2 * SAMPLE * len(part), judge).until(grown.tokens)
        ends = [[end for trees in votes.drawn for end in trees[i].terminals()] for i in range(len(part))]
        one = [
            sum(e.multiplicity * is_right(e, p) for e in found) / votes.count
            for p, found in zip(part, ends, strict=True)
        ]
        some = [float(any(is_right(end, p) for end in found)) for p, found in zip(part, ends, strict=True)]
        values = (
            Outcome(one, votes.tokens // votes.count),
            votes.outcome(Selection.VOTE),
            Outcome(some, votes.tokens, votes.count),
            best.outcome(Selection.WEIGHTED),
            grown.outcome(Selection.WEIGHTED),
        )
        return dict(zip(SYSTEMS, values, strict=True))

    run = lab.run(seed)
    folder = lab.folder(run, f"worlds-{family}-{noise:g}-seed-{seed}", len(problems))
    lab.progress.stage(f"seed {seed}: {family}, judge wrong about {noise:.0%}", len(problems))
    return by_shard(problems, PROBLEMS, folder, one_by_one(ask), run.write_json, lab.progress)
