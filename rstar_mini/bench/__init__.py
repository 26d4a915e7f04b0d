"""`rstar-mini bench`: what this machine gives, as ratios to other ways of doing the same, measured in one run."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rstar_mini.progress import Progress

if TYPE_CHECKING:
    from rstar_mini.bench.measure import Row

PARTS = ("decoding", "search", "walk", "memory", "sandbox", "ppm", "training", "round")


def bench(recipe_name: str, repeats: int, parts: Sequence[str], progress: Progress) -> dict[str, Any]:
    """Measure on the models of a recipe.

    Args:
        recipe_name: 'tiny' or 'smol'; its base model is policy and PPM.
        repeats: how often each pair is timed, in turn.
        parts: some of `PARTS`.

    Returns:
        {"recipe", "seed", "repeats", "machine", "rows"}; a row is a `measure.Row`.
    """
    import torch

    from rstar_mini.bench import parts as around
    from rstar_mini.bench.decode import decoding
    from rstar_mini.bench.searching import Models, memory, walk_alone, whole_search
    from rstar_mini.models import DTYPES, device, load_base
    from rstar_mini.problems import load_problems
    from rstar_mini.prompts import DEMONSTRATIONS, TEMPLATES, Prompt
    from rstar_mini.recipes import load_recipe
    from rstar_mini.sandbox import Sandbox
    from rstar_mini.search import Budget

    recipe = load_recipe(recipe_name)
    torch.set_num_threads(recipe.threads)
    model, tokenizer = load_base(recipe.policy.base)
    model.to(  # type: ignore[call-arg]  # transformers hides the signature of Module.to
        device=device(), dtype=DTYPES[recipe.policy.dtype]
    )
    prompt = Prompt(TEMPLATES[recipe.policy.prompt], DEMONSTRATIONS[: recipe.policy.shots])
    models = Models(model, tokenizer, prompt)
    problems = load_problems("generated", "validation", 32, recipe.problems.families, recipe.problems.levels)
    few = problems[:8]
    budget = Budget(candidates=4, rollouts=8, depth=recipe.search.depth, temperature=recipe.search.temperature)
    rows: list[Row] = []
    progress.stage("bench", len(parts))
    with Sandbox() as box:
        ways: dict[str, Callable[[], list[Row]]] = {
            "decoding": lambda: decoding(model, tokenizer, prompt, problems, repeats),
            "search": lambda: whole_search(models, few, budget, box, repeats),
            "walk": lambda: walk_alone(repeats),
            "memory": lambda: memory(models, few if recipe_name == "tiny" else few[:2], budget, box),
            "sandbox": lambda: [around.sandboxed(box, repeats)],
            "ppm": lambda: [around.scoring(models, few, budget, box, repeats)],
            "training": lambda: around.trainings(recipe, repeats),
            "round": lambda: [around.whole_round(recipe_name)],
        }
        for part in parts:
            rows += ways[part]()
            progress.advance()
    return {
        "command": f"rstar-mini bench {recipe_name} --repeats {repeats}",
        "recipe": recipe_name,
        "seed": 0,
        "repeats": repeats,
        "machine": {"device": str(model.device), "threads": recipe.threads, "processor": platform.machine()},
        "rows": [asdict(row) for row in rows],
    }
