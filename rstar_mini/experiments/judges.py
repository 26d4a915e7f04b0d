"""Table 8: the PPM against its rivals, from the same trees, at the same number of sequences read in training."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from rstar_mini.evaluation.paper import known, paper_table
from rstar_mini.evaluation.systems import MakeExpander, Outcome, Samples
from rstar_mini.evolution.harvest import held_back
from rstar_mini.evolution.models import Models
from rstar_mini.experiments.lab import Lab
from rstar_mini.experiments.results import Findings, Grid, claim_of, measured
from rstar_mini.ppm.regression import ScoredSteps, outcome_scores, step_scores, train_regression
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.search import Selection
from rstar_mini.training import AnyModel
from rstar_mini.types import Problem

TITLE = "Judges: PPM, PQM and ORM from the same trees"
TABLES = (8,)


def judges(lab: Lab) -> Findings:
    """The last round's policy under three judges; best of N uses as many tokens as the search under the PPM."""
    last = lab.rounds[-1]
    ppm = lab.systems(last)["mcts"]
    pqm = lab.guided("PQM", last, lambda seed: rival(lab, seed, "PQM").scorer(1))
    orm = _best(lab, "ORM", ppm, lambda seed: rival(lab, seed, "ORM").scorer(1))
    ppm_best = _best(lab, "PPM", ppm, lambda seed: lab.models(seed).scorer(last))
    rows = {
        "PPM, MCTS": (measured(ppm),),
        "PQM, MCTS": (measured(pqm),),
        "ORM, best of N": (measured(orm),),
        "PPM, best of N": (measured(ppm_best),),
    }
    paper = paper_table(8).column("MATH")
    best = known(paper, "PPM, MCTS")
    claims = [
        claim_of("PPM over PQM, search", "8", best - known(paper, "PQM, MCTS"), ppm, pqm),
        claim_of("PPM's search over ORM's best of N", "8", best - known(paper, "ORM, best of N"), ppm, orm),
    ]
    return [Grid("Held-out problems right (%)", ("right",), rows)], claims


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


def _best(lab: Lab, kind: str, search: Sequence[Outcome], judge: Callable[[int], PPMScorer]) -> list[Outcome]:
    """Best of N by a judge, at the tokens a problem that the search took under the same seed."""

    def of(seed: int, tokens: float) -> Outcome:
        def ask(problems: Sequence[Problem], expander: MakeExpander, scorer: PPMScorer | None) -> dict[str, Outcome]:
            assert scorer
            target = math.ceil(tokens * len(problems))
            samples = Samples(problems, expander, "best", lab.recipe, target, scorer)  # one first: what does it take?
            return {"best": samples.until(target).outcome(Selection.PPM)}

        what = f"best of N by {kind}, {tokens:.1f} tokens"
        return lab.measure(what, lab.models, lab.rounds[-1], ask, judge, seeds=[seed])["best"][0]

    return [of(seed, each.tokens / len(lab.problems)) for seed, each in zip(lab.seeds, search, strict=True)]
