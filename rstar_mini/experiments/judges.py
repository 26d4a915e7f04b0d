"""Table 8 and its rivals: ways to spend the tokens of the search, and judges from the same trees.

Every rival of the search under the PPM may use as many tokens as it does. PPM, PQM and ORM have read as many sequences
in training. Two rows are ceilings that no model may use: one of N samples is right, and, of puzzles, one of N stands at
its goal.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from rstar_mini.evaluation.paper import known, paper_table
from rstar_mini.evaluation.systems import MakeExpander, Outcome, Samples, beam
from rstar_mini.evolution.harvest import held_back
from rstar_mini.evolution.models import Models
from rstar_mini.experiments.lab import Lab
from rstar_mini.experiments.results import Findings, claims_by_kind, grids_by_kind
from rstar_mini.policy import forget
from rstar_mini.ppm.regression import ScoredSteps, outcome_scores, step_scores, train_regression
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.problems.puzzles.follow import Follower, read_puzzles
from rstar_mini.search import Selection
from rstar_mini.training import AnyModel
from rstar_mini.types import Problem

TITLE = "Judges and rivals: search under the PPM against all else that its tokens buy"
TABLES = (8,)
SEARCH, PQM, ORM = "PPM, MCTS", "PQM, MCTS", "ORM, best of N"  # as in table 8
BEST, WEIGHTED, BEAM = "PPM, best of N", "PPM, weighted vote of N", "PPM, beam"
SOME, CHECKED = "ceiling: one of N right", "ceiling: one of N at its goal"
WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16)


def judges(lab: Lab) -> Findings:
    """The last round's policy alone, and under three judges."""
    last = lab.rounds[-1]
    own = lab.systems(last)
    search = own["mcts"]
    found = {"greedy": own["greedy"], "vote of N": own["vote"]}
    found |= _drawn(lab, "PPM", search, lambda seed: lab.models(seed).scorer(last))
    orm = _drawn(lab, "ORM", search, lambda seed: rival(lab, seed, "ORM").scorer(1))
    found[ORM] = orm[BEST]
    found[PQM] = lab.guided("PQM", last, lambda seed: rival(lab, seed, "PQM").scorer(1))
    found[SEARCH] = search
    found |= {ceiling: found.pop(ceiling) for ceiling in (SOME, CHECKED)}  # at the end
    paper = paper_table(8).column("MATH")
    claims = []
    for rival_name in ("greedy", "vote of N", WEIGHTED, BEST, BEAM, ORM, PQM):
        theirs = known(paper, SEARCH) - known(paper, rival_name) if rival_name in (ORM, PQM) else None
        text = f"search under the PPM over {rival_name}"
        claims += claims_by_kind(text, "8", theirs, search, found[rival_name], lab.problems)
    rows = {name: [outcomes] for name, outcomes in found.items()}
    return grids_by_kind("Held-out problems right (%)", ("right",), rows, lab.problems), claims


def rival(lab: Lab, seed: int, kind: str) -> Models:
    """Models whose PPM of round 1 is a PQM or an ORM, trained from the last policy on the trees of all rounds.

    On as many sequences as the PPM has read, drawn anew where there are more; two make a pair.
    """
    run, settings, last = lab.run(seed), lab.recipe.ppm, lab.rounds[-1]

    def train(checkpoints: Path) -> AnyModel:
        held = {problem.id for problem in held_back(lab.training(seed), settings.validation)}
        trees = [tree for number in lab.rounds for tree in run.trees(number) if tree.problem.id not in held]
        pairs = sum(pair.problem.id not in held for number in lab.rounds for pair in run.pairs(number))
        rows: list[ScoredSteps] = (step_scores if kind == "PQM" else outcome_scores)(trees)
        chosen = random.Random(seed).sample(rows, min(len(rows), 2 * pairs))
        models = lab.models(seed)
        model, _ = train_regression(
            models.ppm_to_train(last, seed),
            models.tokenizer,
            models.prompt(last),
            chosen,
            settings.model_copy(update={"batch": 2 * settings.batch}),
            seed,
            lab.progress,
            checkpoints,
            f"seed {seed}: {kind}",
        )
        return model

    return lab.trained(seed, kind.lower(), "ppm", train)


def _drawn(
    lab: Lab, kind: str, search: Sequence[Outcome], judge: Callable[[int], PPMScorer]
) -> dict[str, list[Outcome]]:
    """What samples and a beam under a judge come to, at the tokens a problem that the search took under a seed."""
    last, found = lab.rounds[-1], []
    for seed, each in zip(lab.seeds, search, strict=True):
        tokens = each.tokens / len(lab.problems)
        what = f"samples under the {kind}, {tokens:.1f} tokens"
        found.append(lab.measure(what, lab.models, last, partial(_ask, lab, tokens), judge, seeds=[seed]))
    return {name: [one[name][0] for one in found] for name in found[0]}


def _ask(
    lab: Lab, tokens: float, problems: Sequence[Problem], expander: MakeExpander, judge: PPMScorer | None
) -> dict[str, Outcome]:
    assert judge
    target = math.ceil(tokens * len(problems))
    samples = Samples(problems, expander, "best", lab.recipe, target, judge).until(target)  # one first: what is it?
    outcomes = {BEST: samples.outcome(Selection.PPM), WEIGHTED: samples.outcome(Selection.WEIGHTED)}
    outcomes |= {SOME: samples.some_right(), CHECKED: _checked(problems, samples)}
    for width in WIDTHS:
        forget(judge)  # each pays for what it reads
        outcomes[BEAM] = beam(problems, expander, judge, lab.recipe, width)
        if outcomes[BEAM].tokens >= target:
            break
    return outcomes


def _checked(problems: Sequence[Problem], samples: Samples) -> Outcome:
    """Whether a sample of a puzzle is sound and stands at its goal; a word problem has no goal, and counts as wrong."""
    puzzles = {name: puzzle for split in ("validation", "test") for name, puzzle in read_puzzles(split).items()}

    def at_goal(place: int, problem: Problem) -> bool:
        if problem.id not in puzzles:
            return False
        follower = Follower(puzzles[problem.id])
        ends = (end for trees in samples.drawn for end in trees[place].terminals())
        states = (follower.follow(end.steps()[:-1]).state for end in ends)
        return any(state is not None and state.won for state in states)

    right = [float(at_goal(place, problem)) for place, problem in enumerate(problems)]
    return Outcome(right, samples.tokens, samples.count)
