"""The held-out comparison again, on more problems and several sampling seeds; every finished piece is kept."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

import torch

from rstar_mini.evaluation.summary import headline, summarise
from rstar_mini.evaluation.systems import Outcome, evaluate
from rstar_mini.evolution.models import Models
from rstar_mini.evolution.problems import heldout
from rstar_mini.evolution.run import Run
from rstar_mini.files import read_json
from rstar_mini.progress import Progress
from rstar_mini.sandbox import Sandbox
from rstar_mini.types import Problem


def evaluate_seeds(
    run: Run, rounds: Sequence[int], seeds: int, limit: int | None, progress: Progress
) -> dict[str, Any]:
    """Every round under every seed, and pooled over the seeds; writes evaluation.json."""
    recipe = run.recipe
    torch.set_num_threads(recipe.threads)
    problems = heldout(recipe, limit)[0]
    models = Models(recipe, run.path)
    result: dict[str, Any] = {"rounds": []}
    with Sandbox(**recipe.sandbox.model_dump()) as box:
        for number in rounds:
            each = [_evaluate(run, models, number, seed, problems, box, progress) for seed in range(seeds)]
            pooled = {name: _pool([outcomes[name] for outcomes in each]) for name in each[0]}
            row: dict[str, Any] = {
                "round": number,
                "n": len(problems),
                "seeds": [summarise(problems, o, s) for s, o in enumerate(each)],
            }
            row["pooled"] = summarise(problems, pooled, 0)
            progress.say(f"round {number}, {seeds} seeds: {headline(row['pooled'])}")
            result["rounds"].append(row)
    run.write_json(run.path / "evaluation.json", result)
    return result


def _pool(outcomes: Sequence[Outcome]) -> Outcome:
    """The mean over seeds, problem by problem: seeds of one problem are no independent problems."""
    shares = [sum(rights) / len(rights) for rights in zip(*(outcome.correct for outcome in outcomes), strict=True)]
    tokens = round(sum(outcome.tokens for outcome in outcomes) / len(outcomes))
    return Outcome(shares, tokens, max(outcome.samples for outcome in outcomes))


def _evaluate(
    run: Run, models: Models, number: int, seed: int, problems: Sequence[Problem], box: Sandbox, progress: Progress
) -> dict[str, Outcome]:
    """One round under one seed, from disk when it was done before."""
    kept = run.path / "evaluation" / f"round-{number}-seed-{seed}-n-{len(problems)}.json"
    if not kept.exists():
        progress.stage(f"round {number}, seed {seed}: held-out evaluation", len(problems))
        scorer = models.scorer(number) if number else None
        name = f"{seed}/evaluation"
        with closing(models.policy(number)) as policy:
            outcomes = evaluate(problems, policy, scorer, box, run.recipe, name, progress.advance)
        run.write_json(kept, {name: asdict(outcome) for name, outcome in outcomes.items()})
    return {name: Outcome(**row) for name, row in read_json(kept).items()}
