"""The held-out comparison again, on more problems and several sampling seeds; every finished piece is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from rstar_mini.evaluation.shards import HeldOut
from rstar_mini.evaluation.summary import headline, summarise
from rstar_mini.evaluation.systems import pool
from rstar_mini.evolution.models import Models
from rstar_mini.evolution.problems import heldout
from rstar_mini.evolution.run import Run
from rstar_mini.progress import Progress
from rstar_mini.sandbox import Sandbox


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
        held = HeldOut(run, models, problems, box, progress)
        for number in rounds:
            each = [held.evaluate(number, seed) for seed in range(seeds)]
            pooled = {name: pool([outcomes[name] for outcomes in each]) for name in each[0]}
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
