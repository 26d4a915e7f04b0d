"""Supervised fine-tuning on verified trajectories with TRL's SFTTrainer (section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerBase, set_seed
from trl import SFTConfig, SFTTrainer

from rstar_mini.progress import Progress
from rstar_mini.prompts import Prompt
from rstar_mini.recipes.schema import Sft, Training
from rstar_mini.tokens import Encoder, cached_encoder
from rstar_mini.training import AnyModel, Resumable, dataset, run_trainer, short_enough, trainer_settings
from rstar_mini.types import Step, Trajectory

IGNORED = -100  # label on which no loss is taken


def encode_trajectory(encode: Encoder, prompt: str, steps: Sequence[Step], mask_output: bool) -> dict[str, list[int]]:
    """Token ids and labels of prompt and steps, each piece encoded apart, exactly as search reads them.

    The prompt carries no loss, nor does the interpreter's output when `mask_output`: the policy never has to write it.
    """
    pieces = [(encode(prompt), False)]
    for step in steps:
        pieces += [(encode(step.text, goes_on=True), True), (encode(step.output, goes_on=True), not mask_output)]
    ids = [token for piece, _ in pieces for token in piece]
    labels = [token if learnt else IGNORED for piece, learnt in pieces for token in piece]
    return {"input_ids": ids, "labels": labels}


def train_policy(
    model: AnyModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Prompt,
    trajectories: Sequence[Trajectory],
    settings: Sft,
    seed: int,
    progress: Progress,
    checkpoints: Path,
    name: str = "policy",
) -> tuple[AnyModel, list[dict[str, float]]]:
    """Fine-tune the base model, or the adapter on it, in place on the trajectories; returns it with its loss curve.

    Goes on from the last checkpoint in the folder `checkpoints`, which the caller removes when the model is safe.
    """
    set_seed(seed)
    encode = cached_encoder(tokenizer.encode)
    rows = [encode_trajectory(encode, prompt(t.problem.question), t.steps, settings.mask_output) for t in trajectories]
    rows = short_enough(rows, model, name, progress)
    trainer = sft_trainer(model, tokenizer, rows, settings, seed, checkpoints)
    return model, run_trainer(trainer, progress, name, settings.checkpoint_seconds)


def sft_trainer(
    model: AnyModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: list[dict[str, list[int]]],
    settings: Training,
    seed: int,
    checkpoints: Path,
) -> SFTTrainer:
    """TRL's trainer for rows that are token ids and labels already; also used to pretrain."""
    arguments = trainer_settings(settings, seed, model)
    config = SFTConfig(str(checkpoints), dataset_kwargs={"skip_prepare_dataset": True}, **arguments)
    filler = {"input_ids": rows[0]["input_ids"][:2], "labels": [IGNORED] * 2}
    return PolicyTrainer(model, config, train_dataset=dataset(rows, filler), processing_class=tokenizer)


class PolicyTrainer(Resumable, SFTTrainer):
    """TRL's SFTTrainer, with the vocabulary head read at the labelled positions only."""

    def summed_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        """-log p(token | tokens before it), added up over the labelled tokens."""
        # Without a mask: padding stands on the right, where no token of a causal model sees it.
        hidden = model.get_decoder()(inputs["input_ids"], use_cache=False).last_hidden_state
        labels = inputs["labels"][:, 1:]
        logits = model.get_output_embeddings()(hidden[:, :-1][labels != IGNORED])
        return cross_entropy(logits.float(), labels[labels != IGNORED], reduction="sum")

    def counted(self, inputs: dict[str, Any]) -> Tensor:
        """The labelled tokens."""
        return (inputs["labels"][:, 1:] != IGNORED).sum()
