"""What runs on a machine of the cluster: the models of a round and a sandbox beside them, ready to search shards.

Policy, PPM and sandbox of a shard live on one machine, so no step of a tree crosses the network.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import torch

from rstar_mini.evaluation.chat import chat_answers, in_its_own_words
from rstar_mini.evaluation.systems import Outcome, evaluate
from rstar_mini.evolution.capacity import FILE, free_bytes
from rstar_mini.evolution.models import Loaded, Models
from rstar_mini.evolution.owner import owner
from rstar_mini.evolution.shards import Found, ShardSearch
from rstar_mini.evolution.synthesis import Row, answer_rows, write_rows, writer
from rstar_mini.files import write_bytes
from rstar_mini.policy import forget
from rstar_mini.progress import Silent
from rstar_mini.recipes import Recipe
from rstar_mini.sandbox import Sandbox
from rstar_mini.types import Problem

Job = Literal["search", "evaluate", "chat", "write", "answer"]


class Engine:
    """Searches shards of one round, measures its models on held-out ones, or makes new problems before round 1.

    Nothing that it finds depends on the machine, or on what it was asked before.

    Args:
        job: to search, with the models of the round before; to evaluate, with those that the round has made; or, with
            the base, to answer held-out problems in its own words, to write new problems, and to answer these.
        recipe: of the run, as JSON data.
        number: the round.
        run: the run directory. Where it is mounted here too, the models are read from it.
        owner_id: who owns the run, by which a folder of the same name on another disk is told apart.
        models: else the files of `models_of` by their path in the run, each a reference to what Ray keeps.
    """

    def __init__(
        self,
        job: Job,
        recipe: dict[str, Any],
        number: int,
        run: str,
        owner_id: str,
        models: Mapping[str, Any],
    ) -> None:
        self.recipe, self.number = Recipe.model_validate(recipe), number
        torch.set_num_threads(self.recipe.threads)
        self._open = ExitStack()
        with ExitStack() as loading:
            folder = Path(run)
            if owner(folder).get("id") != owner_id:
                folder = Path(loading.enter_context(tempfile.TemporaryDirectory()))
                for name, data in models.items():
                    write_bytes(folder / name, _kept_by_ray(data))
            self.policy, self.scorer = _load(Models(self.recipe, folder), job, number)
        self._open.callback(self.policy.close)
        self.box = self._open.enter_context(Sandbox(**self.recipe.sandbox.model_dump()))

    def close(self) -> None:
        """End the sandbox, and what the models have started; when Ray ends the process, it just ends."""
        self._open.close()

    def ready(self) -> None:
        """Answers when the models are loaded."""

    def search(self, shard: int, problems: Sequence[Problem]) -> Found:
        """The trees of a shard."""
        here = ShardSearch(self.recipe, self.number, self.policy, self.scorer, self.box, Silent())
        return here.search(shard, problems)

    def evaluate(
        self, shard: int, problems: Sequence[Problem], seed: int, greedy_only: bool
    ) -> tuple[int, dict[str, Outcome]]:
        """What each system makes of a shard of held-out problems."""
        noise = f"{seed}/evaluation"
        found = evaluate(problems, self.policy, self.scorer, self.box, self.recipe, noise, greedy_only)
        forget(self.policy, self.scorer)
        return shard, found

    def chat(self, shard: int, problems: Sequence[Problem]) -> tuple[int, dict[str, Outcome]]:
        """The base's replies to held-out problems."""
        found = {"chat": chat_answers(problems, self.policy)}
        forget(self.policy)
        return shard, found

    def write(self, shard: int, seeds: Sequence[Problem]) -> tuple[int, list[Row]]:
        """New problems after `seeds`."""
        return shard, write_rows(self.recipe, self.policy, seeds)

    def answer(self, shard: int, problems: Sequence[Problem]) -> tuple[int, list[Row]]:
        """What the base's solutions of new problems agree on."""
        return shard, answer_rows(self.recipe, self.policy, self.box, problems)


def _load(models: Models, job: Job, number: int) -> Loaded:
    match job:
        case "search":
            return models.for_search(number)
        case "evaluate":
            return models.for_evaluation(number)
        case "chat":
            return in_its_own_words(models), None
        case "write":
            return writer(models), None
        case "answer":
            return models.searching_policy(1), None


def models_of(recipe: Recipe, run: Path, job: Job, number: int) -> dict[str, Path]:
    """The files that an engine needs, by their path in the run: its models, and how much to decode at once."""
    judged = job == "evaluate" or (job == "search" and recipe.rounds[number - 1].annotation == "ppm")
    made = run / f"round-{number - 1 if job == 'search' else number}"
    folders = [made / part for part in ("policy", *(["ppm"] if judged else []))]
    files = [run / FILE, *(file for folder in folders for file in sorted(folder.rglob("*")))]
    return {file.relative_to(run).as_posix(): file for file in files if file.is_file()}


def memory_of(processors: int) -> int:
    """Bytes that an engine of so many processors may use on this machine; 0 processors: it has a GPU of its own."""
    return free_bytes() // max(1, (os.cpu_count() or 1) // processors) if processors else free_bytes()


def _kept_by_ray(data: Any) -> bytes:
    import ray

    found: bytes = ray.get(data)
    return found
