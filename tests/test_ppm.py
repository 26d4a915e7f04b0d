"""The PPM: Eq. 4, one function for training and search, and a head that learns an order."""

import math
from typing import Any

import pytest
import torch
from peft import TaskType
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    Phi3Config,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
)

from rstar_mini.adapters import with_lora
from rstar_mini.ppm import Pair
from rstar_mini.ppm.model import (
    encode_pair,
    ordered_rightly,
    pair_loss,
    pair_rewards,
    ppm_from_policy,
    reward,
    shared_prefixes,
    train_ppm,
)
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.progress import Silent
from rstar_mini.prompts import Prompt
from rstar_mini.recipes.schema import Ppm
from rstar_mini.tokens import cached_encoder
from rstar_mini.types import Problem, Step

PREFIX = "<code>\n# Count the pens\nall = 3 * 8\n<end_of_step>"


def pair(i: int, weight: float = 1.0) -> Pair:
    problem = Problem(str(i), f"Tom has {i + 2} boxes with 8 pens in each box. How many pens does Tom have now?", "24")
    good, bad = (
        "\n# Now print the final answer\nprint(all)\n<end_of_code>",
        "\n# Take half of the pens\nhalf = all // 2\n<end_of_step>",
    )
    return Pair(problem, PREFIX, good, bad, weight, 1.0, -1.0)


def test_pair_loss_is_equation_4():
    chosen, rejected = torch.tensor([0.5, 0.2, -0.1, 0.9]), torch.tensor([-0.5, 0.4, -0.3, 0.1])
    expected = -sum(
        math.log(1 / (1 + math.exp(-(c - r)))) for c, r in zip(chosen.tolist(), rejected.tolist(), strict=True)
    ) / (2 * 2)
    assert pair_loss(chosen, rejected, torch.full((4,), 0.25)).item() == pytest.approx(expected, abs=1e-6)


def test_weights_make_each_prefix_count_once():
    one = pair_loss(torch.tensor([0.5]), torch.tensor([0.0]), torch.tensor([1.0]))
    four = pair_loss(torch.tensor([0.5] * 4 + [0.9]), torch.tensor([0.0] * 4 + [0.0]), torch.tensor([0.25] * 4 + [1.0]))
    other = pair_loss(torch.tensor([0.9]), torch.tensor([0.0]), torch.tensor([1.0]))
    assert four.item() == pytest.approx((one.item() + other.item()) / 2)


def test_pairs_end_at_the_token_that_search_reads(base):
    _, tokenizer = base
    row = encode_pair(cached_encoder(tokenizer.encode), Prompt(), pair(0))
    assert tokenizer.decode(row["chosen_ids"]) == Prompt()(pair(0).problem.question) + PREFIX + pair(0).chosen
    assert tokenizer.decode(row["rejected_ids"][-1:]) == "<end_of_step>"


