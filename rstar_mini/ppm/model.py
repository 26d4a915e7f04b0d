"""The PPM: the round's policy with a scalar head and tanh in place of the next-token head (section 3.3).

It is trained on preference pairs (Eq. 4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase, set_seed
from trl import RewardConfig, RewardTrainer

from rstar_mini.adapters import new_head
from rstar_mini.bases import refused
from rstar_mini.code_cot import split_steps
from rstar_mini.policy.prefix_cache import common
from rstar_mini.policy.windows import windowed
from rstar_mini.ppm.pairs import Pair
from rstar_mini.progress import Progress
from rstar_mini.prompts import Prompt
from rstar_mini.recipes.schema import Ppm
from rstar_mini.tokens import Encoder, cached_encoder
from rstar_mini.training import (
    AnyModel,
    Resumable,
    called,
    dataset,
    fits,
    run_trainer,
    short_enough,
    trainer_settings,
)


def reward(logits: Tensor) -> Tensor:
    """The score in [-1, 1] from the scalar head's output [...]; the one function used in training and in search."""
    return torch.tanh(logits.float())


Squash = Callable[[Tensor], Tensor]
"""From the head's output to a reward: `reward`, but where an experiment asks what tanh is good for."""


def pair_loss(chosen: Tensor, rejected: Tensor, weights: Tensor) -> Tensor:
    """Eq. 4: -log sigmoid(r(x, y+) - r(x, y-)), averaged with weight 1 / (n_pos n_neg): each prefix counts once.

    Args:
        chosen, rejected: [pairs] rewards in [-1, 1].
        weights: [pairs].
    """
    return -(weights * logsigmoid(chosen - rejected)).sum() / weights.sum().clamp(min=1e-12)


def ppm_from_policy(policy: PreTrainedModel, seed: int = 0) -> PreTrainedModel:
    """A model with the policy's weights and a fresh scalar head (small weights, so that all scores start near 0)."""
    set_seed(seed)
    one_label = {"id2label": {0: "score"}, "label2id": {"score": 0}}
    config = type(policy.config).from_dict(policy.config.to_dict() | one_label)
    model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32, trust_remote_code=False)
    model.get_decoder().load_state_dict(policy.get_decoder().state_dict())
    model.score = new_head(model)
    return model


def check_ppm(policy: PreTrainedModel, name: str) -> None:
    """See that a PPM can be made of a policy, without memory for its weights.

    Raises:
        UserError: transformers has no such model with a scalar head, or one of another shape.
    """
    try:
        with torch.device("meta"):
            model = AutoModelForSequenceClassification.from_config(policy.config, trust_remote_code=False)
        same = model.get_decoder().state_dict().keys() == policy.get_decoder().state_dict().keys()
    except (ValueError, AttributeError):
        same = False
    if not same or not isinstance(getattr(model, "score", None), nn.Linear):
        raise refused(name, f"transformers can make no PPM of {type(policy).__name__}, though policy.tuning lora can")


