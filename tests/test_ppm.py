"""The PPM: Eq. 4, one function for training and search, and a head that learns an order."""

import math

import pytest
import torch

from rstar_mini.policy.prefix_cache import cached_encoder
from rstar_mini.ppm import Pair
from rstar_mini.ppm.model import encode_pair, pair_accuracy, pair_loss, ppm_from_policy, reward, train_ppm
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.progress import Silent
from rstar_mini.prompts import Prompt
from rstar_mini.recipes.schema import Ppm
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
    trained, curve = train_ppm(model, tokenizer, Prompt(), pairs, settings, 0, Silent(), tmp_path)
    fresh = [pair(i) for i in range(40, 50)]
    assert pair_accuracy(trained, tokenizer, Prompt(), fresh) == {"correct": 10, "n": 10}
    assert trained is not model and curve[-1]["loss"] < math.log(2)
