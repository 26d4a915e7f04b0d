"""The rounds of self-evolution (section 3.4): search makes data, data a better policy and PPM, and these search better.

Whatever a round has finished is on disk before the next piece starts, and is not computed again: shards of trees, the
policy, the PPM, the evaluation.
"""

from __future__ import annotations

import gc
import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from rstar_mini.cluster.pool import Cluster
from rstar_mini.code_cot import split_steps
from rstar_mini.errors import UserError
from rstar_mini.evaluation.shards import HeldOut
from rstar_mini.evaluation.summary import headline, summarise
from rstar_mini.evolution.budget import budget_line, spent
from rstar_mini.evolution.capacity import FILE
from rstar_mini.evolution.harvest import harvest, held_back
from rstar_mini.evolution.models import Models
from rstar_mini.evolution.problems import gather
from rstar_mini.evolution.run import Run
from rstar_mini.evolution.shards import SearchShards, ShardSearch, search_round
from rstar_mini.evolution.synthesis import Synthesizer
from rstar_mini.fetch.room import hub_repos
from rstar_mini.files import read_json, read_jsonl
from rstar_mini.finetune.sft import train_policy
from rstar_mini.plan.here import check_memory
from rstar_mini.ppm.model import pair_accuracy, train_ppm
from rstar_mini.progress import Progress
from rstar_mini.recipes import Recipe
from rstar_mini.sandbox import Sandbox
from rstar_mini.types import Problem, Trajectory


def trajectory_from_row(row: dict[str, Any]) -> Trajectory:
    """A row of trajectories.jsonl as a trajectory."""
    return Trajectory(Problem.from_json(row["problem"]), tuple(split_steps(row["completion"])), tuple(row["qs"]), True)


