"""The laboratory: a run for every seed, and what its models do on the same held-out problems; all stays on disk."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import torch

from rstar_mini.evaluation.shards import HeldOut, evaluation_folder
from rstar_mini.evaluation.systems import MakeExpander, Outcome, guided_search
from rstar_mini.evolution.harvest import TRAJECTORIES, trajectory_from_row
from rstar_mini.evolution.models import Loaded, Models
from rstar_mini.evolution.problems import heldout
from rstar_mini.evolution.rounds import Evolution
from rstar_mini.evolution.run import Run
from rstar_mini.files import read_jsonl
from rstar_mini.finetune.sft import train_policy
from rstar_mini.policy import Policy
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.progress import Progress
from rstar_mini.recipes import Recipe
from rstar_mini.recipes.schema import Sft
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Expander
from rstar_mini.training import AnyModel
from rstar_mini.types import Problem, Trajectory

AS_IT_IS = "as it is here"
Ask = Callable[[Sequence[Problem], MakeExpander, PPMScorer | None], dict[str, Outcome]]
"""From problems, what makes an expander of a name and a judge, and the judge, to what came of it, by system."""


class Lab:
    """Runs of one recipe that differ in their seed, evolved when they are asked for.

    Args:
        path: the run of the recipe's own seed; those of other seeds lie beside it.
        seeds: of the runs.
        limit: held-out problems, of every experiment; None: all of the recipe's split, fewer where one takes long.
    """

    def __init__(
        self, recipe: Recipe, path: Path, seeds: Sequence[int], limit: int | None, box: Sandbox, progress: Progress
    ) -> None:
        self.recipe, self.path, self.box, self.progress = recipe, path, box, progress
        self.seeds = tuple(seeds)
        self.problems, self.limit = heldout(recipe, limit)[0], limit
        self.rounds = range(1, len(recipe.rounds) + 1)
        self._held: dict[int, HeldOut] = {}
        self._training: dict[int, list[Problem]] = {}
        self._open = ExitStack()

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def held(self, seed: int) -> HeldOut:
        """The held-out problems of the run with this seed, which is evolved to its end before."""
        if seed not in self._held:
            path = self.path if seed == self.recipe.seed else self.path.with_name(f"{self.path.name}-seed-{seed}")
            evolution = Evolution(self.recipe.model_copy(update={"seed": seed}), path, self.box, self.progress)
            evolution.evolve(len(self.rounds))
            self._open.enter_context(evolution.run.owned())
            self._training[seed] = evolution.problems
            self._held[seed] = HeldOut(evolution.run, evolution.models, self.problems, self.box, self.progress)
        return self._held[seed]

    def run(self, seed: int) -> Run:
        """The run with this seed."""
        return self.held(seed).run

    def training(self, seed: int) -> list[Problem]:
        """The problems that its rounds searched."""
        self.held(seed)
        return self._training[seed]

    def models(self, seed: int) -> Models:
        """Its models."""
        return self.held(seed).models

    def systems(self, number: int, recipes: bool = False) -> dict[str, list[Outcome]]:
        """Greedy, vote and PPM-guided search of a round, for each seed.

        Greedy alone where the recipe leaves search out, if `recipes` says that its choice is to be kept to.
        """
        greedy_only = recipes and number in self.recipe.evaluation.greedy_only
        found = [self.held(seed).evaluate(number, seed, greedy_only) for seed in self.seeds]
        return {name: [outcomes[name] for outcomes in found] for name in found[0]}

    def measure(
        self,
        what: str,
        models: Callable[[int], Models],
        number: int,
        ask: Ask,
        judge: Callable[[int], PPMScorer] | None = None,
        most: int | None = None,
        words: int | None = None,
        seeds: Sequence[int] | None = None,
    ) -> dict[str, list[Outcome]]:
        """What `ask` finds with the policy of a round, and a judge, of the models of each seed, or of these.

        `what` names it, also on the disk; `most` takes the first so many problems where no limit was given; `words` are
        the tokens of a step at most, where it is not a step of the recipe.
        """
        found = [self._measure(seed, what, models, number, ask, judge, most, words) for seed in seeds or self.seeds]
        return {name: [outcomes[name] for outcomes in found] for name in found[0]}

    def _measure(
        self,
        seed: int,
        what: str,
        models: Callable[[int], Models],
        number: int,
        ask: Ask,
        judge: Callable[[int], PPMScorer] | None,
        most: int | None,
        words: int | None,
    ) -> dict[str, Outcome]:
        held, first = self.held(seed), most if self.limit is None else None

        def load() -> Loaded:
            # In this order: training a model drops the adapters that search has switched on.
            made, scorer = models(seed), judge(seed) if judge else None
            return made.policy(number, max_tokens=words), scorer

        def shard(problems: Sequence[Problem], policy: Policy, scorer: PPMScorer | None) -> dict[str, Outcome]:
            def expander(name: str, ppm: PPMScorer | None = None) -> Expander:
                return Expander(policy, self.box, ppm, f"{seed}/evaluation/{name}", ground_truth=False)

            return ask(problems, expander, scorer)

        return held.by_shard(f"seed {seed}: {what}", f"{_name(what)}-seed-{seed}", load, shard, first)

    def guided(self, what: str, number: int, judge: Callable[[int], PPMScorer]) -> list[Outcome]:
        """Search by the policy of a round under another judge than its own."""

        def ask(problems: Sequence[Problem], expander: MakeExpander, scorer: PPMScorer | None) -> dict[str, Outcome]:
            assert scorer
            return {"mcts": guided_search(problems, expander, scorer, self.recipe)}

        return self.measure(what, self.models, number, ask, judge)["mcts"]

    def trained(self, seed: int, name: str, kind: str, train: Callable[[Path], AnyModel]) -> Models:
        """Models whose "policy" or "ppm" of round 1 is what `train` made, in a folder for checkpoints, once."""
        run = self.run(seed)
        folder = run.path / "experiments" / _name(name)
        made, checkpoints = folder / "round-1" / kind, folder / f".{kind}-checkpoints"
        if not made.exists():
            run.write_model(train(checkpoints), made)
        shutil.rmtree(checkpoints, ignore_errors=True)
        return Models(run.recipe, folder, self.models(seed).capacity)

    def trained_for_all(self, name: str, kind: str, train: Callable[[Path], AnyModel]) -> Models:
        """The same, but once for all seeds, by the recipe's own; one of them that is at work beside it waits for it.

        On as many threads as the recipe says, since what a long training comes to can hang on them.
        """
        if self.recipe.seed in self.seeds:
            threads = torch.get_num_threads()
            torch.set_num_threads(self.recipe.threads)
            try:
                return self.trained(self.recipe.seed, name, kind, train)
            finally:
                torch.set_num_threads(threads)
        folder = self.path / "experiments" / _name(name)
        while not (folder / "round-1" / kind).exists():
            time.sleep(1)
        return Models(self.recipe, folder, self.models(self.seeds[0]).capacity)

    def policy_from(
        self,
        seed: int,
        name: str,
        trajectories: Callable[[], Sequence[Trajectory]],
        settings: Sft | None = None,
        start: Callable[[], AnyModel] | None = None,
    ) -> Models:
        """Models whose policy of round 1 has learnt from these trajectories, from the base or from `start`."""
        models = self.models(seed)

        def train(checkpoints: Path) -> AnyModel:
            learnt = trajectories()  # before the adapter: to choose them, others may be trained on the same base
            model, _ = train_policy(
                start() if start else models.policy_to_train(seed),
                models.tokenizer,
                models.prompt(1),
                learnt,
                settings or self.recipe.sft,
                seed,
                self.progress,
                checkpoints,
                f"seed {seed}: {name}",
            )
            return model

        return self.trained(seed, name, "policy", train)

    def trajectories(self, seed: int) -> list[Trajectory]:
        """What the last round's policy learnt from."""
        return read_jsonl(self.run(seed).round(self.rounds[-1]) / TRAJECTORIES, trajectory_from_row)

    def folder(self, run: Run, what: str, n: int) -> Path:
        """Where what was measured otherwise on `n` problems is kept."""
        return evaluation_folder(run, _name(what), n)


def _name(what: str) -> str:
    return re.sub(r"[^\w.]+", "-", what.lower()).strip("-")