def test_search_scores_with_the_function_of_training(base):
    model, tokenizer = base
    ppm = ppm_from_policy(model).eval()
    torch.nn.init.normal_(ppm.score.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    scorer = PPMScorer(ppm, tokenizer, Prompt())
    steps = [Step(pair(0).chosen), Step(pair(0).rejected)]
    [scores] = scorer.score([(pair(0).problem, (Step(PREFIX),), steps)])
    row = encode_pair(cached_encoder(tokenizer.encode), Prompt(), pair(0))
    for score, ids in zip(scores, (row["chosen_ids"], row["rejected_ids"]), strict=True):
        assert score == pytest.approx(reward(ppm(torch.tensor([ids])).logits).item(), abs=1e-4)
    assert min(scores) > -1 and max(scores) < 1


def decoder(family: type[PreTrainedConfig]) -> PreTrainedModel:
    """A little policy of another family, with fewer heads for keys than for queries."""
    sizes = {"vocab_size": 1360, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    config = family(**sizes, num_attention_heads=4, num_key_value_heads=2, pad_token_id=0, initializer_range=0.2)
    return AutoModelForCausalLM.from_config(config)


def rows_of_pairs(tokenizer, weights=(1.0, 0.25, 0.5)) -> list[dict[str, Any]]:
    """A pair of steps, the same the other way round, and a pair that differs from its first token."""
    encode = cached_encoder(tokenizer.encode)
    first, second, third = (encode_pair(encode, Prompt(), pair(i, weight)) for i, weight in enumerate(weights))
    second["chosen_ids"], second["rejected_ids"] = second["rejected_ids"], second["chosen_ids"]
    third["rejected_ids"] = third["rejected_ids"][20:]
    return [first, second, third]


@pytest.mark.parametrize("tuning", ["full", "lora"])
@pytest.mark.parametrize("family", [Phi3Config, LlamaConfig, Qwen2Config])
def test_branches_of_one_row_have_the_loss_and_the_gradients_of_two_rows(base, family, tuning):
    torch.manual_seed(0)
    policy = base[0] if family is Phi3Config else decoder(family)
    model = ppm_from_policy(policy)
    model = (model if tuning == "full" else with_lora(model, 16, TaskType.SEQ_CLS)).eval()  # without dropout
    for name, parameter in model.named_parameters():
        if "lora_B" in name or "score" in name:  # these start at nothing, or near it
            torch.nn.init.normal_(parameter, std=0.1)
    rows = rows_of_pairs(base[1])

    def plain(side: str) -> torch.Tensor:
        """Every sequence in a row of its own."""
        return torch.cat([reward(model(torch.tensor([row[side]])).logits[:, 0]) for row in rows])

    def gradients(chosen: torch.Tensor, rejected: torch.Tensor) -> dict[str, torch.Tensor]:
        model.zero_grad()
        pair_loss(chosen, rejected, torch.tensor([row["weight"] for row in rows])).backward()
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    expected, found = (plain("chosen_ids"), plain("rejected_ids")), pair_rewards(model, shared_prefixes(rows))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert (found[0] - found[1]).abs().min() > 1e-3  # else the comparison says nothing
    torch.testing.assert_close(gradients(*found), gradients(*expected), atol=1e-5, rtol=1e-4)


def test_a_row_holds_the_common_prefix_once():
    batch = shared_prefixes([{"chosen_ids": [1, 2, 3, 4], "rejected_ids": [1, 2, 5], "weight": 1.0}])
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 5]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 2]]
    assert batch["attention_mask"][0, 0, 4].tolist() == [True, True, False, False, True]
    assert batch["ends"].tolist() == [[3, 4]]


def test_a_continuation_of_the_other_keeps_a_token_of_its_own():
    batch = shared_prefixes([{"chosen_ids": [1, 2, 3], "rejected_ids": [1, 2], "weight": 1.0}])
    assert batch["input_ids"].tolist() == [[1, 2, 3, 2]] and batch["position_ids"].tolist() == [[0, 1, 2, 1]]


def test_a_prefix_is_read_once_by_the_ppm(base):
    model, tokenizer = base
    scorer = PPMScorer(ppm_from_policy(model).eval(), tokenizer, Prompt())
    first = [Step(PREFIX), Step(PREFIX.replace("8", "9"))]
    scorer.score([(pair(0).problem, (), first)])
    before = scorer.cache.forwarded
    scorer.score([(pair(0).problem, (first[0],), [Step(pair(0).chosen)])])
    assert scorer.cache.forwarded - before == len(tokenizer.encode(pair(0).chosen))


def test_training_learns_the_order(base, tmp_path):
    model, tokenizer = base
    pairs = [pair(i) for i in range(32)]
    settings = Ppm(epochs=4, batch=16, lr=1e-3, warmup=1)
    trained, curve = train_ppm(ppm_from_policy(model), tokenizer, Prompt(), pairs, settings, 0, Silent(), tmp_path)
    fresh = [pair(i) for i in range(40, 50)]
    assert ordered_rightly(trained, tokenizer, Prompt(), fresh) == [True] * 10
    assert curve[-1]["loss"] < math.log(2)
