"""Held-out problems in shards: what is finished stays on disk and is not asked again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from rstar_mini.evaluation.chat import ASK, WORDS, chat_answers
from rstar_mini.evaluation.systems import Outcome, evaluate
from rstar_mini.evolution.models import Models
from rstar_mini.evolution.run import Run
from rstar_mini.files import read_json
from rstar_mini.policy import Policy, forget
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.progress import Progress
from rstar_mini.prompts import chat_prompt
from rstar_mini.sandbox import Sandbox
from rstar_mini.types import Problem

Loaded = tuple[Policy, PPMScorer | None]
"""A policy, which is closed after use, and what judges it."""


class HeldOut:
    """The held-out problems of a run, and what its models do on them: each shard in a file of the run's evaluation/."""

    def __init__(self, run: Run, models: Models, problems: Sequence[Problem], box: Sandbox, progress: Progress) -> None:
        self.run, self.models, self.problems, self.box, self.progress = run, models, problems, box, progress

    def evaluate(self, number: int, seed: int, greedy_only: bool = False) -> dict[str, Outcome]:
        """Greedy, vote and PPM-guided search with the models of a round, or greedy decoding alone."""
        recipe = self.run.recipe
        guided = number > 0 and recipe.method == "mcts" and not greedy_only

        def load() -> Loaded:
            scorer = self.models.scorer(number) if guided else None
            return self.models.policy(number), scorer

        def ask(problems: Sequence[Problem], policy: Policy, scorer: PPMScorer | None) -> dict[str, Outcome]:
            return evaluate(problems, policy, scorer, self.box, recipe, f"{seed}/evaluation", greedy_only)

        what = f"round-{number}-seed-{seed}" + ("-greedy" if greedy_only else "")
        return self.by_shard(f"round {number}, seed {seed}: held-out problems", what, load, ask)

    def in_its_own_words(self) -> Outcome:
        """The base as it came, asked in its own chat template."""

        def load() -> Loaded:
            return self.models.policy(0, chat_prompt(self.models.tokenizer, ask=ASK), WORDS), None

        def ask(problems: Sequence[Problem], policy: Policy, _: PPMScorer | None) -> dict[str, Outcome]:
            return {"chat": chat_answers(problems, policy)}

        return self.by_shard("round 0: the base in its own words", "chat", load, ask)["chat"]

    def by_shard(
        self,
        stage: str,
        what: str,
        load: Callable[[], Loaded],
        ask: Callable[[Sequence[Problem], Policy, PPMScorer | None], dict[str, Outcome]],
        most: int | None = None,
    ) -> dict[str, Outcome]:
        """What `ask` finds on all problems, or the first so many, from disk where it is there.

        `what` and their number name the folder. `load` is called when a shard is missing.
        """
        problems = self.problems[:most]
        folder = evaluation_folder(self.run, what, len(problems))
        self.progress.stage(stage, len(problems))
        with ExitStack() as used:

            @cache
            def loaded() -> Loaded:
                policy, scorer = load()
                used.callback(policy.close)
                return policy, scorer

            def shard(part: Sequence[Problem]) -> dict[str, Outcome]:
                policy, scorer = loaded()
                outcomes = ask(part, policy, scorer)
                forget(policy, scorer)
                return outcomes

            return by_shard(problems, self.run.recipe.search.shard, folder, shard, self.run.write_json, self.progress)


def evaluation_folder(run: Run, what: str, n: int) -> Path:
    """Where a run keeps what was measured on `n` problems."""
    return run.path / "evaluation" / f"{what}-n-{n}"


def by_shard(
    problems: Sequence[Problem],
    size: int,
    folder: Path,
    ask: Callable[[Sequence[Problem]], dict[str, Outcome]],
    write: Callable[[Path, Any], None],
    progress: Progress,
) -> dict[str, Outcome]:
    """What `ask` finds on all problems, `size` at a time; what is in the folder already is not asked again."""
    outcomes: dict[str, Outcome] = {}
    for shard, first in enumerate(range(0, len(problems), size)):
        part, kept = problems[first : first + size], folder / f"shard-{shard:04d}.json"
        if not kept.exists():
            write(kept, {system: asdict(outcome) for system, outcome in ask(part).items()})
        for system, row in read_json(kept).items():
            outcomes.setdefault(system, Outcome()).add(Outcome(**row))
        progress.advance(len(part))
    return outcomes
