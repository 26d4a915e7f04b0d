"""The parts around search: the sandbox, the PPM's scoring, both trainings, and one whole round."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from peft import TaskType
from transformers import PreTrainedModel

from rstar_mini import api
from rstar_mini.adapters import with_lora
from rstar_mini.bench.measure import Row, in_turn, row, seconds
from rstar_mini.bench.searching import Models
from rstar_mini.code_cot import split_steps
from rstar_mini.finetune.sft import encode_trajectory, train_policy
from rstar_mini.models import DTYPES, load_base
from rstar_mini.ppm import Pair
from rstar_mini.ppm.base import Scorer
from rstar_mini.ppm.model import encode_pair, ppm_from_policy, train_ppm
from rstar_mini.problems import load_problems
from rstar_mini.progress import Silent
from rstar_mini.prompts import TEMPLATES, Prompt
from rstar_mini.recipes import Recipe
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Budget, Expander, search
from rstar_mini.tokens import cached_encoder
from rstar_mini.training import AnyModel
from rstar_mini.types import Problem, Step, Trajectory

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


def scoring(models: Models, problems: Sequence[Problem], budget: Budget, box: Sandbox, repeats: int) -> Row:
    """Steps that the PPM scores a second, node after node down some trees, over reading each text whole."""
    policy, ppm = models.ours()
    trees = search(problems, Expander(policy, box, ppm, "scoring"), budget)
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

    def rate(scorer: Scorer) -> float:
        return count / seconds(lambda: [scorer.score(level) for _, level in sorted(levels.items())])

    rates = in_turn([lambda: rate(models.ours()[1]), lambda: rate(models.plain(64)[1])], repeats)
    return row("PPM scoring", "steps/s", rates[0], "each text whole", rates[1])


def trainings(recipe: Recipe, repeats: int) -> list[Row]:
    """Tokens a second of SFT on worked solutions, and of PPM training on their first steps against other problems'."""
    prompt = Prompt(TEMPLATES[recipe.policy.prompt])
    solved = [p for p in load_problems("generated", "train", None, None, [1, 2]) if p.solution]
    solved = solved[: 256 if recipe.policy.tuning == "full" else 16]
    trajectories = [Trajectory(p, tuple(split_steps(p.solution or ""))) for p in solved]
    firsts = [trajectory.steps[0].text for trajectory in trajectories]
    pairs = [
        Pair(p, "", right, wrong, 1.0, 1.0, -1.0)
        for p, right, wrong in zip(solved, firsts, firsts[1:] + firsts[:1], strict=True)
    ]
    policy, tokenizer = load_base(recipe.policy.base)
    encode = cached_encoder(tokenizer.encode)
    rows = [encode_trajectory(encode, prompt(t.problem.question), t.steps, True) for t in trajectories]
    encoded = [encode_pair(encode, prompt, pair) for pair in pairs]
    counts = {
        "SFT": sum(len(each["input_ids"]) for each in rows),
        "PPM": sum(len(each["chosen_ids"]) + len(each["rejected_ids"]) for each in encoded),
    }

    def adapted(model: PreTrainedModel, task: TaskType) -> AnyModel:
        if recipe.policy.tuning == "full":
            return model
        return with_lora(model.to(DTYPES[recipe.policy.dtype]), recipe.policy.lora_rank, task)  # type: ignore[arg-type]

    def sft(folder: Path) -> None:
        settings = recipe.sft.model_copy(update={"epochs": 1.0})
        model = adapted(load_base(recipe.policy.base)[0], TaskType.CAUSAL_LM)
        train_policy(model, tokenizer, prompt, trajectories, settings, 0, Silent(), folder)

    def ppm(folder: Path) -> None:
        settings = recipe.ppm.model_copy(update={"epochs": 1.0})
        model = adapted(ppm_from_policy(policy), TaskType.SEQ_CLS)
        train_ppm(model, tokenizer, prompt, pairs, settings, 0, Silent(), folder)

    def rate(name: str, train: Callable[[Path], None]) -> Callable[[], float]:
        def timed() -> float:
            with tempfile.TemporaryDirectory() as folder:
                return counts[name] / seconds(lambda: train(Path(folder)))

        return timed

    rates = in_turn([rate("SFT", sft), rate("PPM", ppm)], repeats)
    return [
        row(f"training, {name}, {len(solved)} sequences or pairs, {recipe.policy.tuning}", "tokens/s", values)
        for name, values in zip(counts, rates, strict=True)
    ]


def whole_round(recipe: str) -> Row:
    """Seconds of round 1 on a few problems, end to end, the base's evaluation and both trainings included."""
    few = ["problems.path=generated", "problems.limit=240", "evaluation.limit=30"]
    if recipe != "tiny":
        few = ["problems.path=generated", "problems.limit=8", "evaluation.limit=2", "rounds.0.rollouts=4"]
    with tempfile.TemporaryDirectory() as folder:
        taken = seconds(lambda: api.evolve(recipe, Path(folder) / "run", 1, few))
    return row(f"round 1 of {recipe}, {', '.join(few[1:])}", "s", [taken])
