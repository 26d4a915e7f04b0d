"""Other systems on the same problems, under the same checker: models of the Hub, endpoints, and runs.

What was measured here and what the paper says of others stand in one table, and are told apart.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rstar_mini.errors import UserError, command
from rstar_mini.evaluation.chat import ASK, chat_answers
from rstar_mini.evaluation.paper import paper_tables
from rstar_mini.evaluation.shards import by_shard, one_by_one
from rstar_mini.evaluation.systems import Outcome, evaluate
from rstar_mini.evolution.models import Models
from rstar_mini.evolution.run import Run
from rstar_mini.files import write_json
from rstar_mini.models import DTYPES, device, load_base
from rstar_mini.policy import Policy
from rstar_mini.policy.endpoint import ChatEndpoint
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.problems import read_problems
from rstar_mini.progress import Progress
from rstar_mini.prompts import Prompt, chat_prompt
from rstar_mini.redact import public_url
from rstar_mini.sandbox import Sandbox
from rstar_mini.types import Problem

REPLY, THOUGHT = 2048, 32_768  # tokens at most of a model here, and of an endpoint, which may think before it answers
SHARD = 32
BENCHMARKS = {  # the paper's columns
    "math500": "MATH",
    "aime2024": "AIME 2024",
    "amc23": "AMC 2023",
    "olympiadbench": "Olympiad Bench",
    "collegemath": "College Math",
    "gsm8k": "GSM8K",
    "gaokao2023en": "Gaokao En 2023",
    "omnimath": "Omni-MATH",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """A system on a problem set: `correct` of `n` measured here, or `percent` as table `table` of the paper reports."""

    system: str
    correct: float | None = None
    n: int | None = None
    percent: float | None = None
    table: int | None = None


def reported(problems: str) -> list[Standing]:
    """What the paper reports of all systems on a set, its own included; nothing on sets that it does not use."""
    column = BENCHMARKS.get(problems)
    found: dict[str, Standing] = {}
    for table in paper_tables():
        if table.number in (1, 3, 5, 10) and column in table.columns:
            for row, percent in table.column(column).items():
                name = row if table.number != 3 else f"Qwen2.5-Math-7B policy, {row}"
                if percent is not None:
                    found.setdefault(name, Standing(name, percent=percent, table=table.number))
    return list(found.values())


class Comparison:
    """Systems measured on one problem set; every answer is kept in `folder`, so that nothing is asked twice.

    Args:
        problems: a known set, a JSONL file or a data set of the Hub.
        limit: the first so many problems.

    Raises:
        UserError: the problems cannot be loaded.
    """

    def __init__(self, problems: str, split: str, limit: int | None, folder: Path, progress: Progress) -> None:
        self.name, self.progress = problems, progress
        self.problems = read_problems(problems, split, limit)[0]
        asked = _digest("".join(problem.question for problem in self.problems).encode())
        self.folder = folder / f"{_file_name(problems)}-{split}-n-{len(self.problems)}-{asked}"

    def model(self, name: str, dtype: str = "fp32") -> Standing:
        """A model of the Hub, or in a folder, greedily in its chat template."""

        def load() -> Policy:
            model, tokenizer = load_base(name, DTYPES[dtype])
            placed = model.to(device())  # type: ignore[arg-type]  # transformers hides the signature of Module.to
            return TransformersPolicy(placed, tokenizer, chat_prompt(tokenizer, ask=ASK), REPLY)

        return self._replies(name, load)

    def endpoint(self, url: str, served_model: str) -> Standing:
        """A model behind an OpenAI-compatible chat endpoint, one reply a problem."""
        return self._replies(
            f"{served_model} (endpoint)", lambda: ChatEndpoint(url, served_model, Prompt(ASK), THOUGHT), public_url(url)
        )

    def run(self, run: Run) -> list[Standing]:
        """The last round of a run: greedy, vote and search, at equal tokens."""
        number = run.last_round
        if not number:
            raise UserError(f"{run.path} has no finished round yet; go on with: {command('evolve', '--run', run.path)}")
        name, models = f"{run.recipe.name}, round {number}", Models(run.recipe, run.path)
        box = Sandbox(**run.recipe.sandbox.model_dump())
        with run.reading(), box, closing(models.policy(number)) as policy:
            scorer = models.scorer(number) if run.recipe.method == "mcts" else None

            def ask(problems: Sequence[Problem]) -> dict[str, Outcome]:
                return evaluate(problems, policy, scorer, box, run.recipe, f"{run.recipe.seed}/evaluation")

            made = _digest((run.round(number) / "metrics.json").read_bytes())
            outcomes = self._kept(f"{name} of {run.path} {made}", ask)
        return [Standing(f"{name}, {system}", sum(o.correct), len(o.correct)) for system, o in outcomes.items()]

    def _replies(self, name: str, load: Callable[[], Policy], where: str = "") -> Standing:
        with closing(load()) as policy:
            outcome = self._kept(f"{name} {where}", lambda problems: {"chat": chat_answers(problems, policy)})["chat"]
        return Standing(name, sum(outcome.correct), len(outcome.correct))

    def _kept(self, name: str, ask: Callable[[Sequence[Problem]], dict[str, Outcome]]) -> dict[str, Outcome]:
        self.progress.stage(f"{name} on {self.name}", len(self.problems))
        folder = self.folder / _file_name(name)
        return by_shard(self.problems, SHARD, folder, one_by_one(ask), write_json, self.progress)


def _digest(data: bytes) -> str:
    """So that what has changed under its old name is asked again."""
    return hashlib.sha256(data).hexdigest()[:8]


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-")
