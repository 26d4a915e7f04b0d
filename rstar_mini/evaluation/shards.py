"""Held-out problems in shards: what is finished stays on disk and is not asked again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from rstar_mini.evaluation.chat import chat_answers, in_its_own_words
from rstar_mini.evaluation.systems import Outcome, evaluate
from rstar_mini.evolution.models import Loaded, Models
from rstar_mini.evolution.run import Run
from rstar_mini.evolution.shards import Shard, cut
from rstar_mini.files import read_json
from rstar_mini.policy import Policy, forget
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.progress import Progress
from rstar_mini.sandbox import Sandbox
from rstar_mini.types import Problem

if TYPE_CHECKING:
    from rstar_mini.cluster.pool import Cluster

_OUTCOMES = TypeAdapter(dict[str, Outcome])
AskShards = Callable[[Sequence[Shard]], Generator[tuple[int, dict[str, Outcome]], None, None]]
"""Asks shards, here or elsewhere, and gives the number of each with what it found, in any order."""


class HeldOut:
    """The held-out problems of a run, and what its models do on them: each shard in a file of the run's evaluation/.

    With a cluster, its actors evaluate the rounds and the base; all else is asked here.
    """

    def __init__(
        self,
        run: Run,
        models: Models,
        problems: Sequence[Problem],
        box: Sandbox,
        progress: Progress,
        cluster: Cluster | None = None,
    ) -> None:
        self.run, self.models, self.problems, self.box = run, models, problems, box
        self.progress, self.cluster = progress, cluster

    def evaluate(self, number: int, seed: int, greedy_only: bool = False) -> dict[str, Outcome]:
        """Greedy, vote and PPM-guided search with the models of a round, or greedy decoding alone."""
        stage = f"round {number}, seed {seed}: held-out problems"
        what = f"round-{number}-seed-{seed}" + ("-greedy" if greedy_only else "")
        if self.cluster:
            with_these = partial(
                self.cluster.spread, "evaluate", self.run, number, self.progress, how=(seed, greedy_only)
            )
            return self._kept(stage, what, with_these)

        def ask(problems: Sequence[Problem], policy: Policy, scorer: PPMScorer | None) -> dict[str, Outcome]:
            return evaluate(problems, policy, scorer, self.box, self.run.recipe, f"{seed}/evaluation", greedy_only)

        return self.by_shard(stage, what, lambda: self.models.for_evaluation(number, greedy_only), ask)

    def in_its_own_words(self) -> Outcome:
        """The base as it came, asked in its own chat template."""
        stage = "round 0: the base in its own words"
        if self.cluster:
            return self._kept(stage, "chat", partial(self.cluster.spread, "chat", self.run, 0, self.progress))["chat"]

        def ask(problems: Sequence[Problem], policy: Policy, _: PPMScorer | None) -> dict[str, Outcome]:
            return {"chat": chat_answers(problems, policy)}

        return self.by_shard(stage, "chat", lambda: (in_its_own_words(self.models), None), ask)["chat"]

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

            return self._kept(stage, what, one_by_one(shard), most)

    def _kept(self, stage: str, what: str, ask: AskShards, most: int | None = None) -> dict[str, Outcome]:
        problems = self.problems[:most]
        folder = evaluation_folder(self.run, what, len(problems))
        self.progress.stage(stage, len(problems))
        return by_shard(problems, self.run.recipe.search.shard, folder, ask, self.run.write_json, self.progress)


def evaluation_folder(run: Run, what: str, n: int) -> Path:
    """Where a run keeps what was measured on `n` problems."""
    return run.path / "evaluation" / f"{what}-n-{n}"


def one_by_one(ask: Callable[[Sequence[Problem]], dict[str, Outcome]]) -> AskShards:
    """In this process, in order."""
    return lambda shards: ((shard, ask(part)) for shard, part in shards)


def by_shard(
    problems: Sequence[Problem],
    size: int,
    folder: Path,
    ask: AskShards,
    write: Callable[[Path, Any], None],
    progress: Progress,
) -> dict[str, Outcome]:
    """What `ask` finds on all problems, `size` at a time; what is in the folder already is not asked again."""
    shards = cut(problems, size)
    files = {shard: folder / f"shard-{shard:04d}.json" for shard, _ in shards}
    missing = {shard: part for shard, part in shards if not files[shard].exists()}
    progress.advance(len(problems) - sum(map(len, missing.values())))
    with closing(ask(list(missing.items()))) as asked:
        for shard, found in asked:
            write(files[shard], {system: asdict(outcome) for system, outcome in found.items()})
            progress.advance(len(missing[shard]))
    outcomes: dict[str, Outcome] = {}
    for file in files.values():
        for system, outcome in read_json(file, _OUTCOMES.validate_python).items():
            outcomes.setdefault(system, Outcome()).add(outcome)
    return outcomes
