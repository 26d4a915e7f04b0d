"""Two rivals of the PPM (section 4.3): PQM learns every step's Q-value, ORM whether a whole solution is right.

Both are the PPM's model, head and tanh; only what they learn from the same trees differs: scores, and not an order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from torch.nn.functional import mse_loss
from transformers import DataCollatorWithPadding, PreTrainedTokenizerBase, set_seed
from trl import RewardConfig

from rstar_mini.code_cot import judged_text
from rstar_mini.ppm.model import reward
from rstar_mini.progress import Progress
from rstar_mini.prompts import Prompt
from rstar_mini.recipes.schema import Ppm
from rstar_mini.tokens import Encoder, cached_encoder
from rstar_mini.training import AnyModel, Resumable, run_trainer, trainer_settings
from rstar_mini.types import Problem, Step, Tree


@dataclass(frozen=True, slots=True)
class ScoredSteps:
    """A solution so far, and the score in [-1, 1] that a model should give its last step."""

    problem: Problem
    steps: tuple[Step, ...]
    target: float


def step_scores(trees: Iterable[Tree]) -> list[ScoredSteps]:
    """For a PQM: every step that a rollout came through, with its Q. The PPM's own score of a node is no rollout."""
    return [
        ScoredSteps(t.problem, n.steps(), n.q)
        for t in trees
        for n in t.nodes()
        if n.parent and n.visits > (n.prior is not None)
    ]


def outcome_scores(trees: Iterable[Tree]) -> list[ScoredSteps]:
    """For an ORM: every whole solution, +1 when its answer is right and -1 when it is wrong."""
    return [
        ScoredSteps(t.problem, n.steps(), 1.0 if n.correct else -1.0)
        for t in trees
        for n in t.terminals()
        if n.correct is not None
    ]


class RegressionTrainer(Resumable):
    """Mean squared error between the PPM's `reward` and `labels`, in batches of sequences of like length."""

    def summed_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        """The errors, added up."""
        mask = inputs["attention_mask"]
        hidden = model.get_decoder()(inputs["input_ids"], attention_mask=mask, use_cache=False).last_hidden_state
        ends = (mask * torch.arange(mask.shape[1], device=mask.device)).argmax(dim=1)
        scores = model.score(hidden[torch.arange(len(hidden), device=hidden.device), ends].float()).squeeze(-1)
        return mse_loss(reward(scores), inputs["labels"].float(), reduction="sum")

    def counted(self, inputs: dict[str, Any]) -> Tensor:
        """The sequences."""
        return torch.tensor(len(inputs["labels"]))


def encode_scored(encode: Encoder, prompt: Prompt, row: ScoredSteps) -> dict[str, Any]:
    """Token ids that end at the last step's last token, where search reads the score, and the target."""
    pieces = [prompt(row.problem.question)]
    for step in row.steps[:-1]:
        pieces += [step.text, step.output]
    last = row.steps[-1]
    ids = encode.joined([*pieces, last.text, judged_text(last).removeprefix(last.text)])
    return {"input_ids": ids, "labels": row.target, "length": len(ids)}


def train_regression(
    model: AnyModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Prompt,
    rows: Sequence[ScoredSteps],
    settings: Ppm,
    seed: int,
    progress: Progress,
    checkpoints: Path,
    name: str = "PQM",
) -> tuple[AnyModel, list[dict[str, float]]]:
    """Train in place on scores what `ppm_from_policy` gives; returns it with its loss curve.

    `settings.batch` counts sequences here, so twice the PPM's reads as much a step: a pair is two. Goes on from the
    last checkpoint in the folder `checkpoints`, which the caller removes when the model is safe.
    """
    set_seed(seed)
    encode = cached_encoder(tokenizer.encode)
    arguments = RewardConfig(str(checkpoints), remove_unused_columns=False, **trainer_settings(settings, seed, model))
    trainer = RegressionTrainer(
        model,
        arguments,
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=Dataset.from_list([encode_scored(encode, prompt, row) for row in rows]),
        processing_class=tokenizer,
    )
    return model, run_trainer(trainer, progress, name, settings.checkpoint_seconds)