def shared_prefixes(examples: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
    """One row a pair, [common prefix | rest of chosen | rest of rejected | padding]: the prefix is read only once.

    Returns:
        `input_ids`, `position_ids` [pairs, width]: both rests are numbered on from the prefix.
        `attention_mask` [pairs, 1, width, width]: what the tokens of each row see, the rejected ones nothing of the
            chosen rest.
        `ends` [pairs, 2]: where chosen and rejected end.
        `weight` [pairs].
    """
    sides = [(example["chosen_ids"], example["rejected_ids"]) for example in examples]
    shared = torch.tensor([len(common(chosen[:-1], rejected[:-1])) for chosen, rejected in sides])
    split = torch.tensor([len(chosen) for chosen, _ in sides])
    rows = [torch.tensor(chosen + rejected[n:]) for (chosen, rejected), n in zip(sides, shared.tolist(), strict=True)]
    ids = pad_sequence(rows, batch_first=True)
    place = torch.arange(ids.shape[1])
    chosen_rest = (place >= shared[:, None, None]) & (place < split[:, None, None])  # [pairs, 1, width]
    from_rejected = place[:, None] >= split[:, None, None]  # [pairs, width, 1]
    return {
        "input_ids": ids,
        "position_ids": torch.where(place < split[:, None], place, place - (split - shared)[:, None]),
        "attention_mask": ((place[:, None] >= place) & ~(from_rejected & chosen_rest))[:, None],
        "ends": torch.stack([split, torch.tensor([len(row) for row in rows])], dim=1) - 1,
        "weight": torch.tensor([example["weight"] for example in examples]),
    }


def pair_rewards(model: AnyModel, batch: dict[str, Tensor], squash: Squash = reward) -> tuple[Tensor, Tensor]:
    """The rewards of chosen and rejected, [pairs] each, of a batch from `shared_prefixes`."""
    decoder, at = model.get_decoder(), batch["position_ids"]
    sees = windowed(decoder.config, batch["attention_mask"], at)
    hidden = decoder(batch["input_ids"], position_ids=at, attention_mask=sees, use_cache=False).last_hidden_state
    ends = hidden[torch.arange(len(hidden), device=hidden.device)[:, None], batch["ends"]]
    scores = model.score(ends.float()).squeeze(-1)  # type: ignore[operator]  # a layer, which nn.Module hides from the checker
    chosen, rejected = squash(scores).unbind(dim=1)
    return chosen, rejected


class PPMTrainer(Resumable, RewardTrainer):
    """TRL's RewardTrainer with the paper's tanh and pair weights, and batches of pairs of like length."""

    squash: Squash = staticmethod(reward)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        columns: list[str] = self._signature_columns  # type: ignore[assignment]  # its type is taken from the first None
        if "weight" not in columns:
            columns += ["weight", "length"]

    def summed_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        """Eq. 4 before it is divided by the weights."""
        chosen, rejected = pair_rewards(model, inputs, self.squash)
        self._metrics["train"]["accuracy"].append((chosen > rejected).float().mean().item())
        return pair_loss(chosen, rejected, inputs["weight"]) * inputs["weight"].sum()

    def counted(self, inputs: dict[str, Any]) -> Tensor:
        """The weights of the pairs."""
        weights: Tensor = inputs["weight"]
        return weights.sum()


def encode_pair(encode: Encoder, prompt: Prompt, pair: Pair) -> dict[str, Any]:
    """Pre-tokenised `chosen_ids` and `rejected_ids`, which end at the step's last token: where search reads the score.

    Ready-made ids also keep TRL from adding an end-of-sequence token that search would never see. By `length` the
    trainer groups pairs, so that little of a batch is padding.
    """

    def ids(continuation: str) -> list[int]:
        pieces = [prompt(pair.problem.question)]
        for step in split_steps(pair.prefix + continuation):
            pieces += [step.text, step.output]
        return encode.joined(pieces)

    chosen, rejected = ids(pair.chosen), ids(pair.rejected)
    return {
        "chosen_ids": chosen,
        "rejected_ids": rejected,
        "weight": pair.weight,
        "length": max(len(chosen), len(rejected)),
    }


def train_ppm(
    model: AnyModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Prompt,
    pairs: Sequence[Pair],
    settings: Ppm,
    seed: int,
    progress: Progress,
    checkpoints: Path,
    name: str = "PPM",
    squash: Squash = reward,
) -> tuple[AnyModel, list[dict[str, float]]]:
    """Train a PPM in place on `pairs`, from `ppm_from_policy` or an adapter with a head; returns it and its loss curve.

    Goes on from the last checkpoint in the folder `checkpoints`, which the caller removes when the model is safe.
    """
    set_seed(seed)
    encode = cached_encoder(tokenizer.encode)
    rows = [encode_pair(encode, prompt, pair) for pair in pairs]
    rows = short_enough(rows, model, name, progress)
    trainer = ppm_trainer(model, tokenizer, rows, settings, seed, checkpoints)
    trainer.squash = squash
    return model, run_trainer(trainer, progress, name, settings.checkpoint_seconds)


def ppm_trainer(
    model: AnyModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: list[dict[str, Any]],
    settings: Ppm,
    seed: int,
    checkpoints: Path,
) -> PPMTrainer:
    """TRL's trainer for rows as `encode_pair` makes them."""
    return PPMTrainer(
        model,
        RewardConfig(str(checkpoints), **trainer_settings(settings, seed, model)),
        data_collator=shared_prefixes,
        train_dataset=dataset(rows, rows[0] | {"weight": 0.0}),
        processing_class=tokenizer,
    )


@torch.no_grad()
def ordered_rightly(
    model: AnyModel, tokenizer: PreTrainedTokenizerBase, prompt: Prompt, pairs: Sequence[Pair]
) -> list[bool]:
    """Of each held-out pair that the model can read, whether the PPM scores the better step higher."""
    encode = cached_encoder(tokenizer.encode)
    right: list[bool] = []
    rows = [encode_pair(encode, prompt, pair) for pair in pairs]
    rows = [row for row in rows if fits(model, row["length"])]
    with called(model, partial(pair_rewards, model)):
        for first in range(0, len(rows), 64):
            batch = shared_prefixes(rows[first : first + 64])
            chosen, rejected = model({name: part.to(model.device) for name, part in batch.items()})
            right += (chosen > rejected).tolist()
    return right
