"""The parts around search: the sandbox, the PPM's scoring, both trainings, and one whole round."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rstar_mini.bench.measure import Row, in_turn, row, seconds
from rstar_mini.bench.searching import Models
from rstar_mini.finetune.sft import encode_trajectory, train_policy
from rstar_mini.models import load_base
from rstar_mini.policy.prefix_cache import cached_encoder
from rstar_mini.ppm import preference_pairs
from rstar_mini.ppm.model import encode_pair, train_ppm
from rstar_mini.progress import Silent
from rstar_mini.recipes import Recipe
from rstar_mini.sandbox import Sandbox
from rstar_mini.types import Problem, Step, Trajectory, Tree

PROGRAMS = 200


def sandboxed(box: Sandbox, repeats: int) -> Row:
    """Programs a second over starting Python for each."""
    new = iter(range(10**6))

    def codes(count: int) -> list[str]:
        return [f"# Count\na = {next(new)}\nb = a * 3\nprint(b)" for _ in range(count)]

    def ours() -> float:
        programs = codes(PROGRAMS)
        return PROGRAMS / seconds(lambda: box.run_many(programs))

    def cold() -> float:
        programs = codes(PROGRAMS // 10)
        return len(programs) / seconds(
            lambda: [subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True) for code in programs]
        )

    rates = in_turn([ours, cold], repeats)
    return row("sandbox", "programs/s", rates[0], "subprocess, no isolation", rates[1])


def scoring(models: Models, trees: Sequence[Tree], repeats: int) -> Row:
    """Steps that the PPM scores a second, node after node down the trees, over reading each text whole."""
    asked = [
        (tree.problem, node.steps(), [child.step for child in node.children])
        for tree in trees
        for node in tree.nodes()
        if node.children
    ]
    levels: dict[int, list[tuple[Problem, tuple[Step, ...], list[Step]]]] = {}
    for each in asked:
        levels.setdefault(len(each[1]), []).append(each)
    count = sum(len(steps) for _, _, steps in asked)

    def rate(scorer: object) -> float:
        return count / seconds(lambda: [scorer.score(level) for _, level in sorted(levels.items())])  # type: ignore[attr-defined]

    rates = in_turn([lambda: rate(models.ours()[1]), lambda: rate(models.plain(64)[1])], repeats)
    return row("PPM scoring", "steps/s", rates[0], "each text whole", rates[1])


def trainings(recipe: Recipe, problems: Sequence[Problem], trees: Sequence[Tree], repeats: int) -> list[Row]:
    """Tokens a second of SFT on worked solutions and of PPM training on the trees' pairs, prompts counted once."""
    from rstar_mini.code_cot import split_steps
    from rstar_mini.prompts import TEMPLATES, Prompt

    prompt = Prompt(TEMPLATES[recipe.policy.prompt])
    solved = [Trajectory(p, tuple(split_steps(p.solution))) for p in problems if p.solution]
    pairs = preference_pairs(trees, recipe.ppm.per_side, recipe.ppm.margin)
    policy, tokenizer = load_base(recipe.policy.base)
    encode = cached_encoder(tokenizer.encode)
    sft = sum(len(encode_trajectory(encode, prompt(t.problem.question), t.steps, True)["input_ids"]) for t in solved)
    rows = [encode_pair(encode, prompt, pair) for pair in pairs]
    ppm = sum(len(each["chosen_ids"]) + len(each["rejected_ids"]) for each in rows)
    once = {"epochs": 1.0}

    def train_sft() -> float:
        base, _ = load_base(recipe.policy.base)
        with tempfile.TemporaryDirectory() as folder:
            settings = recipe.sft.model_copy(update=once)
            return sft / seconds(
                lambda: train_policy(base, tokenizer, prompt, solved, settings, 0, Silent(), Path(folder))
            )

    def train_pairs() -> float:
        with tempfile.TemporaryDirectory() as folder:
            settings = recipe.ppm.model_copy(update=once)
            return ppm / seconds(
                lambda: train_ppm(policy, tokenizer, prompt, pairs, settings, 0, Silent(), Path(folder))
            )

    rates = in_turn([train_sft, train_pairs], repeats)
    return [
        row(f"SFT, {len(solved)} solutions, {recipe.sft.tuning}", "tokens/s", rates[0]),
        row(f"PPM training, {len(pairs)} pairs, {recipe.ppm.tuning}", "tokens/s", rates[1]),
    ]


def whole_round(recipe: str, overrides: Sequence[str]) -> Row:
    """Seconds of round 1 end to end, the base's evaluation included."""
    from rstar_mini import api

    with tempfile.TemporaryDirectory() as folder:
        taken = seconds(lambda: api.evolve(recipe, Path(folder) / "run", 1, overrides))
    return row(f"round 1 of {recipe}, {', '.join(overrides)}", "s", [taken])
