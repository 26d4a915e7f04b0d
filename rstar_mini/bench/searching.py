"""Search: a whole one, three ways, on the same problems with the same noise; the walk alone; and memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rstar_mini.bench.measure import Row, in_turn, row, seconds
from rstar_mini.bench.plain import PlainPolicy, PlainScorer, Replaying
from rstar_mini.policy import ScriptedPolicy
from rstar_mini.policy.rows import kv_shape
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.ppm.model import ppm_from_policy
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.prompts import Prompt
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Budget, Expander, search
from rstar_mini.types import Execution, Node, Problem, Status, Tree

STEPS = 64  # tokens of a step at most
ROWS = 256


class Models:
    """One model as policy and, with a fresh head, as PPM: what search costs does not depend on what they know."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> None:
        self.model, self.tokenizer, self.prompt = model, tokenizer, prompt
        torch.manual_seed(0)
        self.ppm: PreTrainedModel = ppm_from_policy(model).eval()
        self.ppm.to(device=model.device, dtype=model.dtype)  # type: ignore[call-arg]  # transformers hides Module.to's

    def ours(self) -> tuple[TransformersPolicy, PPMScorer]:
        """This project's engine and scorer."""
        policy = TransformersPolicy(self.model, self.tokenizer, self.prompt, STEPS, ROWS)
        return policy, PPMScorer(self.ppm, self.tokenizer, self.prompt)

    def plain(self, rows: int | None) -> tuple[PlainPolicy, PlainScorer]:
        """Whole texts for every sibling, `rows` at a time, or one node of one problem after the other."""
        policy = PlainPolicy(self.model, self.tokenizer, self.prompt, STEPS, rows)
        return policy, PlainScorer(self.ppm, self.tokenizer, self.prompt, rows)


def whole_search(models: Models, problems: Sequence[Problem], budget: Budget, box: Sandbox, repeats: int) -> list[Row]:
    """Sampled tokens a second of a whole search over the two plain ways, and tokens read over tokens there are.

    Tokens, because in bf16 the ways round differently, and then their trees differ in size. The released flow takes one
    problem after the other, so that two of them tell its speed.
    """
    read: dict[str, list[float]] = {}

    def ours(seed: str) -> list[Tree]:
        policy, ppm = models.ours()
        trees = search(problems, Expander(policy, _New(box, seed), ppm, seed), budget)
        for name, cache in (("policy", policy.cache), ("PPM", ppm.cache)):
            read.setdefault(name, []).append(cache.forwarded / cache.unique)
            read.setdefault(f"{name} forwarded", []).append(cache.forwarded / _sampled(trees))
        return trees

    def plain(rows: int | None, seed: str) -> list[Tree]:
        policy, ppm = models.plain(rows)
        trees = search(problems if rows else problems[:2], Expander(policy, Replaying(box), ppm, seed), budget)
        if rows:
            for name, reader in (("policy", policy.reader), ("PPM", ppm.reader)):
                read.setdefault(f"{name} plain", []).append(reader.forwarded / _sampled(trees))
        return trees

    ways = [ours, lambda seed: plain(ROWS, seed), lambda seed: plain(None, seed)]
    rates = in_turn([_token_rate(way) for way in ways], repeats)
    name = f"whole search, {len(problems)} problems, {budget.rollouts} rollouts, {budget.candidates} candidates"
    rows_ = [
        row(name, "tokens/s", rates[0], "the released control flow, 2 problems", rates[2]),
        row(name, "tokens/s", rates[0], "the same, batched over problems", rates[1]),
    ]
    for model in ("policy", "PPM"):
        rows_.append(row(f"{model}: tokens forwarded / unique", "", read[model]))
        rows_.append(
            row(f"{model}: forwarded / sampled", "", read[f"{model} forwarded"], "plain", read[f"{model} plain"])
        )
    return rows_


def _token_rate(way: Callable[[str], list[Tree]]) -> Callable[[], float]:
    """Sampled tokens a second; every repeat has a seed of its own, the same for all ways."""
    repeat = iter(range(10**6))

    def rate() -> float:
        trees: list[Tree] = []
        taken = seconds(lambda: trees.extend(way(f"bench-{next(repeat)}")))
        return _sampled(trees) / taken

    return rate


