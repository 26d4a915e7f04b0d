"""The rounds of self-evolution (section 3.4): search makes data, data a better policy and PPM, and these search better.

Whatever a round has finished is on disk before the next piece starts, and is not computed again: shards of trees, the
policy, the PPM, the evaluation.
"""

from __future__ import annotations

import gc
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rstar_mini.cluster.pool import Cluster
from rstar_mini.cluster.train import launch, machines_of
from rstar_mini.errors import UserError
from rstar_mini.evaluation.shards import HeldOut
from rstar_mini.evaluation.summary import headline, summarise
from rstar_mini.evolution.budget import budget_line, spent
from rstar_mini.evolution.capacity import FILE
from rstar_mini.evolution.harvest import RENUMBERED, TRAJECTORIES, harvest, row_of_trajectory, trajectory_from_row
from rstar_mini.evolution.learning import Learner, Part
from rstar_mini.evolution.models import Models
from rstar_mini.evolution.problems import FILE as PROBLEMS
from rstar_mini.evolution.problems import changes, gather
from rstar_mini.evolution.remote import Remote
from rstar_mini.evolution.run import Run
from rstar_mini.evolution.shards import SearchShards, ShardSearch, search_round
from rstar_mini.evolution.synthesis import Synthesizer
from rstar_mini.fetch.room import hub_repos
from rstar_mini.files import read_json, read_jsonl
from rstar_mini.finetune.renumber import renumber
from rstar_mini.plan.here import check_memory
from rstar_mini.progress import Progress
from rstar_mini.recipes import Recipe
from rstar_mini.sandbox import Sandbox
from rstar_mini.types import Problem


