"""PQM and ORM: which scores they learn from a tree, read where search reads, and that they learn them."""

import pytest
import torch
from test_pairs import grown
from test_ppm import PREFIX, pair

from rstar_mini.ppm.model import encode_pair, ordered_rightly, ppm_from_policy, reward
from rstar_mini.ppm.regression import ScoredSteps, encode_scored, outcome_scores, step_scores, train_regression
from rstar_mini.progress import Silent
from rstar_mini.prompts import Prompt
from rstar_mini.recipes.schema import Ppm
from rstar_mini.tokens import cached_encoder
from rstar_mini.types import Step


def scored(i: int) -> list[ScoredSteps]:
    """The two continuations of a pair, with the scores +1 and -1."""
    this = pair(i)
    return [
        ScoredSteps(this.problem, (Step(PREFIX), Step(text)), q)
        for text, q in ((this.chosen, 1.0), (this.rejected, -1.0))
    ]


def test_a_pqm_learns_the_q_of_every_visited_step():
    tree = grown()
    tree.root.children[3].children[0].visits = 0  # the end of d: a step without a Q
    found = {"".join(step.text[0] for step in row.steps): row.target for row in step_scores([tree])}
    assert found == pytest.approx({"a": 0.9, "aA": 1, "b": 0.2, "bB": -0.2, "c": -0.3, "cC": -1, "d": -0.8})
    assert len(step_scores([tree])) == 8  # two ends of b begin alike


def test_an_orm_learns_whole_solutions_only():
    tree = grown()
    tree.root.children[2].children[0].correct = None  # nobody could tell
    found = [("".join(step.text[0] for step in row.steps), row.target) for row in outcome_scores([tree])]
    assert found == [("aA", 1), ("bB", 1), ("bB", -1), ("dD", -1)]


def test_scores_are_learnt_at_the_token_that_search_reads(base):
    encode = cached_encoder(base[1].encode)
    better, worse = scored(0)
    pairwise = encode_pair(encode, Prompt(), pair(0))
    assert encode_scored(encode, Prompt(), better)["input_ids"] == pairwise["chosen_ids"]
    assert encode_scored(encode, Prompt(), worse)["input_ids"] == pairwise["rejected_ids"]


def test_the_output_of_the_last_step_is_not_read_but_that_of_the_others_is(base):
    tokenizer = base[1]
    ended = Step("print(1)\n<end_of_code>", output="\n<output>1<end_of_output>\n")
    answer = Step("<answer>The answer is \\boxed{1}<end_of_answer>")
    rows = [ScoredSteps(pair(0).problem, steps, 1.0) for steps in ((ended,), (ended, answer))]
    texts = [tokenizer.decode(encode_scored(cached_encoder(tokenizer.encode), Prompt(), r)["input_ids"]) for r in rows]
    assert texts[0].endswith("<end_of_code>") and ended.output + answer.text in texts[1]


def test_training_learns_the_scores_and_with_them_the_order(base, tmp_path):
    model, tokenizer = ppm_from_policy(base[0]), base[1]
    rows = [row for i in range(32) for row in scored(i)]
    settings = Ppm(epochs=4, batch=32, lr=1e-3, warmup=1)
    trained, curve = train_regression(model, tokenizer, Prompt(), rows, settings, 0, Silent(), tmp_path)
    fresh = [pair(i) for i in range(40, 50)]
    assert ordered_rightly(trained, tokenizer, Prompt(), fresh) == [True] * 10
    assert curve[-1]["loss"] < 0.2 < curve[0]["loss"]


def test_the_loss_is_the_mean_squared_error_of_the_reward(base, tmp_path):
    model, tokenizer = ppm_from_policy(base[0]), base[1]
    rows = scored(0)
    settings = Ppm(epochs=1, batch=2, lr=1e-12, warmup=0)
    trained, curve = train_regression(model, tokenizer, Prompt(), rows, settings, 0, Silent(), tmp_path)
    encode = cached_encoder(tokenizer.encode)
    with torch.inference_mode():
        read = [
            reward(trained(torch.tensor([encode_scored(encode, Prompt(), r)["input_ids"]])).logits).item() for r in rows
        ]
    expected = sum((r - row.target) ** 2 for r, row in zip(read, rows, strict=True)) / 2
    assert curve[0]["loss"] == pytest.approx(expected, abs=1e-3)
