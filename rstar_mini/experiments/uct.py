"""Choices of the search that the paper makes without an experiment, or leaves open: each against the way it is here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from rstar_mini.evaluation.shards import by_shard, one_by_one
from rstar_mini.evaluation.systems import Outcome
from rstar_mini.evolution.shards import round_budget
from rstar_mini.experiments.lab import AS_IT_IS, Lab
from rstar_mini.experiments.results import Findings, Grid, claim_of, measured
from rstar_mini.policy import forget
from rstar_mini.ppm.pairs import preference_pairs
from rstar_mini.search import Budget, Expander, search
from rstar_mini.types import Problem

TITLE = "Search: unvisited children, c, candidates"
TABLES: tuple[int, ...] = ()
PROBLEMS = 400  # training problems at most for each way to search
RELEASED = "an unvisited child scores 0 (released code)"
SOLVED, PAIRED = "solved", "gives a preference pair"


def uct(lab: Lab) -> Findings:
    """Trees of training problems by the policy of round 1, as round 2 would search them."""
    usual = round_budget(lab.recipe, lab.recipe.rounds[min(1, len(lab.rounds) - 1)])
    usual = replace(usual, unvisited_first=True)
    budgets: Mapping[str, Budget] = {
        AS_IT_IS: usual,
        RELEASED: replace(usual, unvisited_first=False),
        "c / 4": replace(usual, c=usual.c / 4),
        "c x 4": replace(usual, c=usual.c * 4),
        "candidates / 2": replace(usual, candidates=max(1, usual.candidates // 2)),
        "candidates x 2": replace(usual, candidates=usual.candidates * 2),
    }
    found = {name: _trees(lab, name, budget) for name, budget in budgets.items()}
    rows = {name: (measured(outcomes[SOLVED]), measured(outcomes[PAIRED])) for name, outcomes in found.items()}
    claim = claim_of(
        "unvisited children first: more trees give a pair than by the released rule",
        "Eq. 1",
        None,
        found[AS_IT_IS][PAIRED],
        found[RELEASED][PAIRED],
    )
    return [Grid("Trees of training problems (%), with the tokens of each", (SOLVED, PAIRED), rows)], [claim]


def _trees(lab: Lab, name: str, budget: Budget) -> dict[str, list[Outcome]]:
    """For every seed, which trees are solved, and which give a pair."""
    found = [_of(lab, seed, name, budget) for seed in lab.seeds]
    return {column: [outcomes[column] for outcomes in found] for column in (SOLVED, PAIRED)}


def _of(lab: Lab, seed: int, name: str, budget: Budget) -> dict[str, Outcome]:
    run, problems = lab.run(seed), lab.training(seed)[:PROBLEMS]
    lab.progress.stage(f"seed {seed}: search, {name}", len(problems))
    with closing(lab.models(seed).policy(1)) as policy:

        def ask(part: Sequence[Problem]) -> dict[str, Outcome]:
            trees = search(part, Expander(policy, lab.box, None, f"{seed}/experiments/uct"), budget)
            forget(policy)
            tokens = sum(tree.tokens for tree in trees)
            paired = [
                float(bool(preference_pairs([tree], lab.recipe.ppm.per_side, lab.recipe.ppm.margin))) for tree in trees
            ]
            return {SOLVED: Outcome([float(tree.solved) for tree in trees], tokens), PAIRED: Outcome(paired, tokens)}

        folder = lab.folder(run, f"search, {name}", len(problems))
        return by_shard(problems, lab.recipe.search.shard, folder, one_by_one(ask), run.write_json, lab.progress)