class Evolution:
    """A run at work: its problems, its base model and its sandbox, and the rounds that have to be done.

    Problems and base model are loaded first, so that nothing is written when one of them is wrong. With a cluster, its
    actors search and evaluate; with a configuration of accelerate, this spreads the trainings. `remote` is where the
    run is kept when it is not on this disk; `path` then is the folder to work in.

    Raises:
        UserError: problems, base model or run directory are not usable.
    """

    def __init__(
        self,
        recipe: Recipe,
        path: Path,
        box: Sandbox,
        progress: Progress,
        cluster: Cluster | None = None,
        accelerate: Path | None = None,
        remote: Remote | None = None,
    ) -> None:
        self.recipe, self.box, self.progress = recipe, box, progress
        self.cluster, self.accelerate = cluster, accelerate
        # What is wrong there is said before anything is loaded, which takes long.
        begun = Run.begun(path, recipe, remote)
        for repo in hub_repos(recipe):
            repo.snapshot(progress)
        self.gathered = gather(recipe)
        if begun:
            self._check_problems(begun)
        machines, each = machines_of(accelerate) if accelerate else (1, 1)
        there = cluster.free_bytes(recipe, progress) if cluster else None
        tight = check_memory(recipe, machines * each, there, machines > 1)
        self.models = Models(recipe, path, free=there)
        self.models.notes += tight
        self.run = Run.create(path, recipe, remote)

    @property
    def problems(self) -> list[Problem]:
        """What the rounds search: the recipe's problems and, once round 0 has made them, the new ones."""
        return [*self.gathered.training, *self.run.synthesized()]

    def _check_problems(self, begun: Run) -> None:
        """See that the run goes on with the problems that it began with: solutions are kept under the problems' ids.

        Raises:
            UserError: a problem file has changed.
        """
        file = begun.path / PROBLEMS
        if file.exists() and (changed := changes(read_json(file), self.gathered)):
            raise UserError(
                f"{begun.place} was begun with other problems ({'; '.join(changed)}); put the files back as they "
                "were, or choose another --run"
            )

    def evolve(self, rounds: int) -> None:
        """Do the base evaluation and rounds 1..`rounds`, leaving out what is already there."""
        with self.run.owned(self.progress.say) as mended:
            self._note_start(mended)
            for file, data in ((FILE, asdict(self.models.capacity)), (PROBLEMS, self.gathered.digests)):
                path = self.run.path / file
                if not path.exists() or read_json(path) != data:
                    self.run.write_json(path, data)
            for number in range(rounds + 1):
                if not (self.run.round(number) / "metrics.json").exists():
                    self.progress.say(f"round {number}: " + ("the base model" if number == 0 else self._plan(number)))
                    with self.run.timed("round finished", round=number):
                        self._round(number)
                    gc.collect()
        self.progress.say(budget_line(spent(self.run.metrics()), self.recipe.budget))

    def _note_start(self, mended: Sequence[str]) -> None:
        """Where and how this run goes on, into its events."""
        machine = {"host": platform.node(), "pid": os.getpid(), "system": platform.platform()}
        if self.cluster and self.cluster.dashboard:
            machine["dashboard"] = self.cluster.dashboard
        isolation = {"isolation": str(self.box.isolation), "stronger would need": self.box.missing}
        self.run.note("start", **machine, **{key: value for key, value in isolation.items() if value})
        changed = self.run.keep_recipe()
        for event, lines in (("mended", mended), ("otherwise", self.models.notes), ("recipe changed", changed)):
            for line in lines:
                self.run.note(event, what=line)
                self.progress.say(line)

    def _plan(self, number: int) -> str:
        settings = self.recipe.rounds[number - 1]
        if self.recipe.method == "rejection":
            return f"{len(self.problems)} problems, {settings.rollouts} whole solutions each"
        return (
            f"{len(self.problems)} problems, {settings.candidates} candidates x {settings.rollouts} rollouts, "
            f"{'PPM-augmented' if settings.annotation == 'ppm' else 'terminal-guided'} Q-values"
        )

    def _round(self, number: int) -> None:
        folder = self.run.round(number)
        metrics: dict[str, Any] = {"round": number, "seed": self.recipe.seed}
        if number == 0:
            metrics |= self._curate()
        else:
            metrics |= self._search(number)
            metrics |= self._learn(number, "policy")
            if self.recipe.method == "mcts":
                metrics |= self._learn(number, "ppm")
        metrics["evaluation"] = self._evaluate(number)
        self.run.write_json(folder / "metrics.json", metrics)

    def _curate(self) -> dict[str, Any]:
        """Section 3.4.1: report what was kept apart from the tests, and make new problems; the counts of both."""
        counts: dict[str, Any] = {"problems": self.gathered.counts}
        self.run.write_json(self.run.round(0) / "decontamination.json", self.gathered.report)
        self.progress.say(str(self.gathered))
        if settings := self.recipe.synthesis:
            synthesizer = Synthesizer(self.run, settings, self.models, self.box, self.progress, self.cluster)
            counts["synthesis"] = synthesizer.synthesize(self.gathered.training, self.gathered.contamination)
        return counts

    def _search(self, number: int) -> dict[str, Any]:
        """Trees for all problems with the models of the round before, then trajectories and pairs from them."""
        with self._searcher(number) as search:
            counts = search_round(self.run, number, self.problems, search, self.progress)
        return counts | harvest(self.run, number, self.problems) | self._renumber(number)

    def _renumber(self, number: int) -> dict[str, Any]:
        """The trajectories with other numbers, where the recipe asks for them; none that stands in a test set."""
        copies, folder = self.recipe.sft.renumbered, self.run.round(number)
        if not copies:
            return {}
        trajectories = read_jsonl(folder / TRAJECTORIES, trajectory_from_row)
        told = renumber(trajectories, copies, self.recipe.seed, self.box)
        clean = [t for t in told if not self.gathered.contamination.find(t.problem.question)]
        self.run.write_jsonl(folder / RENUMBERED, map(row_of_trajectory, clean))
        return {"renumbered": len(clean)}

    @contextmanager
    def _searcher(self, number: int) -> Iterator[SearchShards]:
        """What searches shards: the cluster, or the models of the round before in this process."""
        if self.cluster:
            yield partial(self.cluster.search, self.run, number, self.progress)
            return
        policy, scorer = self.models.for_search(number)
        with closing(policy):
            yield ShardSearch(self.recipe, number, policy, scorer, self.box, self.progress)

    def _learn(self, number: int, part: Part) -> dict[str, Any]:
        """Train the policy or the PPM, here or as accelerate spreads it; what became of it."""
        log = self.run.round(number) / f"{part}-log.json"
        if not log.exists():
            if self.accelerate:
                launch(self.accelerate, self.run, number, part, self.progress, self.cluster)
                self.run.copy(self.run.round(number) / part)
                self.run.copy(log)
            else:
                Learner(self.run, self.models, self.problems, self.progress).learn(number, part)
        made = read_json(log)
        curve = made["curve"]
        ends = {"steps": curve[-1]["step"], "first_loss": curve[0]["loss"], "last_loss": curve[-1]["loss"]}
        return {"sft": ends} if part == "policy" else {"ppm": ends, "ppm_accuracy": made["accuracy"]}

    def _evaluate(self, number: int) -> dict[str, Any]:
        """Held-out problems: greedy, vote and PPM-guided search with this round's models."""
        problems, seed = self.gathered.heldout, self.recipe.seed
        held = HeldOut(self.run, self.models, problems, self.box, self.progress, self.cluster)
        with self.run.timed("evaluated", round=number):
            outcomes = held.evaluate(number, seed, number in self.recipe.evaluation.greedy_only)
            if number == 0 and self.models.own_words:
                outcomes = {"chat": held.in_its_own_words()} | outcomes
        summary = summarise(problems, outcomes, seed)
        self.progress.say(f"round {number}: held-out {headline(summary)}")
        return summary