def _sampled(trees: Sequence[Tree]) -> int:
    return sum(tree.tokens for tree in trees)


class _New:
    """A sandbox whose programs are new in every repeat, so that none is answered from memory of an earlier one."""

    def __init__(self, box: Sandbox, mark: str) -> None:
        self.box, self.mark = box, mark

    def run_many(self, codes: Sequence[str]) -> list[Execution]:
        """Run the programs."""
        return self.box.run_many([f"{code}\n# {self.mark}" for code in codes])


class AlwaysRuns:
    """In the place of the sandbox: every program prints 1."""

    def run_many(self, codes: Sequence[str]) -> list[Execution]:
        """One execution for each program."""
        return [Execution(Status.OK, "1\n")] * len(codes)


class _Clocked(Expander):
    """Adds up the time in which leaves get their children, which is not the walk's."""

    spent = 0.0

    def collect(self) -> list[tuple[Tree, Node]]:
        start = time.perf_counter()
        found = super().collect()
        self.spent += time.perf_counter() - start
        return found

    def submit(self, leaves: Sequence[tuple[Tree, Node, int]], temperature: float) -> None:
        start = time.perf_counter()
        super().submit(leaves, temperature)
        self.spent += time.perf_counter() - start


def _script(depth: int) -> Callable[[str, str], list[str]]:
    """Four different steps at each node, then the end of the code, then four answers of which one is right."""

    def script(question: str, text: str) -> list[str]:
        if text.endswith("<end_of_output>\n"):
            return ["<answer>\\boxed{1}<end_of_answer>"]
        if text.count("<end_of_step>") == depth - 2:
            return ["\nprint(1)\n<end_of_code>"]
        start = "" if text else "<code>"
        return [f"{start}\nx = {i}\n<end_of_step>" for i in range(4)]

    return script


def walk_alone(repeats: int, depth: int = 8) -> list[Row]:
    """Node visits a second of selection and back-up with a scripted policy: over problems, and over rollouts."""

    def rate(problems: int, rollouts: int) -> Callable[[], float]:
        asked = [Problem(f"p{i}", "?", "1" if i % 2 else "2") for i in range(problems)]
        budget = Budget(candidates=4, rollouts=rollouts, depth=depth)

        def visits() -> float:
            expander = _Clocked(ScriptedPolicy(_script(depth)), AlwaysRuns())
            trees: list[Tree] = []
            taken = seconds(lambda: trees.extend(search(asked, expander, budget)))
            return sum(node.visits for tree in trees for node in tree.nodes()) / (taken - expander.spent)

        return visits

    few, many, shallow, deep = in_turn([rate(10, 64), rate(1000, 64), rate(50, 8), rate(50, 512)], repeats)
    return [
        row("search alone, 1000 problems, 64 rollouts", "visits/s", many, "10 problems", few),
        row("search alone, 50 problems, 512 rollouts", "visits/s", deep, "8 rollouts", shallow),
    ]


def memory(models: Models, problems: Sequence[Problem], budget: Budget, box: Sandbox) -> list[Row]:
    """Most bytes that keys and values took, over what whole texts for each node would take, as rollouts grow.

    With many candidates and a high temperature, so that the trees are not used up after a few rollouts.
    """
    rows_ = []
    for rollouts in (8, 16, 32, 64, 128):
        policy, ppm = models.ours()
        trees = search(
            problems,
            Expander(policy, box, ppm, "memory"),
            replace(budget, candidates=16, temperature=1.0, rollouts=rollouts),
        )
        size = math.prod(kv_shape(models.model.config)) * models.ppm.dtype.itemsize
        whole = size * sum(
            len(policy.cache.encode(policy.prompt(tree.problem.question))) + sum(step.tokens for step in node.steps())
            for tree in trees
            for node in tree.nodes()
            if not node.terminal
        )
        peak = policy.cache.meter.peak
        rows_.append(
            row(
                f"keys and values, {sum(tree.rollouts for tree in trees)} rollouts in {len(trees)} trees",
                "MB",
                [peak / 1e6],
                "whole texts",
                [max(whole, 1) / 1e6],
            )
        )
    return rows_
