"""Fine-tuning of the policy: loss and gradients are those of whole logits, though the head reads labels alone."""

import pytest
import torch
from test_adapters import solved
from torch import Tensor
from torch.nn.functional import cross_entropy

from rstar_mini.adapters import with_lora
from rstar_mini.finetune.sft import IGNORED, encode_trajectory, sft_trainer, train_policy
from rstar_mini.models import load_base
from rstar_mini.progress import Silent
from rstar_mini.prompts import Prompt
from rstar_mini.recipes.schema import Sft
from rstar_mini.tokens import cached_encoder
from rstar_mini.training import AnyModel

TRAJECTORIES = [solved(10**i) for i in range(6)]  # of several lengths


def encoded(tokenizer) -> list[dict[str, list[int]]]:
    encode = cached_encoder(tokenizer.encode)
    return [encode_trajectory(encode, Prompt()(t.problem.question), t.steps, mask_output=True) for t in TRAJECTORIES]


def plain_loss(model: AnyModel, rows: list[dict[str, list[int]]]) -> Tensor:
    """Every row by itself, whole logits."""
    logits = torch.cat([model(torch.tensor([row["input_ids"]])).logits[0, :-1] for row in rows])
    labels = torch.cat([torch.tensor(row["labels"][1:]) for row in rows])
    return cross_entropy(logits, labels, ignore_index=IGNORED)


@pytest.mark.parametrize("micro_batch", [None, 2])
def test_the_loss_is_the_mean_over_the_labelled_tokens_of_a_step(micro_batch, tmp_path):
    model, tokenizer = load_base("tiny")
    expected = plain_loss(model, encoded(tokenizer)).item()
    settings = Sft(epochs=1, batch=6, micro_batch=micro_batch, lr=1e-12, warmup=0)
    _, curve = train_policy(model, tokenizer, Prompt(), TRAJECTORIES, settings, 0, Silent(), tmp_path)
    assert [row["loss"] for row in curve] == pytest.approx([expected], abs=1e-5)


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_the_gradients_are_those_of_whole_logits(tuning, tmp_path):
    model, tokenizer = load_base("tiny")
    model = with_lora(model, 4) if tuning == "lora" else model
    rows = encoded(tokenizer)
    trainer = sft_trainer(model, tokenizer, rows, Sft(), 0, tmp_path)
    batch = trainer._prepare_inputs(trainer.data_collator(rows))
    model.eval()  # without dropout

    def gradients(loss: Tensor) -> dict[str, Tensor]:
        model.zero_grad()
        loss.backward()
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    expected = gradients(plain_loss(model, rows))
    found = gradients(trainer.compute_loss(model, batch, num_items_in_batch=trainer.counted(batch)))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