class Evolution:
    """A run at work: its problems, its base model and its sandbox, and the rounds that have to be done.

    Problems and base model are loaded first, so that nothing is written when one of them is wrong. With a cluster, its
    actors search and evaluate; models are trained here.

    Raises:
        UserError: problems, base model or run directory are not usable.
    """

    def __init__(
        self, recipe: Recipe, path: Path, box: Sandbox, progress: Progress, cluster: Cluster | None = None
    ) -> None:
        torch.set_num_threads(recipe.threads)
        self.recipe, self.box, self.progress, self.cluster = recipe, box, progress, cluster
        for repo in hub_repos(recipe):
            repo.snapshot(progress)
        self.gathered = gather(recipe)
        tight = check_memory(recipe)
        self.models = Models(recipe, path)
        self.models.notes += tight
        self.run = Run.create(path, recipe)

    @property
    def problems(self) -> list[Problem]:
        """What the rounds search: the recipe's problems and, once round 0 has made them, the new ones."""
        return [*self.gathered.training, *self.run.synthesized()]

    def evolve(self, rounds: int) -> None:
        """Do the base evaluation and rounds 1..`rounds`, leaving out what is already there."""
        with self.run.owned() as mended:
            self._note_start(mended)
            if not (self.run.path / FILE).exists():
                self.run.write_json(self.run.path / FILE, asdict(self.models.capacity))
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
        isolation = {"isolation": str(self.box.isolation), "stronger would need": self.box.missing}
        self.run.note("start", **machine, **{key: value for key, value in isolation.items() if value})
        for event, lines in (("mended", mended), ("otherwise", self.models.notes)):
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
            metrics |= self._train_policy(number, folder)
            if self.recipe.method == "mcts":
                metrics |= self._train_ppm(number, folder)
        metrics["evaluation"] = self._evaluate(number)
        self.run.write_json(folder / "metrics.json", metrics)

    def _curate(self) -> dict[str, Any]:
        """Section 3.4.1: report what was kept apart from the tests, and make new problems; the counts of both."""
        counts: dict[str, Any] = {"problems": self.gathered.counts}
        self.run.write_json(self.run.round(0) / "decontamination.json", self.gathered.report)
        self.progress.say(str(self.gathered))
        if settings := self.recipe.synthesis:
            synthesizer = Synthesizer(self.run, settings, self.models, self.box, self.progress)
            counts["synthesis"] = synthesizer.synthesize(self.gathered.training, self.gathered.contamination)
        return counts

    def _search(self, number: int) -> dict[str, Any]:
        """Trees for all problems with the models of the round before, then trajectories and pairs from them."""
        with self._searcher(number) as search:
            counts = search_round(self.run, number, self.problems, search, self.progress)
        return counts | harvest(self.run, number, self.problems)

    @contextmanager
    def _searcher(self, number: int) -> Iterator[SearchShards]:
        """What searches shards: the cluster, or the models of the round before in this process."""
        if self.cluster:
            yield partial(self.cluster.search, self.run, number, self.progress)
            return
        policy, scorer = self.models.for_search(number)
        with closing(policy):
            yield ShardSearch(self.recipe, number, policy, scorer, self.box, self.progress)

    def _train_policy(self, number: int, folder: Path) -> dict[str, Any]:
        """Section 3.2: from the base model, on the best trajectories of this round's trees."""
        log, checkpoints = folder / "policy-log.json", folder / ".policy-checkpoints"
        if not log.exists():
            trajectories = [trajectory_from_row(row) for row in read_jsonl(folder / "trajectories.jsonl")]
            if not trajectories:
                raise UserError(
                    f"round {number} solved no problem, so there is nothing to train on; "
                    "give more rollouts or easier problems"
                )
            with self.run.timed("policy trained", round=number):
                model, curve = train_policy(
                    self.models.policy_to_train(self.recipe.seed + number),
                    self.models.tokenizer,
                    self.models.prompt(number),
                    trajectories,
                    self.recipe.sft,
                    self.recipe.seed + number,
                    self.progress,
                    checkpoints,
                    f"round {number}: policy",
                )
            self.run.write_model(model, folder / "policy")
            self.run.write_json(log, {"curve": curve})
        shutil.rmtree(checkpoints, ignore_errors=True)
        return {"sft": _curve_ends(log)}

    def _train_ppm(self, number: int, folder: Path) -> dict[str, Any]:
        """Section 3.3: from this round's policy, on the pairs of all rounds so far; some problems are held out.

        Of all rounds, because the better the policy, the fewer wrong steps its own trees have to show.
        """
        log, checkpoints = folder / "ppm-log.json", folder / ".ppm-checkpoints"
        if not log.exists():
            pairs = [pair for earlier in range(1, number + 1) for pair in self.run.pairs(earlier)]
            held = {p.id for p in held_back(self.problems, self.recipe.ppm.validation)}
            training = [pair for pair in pairs if pair.problem.id not in held]
            if not training:
                raise UserError(
                    f"round {number} gave no preference pair: every tree was all right or all wrong; give more rollouts"
                )
            prompt, tokenizer = self.models.prompt(number), self.models.tokenizer
            seed, name = self.recipe.seed + number, f"round {number}: PPM"
            with self.run.timed("PPM trained", round=number):
                fresh = self.models.ppm_to_train(number, seed)
                model, curve = train_ppm(
                    fresh, tokenizer, prompt, training, self.recipe.ppm, seed, self.progress, checkpoints, name
                )
            accuracy = pair_accuracy(model, tokenizer, prompt, [pair for pair in pairs if pair.problem.id in held])
            self.run.write_model(model, folder / "ppm")
            self.run.write_json(log, {"curve": curve, "accuracy": accuracy})
        shutil.rmtree(checkpoints, ignore_errors=True)
        return {"ppm": _curve_ends(log), "ppm_accuracy": read_json(log)["accuracy"]}

    def _evaluate(self, number: int) -> dict[str, Any]:
        """Held-out problems: greedy, vote and PPM-guided search with this round's models."""
        problems, seed = self.gathered.heldout, self.recipe.seed
        held = HeldOut(self.run, self.models, problems, self.box, self.progress, self.cluster)
        with self.run.timed("evaluated", round=number):
            outcomes = held.evaluate(number, seed, number in self.recipe.evaluation.greedy_only)
            if number == 0 and self.models.tokenizer.chat_template:
                outcomes = {"chat": held.in_its_own_words()} | outcomes
        summary = summarise(problems, outcomes, seed)
        self.progress.say(f"round {number}: held-out {headline(summary)}")
        return summary


def _curve_ends(log: Path) -> dict[str, Any]:
    """Steps, first and last loss of a training."""
    curve = read_json(log)["curve"]
    return {"steps": curve[-1]["step"], "first_loss": curve[0]["loss"], "last_loss": curve[-1]["loss"]}
