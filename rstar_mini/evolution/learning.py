"""The two trainings of a round: the policy on verified trajectories (section 3.2), the PPM on pairs (section 3.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from rstar_mini.errors import UserError
from rstar_mini.evolution.harvest import RENUMBERED, TRAJECTORIES, held_back, trajectory_from_row
from rstar_mini.evolution.models import Models
from rstar_mini.evolution.run import Run
from rstar_mini.files import read_jsonl, remove
from rstar_mini.finetune.sft import train_policy
from rstar_mini.ppm.model import ordered_rightly, train_ppm
from rstar_mini.progress import Progress
from rstar_mini.training import is_first, whole_weights
from rstar_mini.types import Problem

Part = Literal["policy", "ppm"]


class Learner:
    """Trains what a round makes, and leaves it in the run, with a log beside it.

    Where training is spread over devices, each process has a learner, and the first of them writes.
    """

    def __init__(self, run: Run, models: Models, problems: Sequence[Problem], progress: Progress) -> None:
        self.run, self.recipe, self.models, self.problems, self.progress = run, run.recipe, models, problems, progress

    def learn(self, number: int, part: Part) -> None:
        """Train the policy or the PPM of a round, or go on with it.

        Raises:
            UserError: search has found nothing to learn from.
        """
        with self._timed("policy trained" if part == "policy" else "PPM trained", number):
            model, log = self._policy(number) if part == "policy" else self._ppm(number)
        weights = whole_weights(model)
        if is_first():
            self.run.write_model(model, self.run.round(number) / part, weights)
            self.run.write_json(self.run.round(number) / f"{part}-log.json", log)
            remove(self._checkpoints(number, part))

    def _policy(self, number: int) -> tuple[Any, dict[str, Any]]:
        """From the base model, on the best trajectories, and those of them that were told with other numbers."""
        files = [self.run.round(number) / name for name in (TRAJECTORIES, RENUMBERED)]
        trajectories = [each for file in files if file.exists() for each in read_jsonl(file, trajectory_from_row)]
        if not trajectories:
            raise UserError(
                f"round {number} solved no problem, so there is nothing to train on; "
                "give more rollouts or easier problems"
            )
        seed = self.recipe.seed + number
        model, curve = train_policy(
            self.models.policy_to_train(seed),
            self.models.tokenizer,
            self.models.prompt(number),
            trajectories,
            self.recipe.sft,
            seed,
            self.progress,
            self._checkpoints(number, "policy"),
            f"round {number}: policy",
        )
        return model, {"curve": curve}

    def _ppm(self, number: int) -> tuple[Any, dict[str, Any]]:
        """From this round's policy, on the pairs of all rounds so far; some problems are held out.

        Of all rounds, because the better the policy, the fewer wrong steps its own trees have to show.
        """
        pairs = [pair for earlier in range(1, number + 1) for pair in self.run.pairs(earlier)]
        held = {problem.id for problem in held_back(self.problems, self.recipe.ppm.validation)}
        training = [pair for pair in pairs if pair.problem.id not in held]
        if not training:
            raise UserError(
                f"round {number} gave no preference pair: every tree was all right or all wrong; give more rollouts"
            )
        prompt, tokenizer, seed = self.models.prompt(number), self.models.tokenizer, self.recipe.seed + number
        model, curve = train_ppm(
            self.models.ppm_to_train(number, seed),
            tokenizer,
            prompt,
            training,
            self.recipe.ppm,
            seed,
            self.progress,
            self._checkpoints(number, "ppm"),
            f"round {number}: PPM",
        )
        kept = [pair for pair in pairs if pair.problem.id in held]
        right = ordered_rightly(model, tokenizer, prompt, kept)
        return model, {"curve": curve, "accuracy": {"correct": sum(right), "n": len(right)}}

    def _checkpoints(self, number: int, part: Part) -> Any:
        return self.run.round(number) / f".{part}-checkpoints"

    @contextmanager
    def _timed(self, event: str, number: int) -> Iterator[None]:
        if is_first():
            with self.run.timed(event, round=number):
                yield
        else:
            yield
