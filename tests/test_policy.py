"""The transformers engine: right numbers from the prefix cache, right distribution, noise from the key alone."""

import numpy as np
import pytest
import torch

from rstar_mini.code_cot import STOPS
from rstar_mini.policy import Request, noise_key
from rstar_mini.policy.prefix_cache import PrefixCache
from rstar_mini.policy.sampling import draw, uniform
from rstar_mini.policy.segments import Trie
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.problems import load_problems
from rstar_mini.problems.generate import CORE
from rstar_mini.prompts import Prompt
from rstar_mini.types import Problem, Step

QUESTION = "Tom has 3 boxes with 8 pens in each box. How many pens does Tom have now?"
PROBLEM = Problem("p", QUESTION, "24")


@pytest.fixture
def policy(base) -> TransformersPolicy:
    return TransformersPolicy(*base, Prompt())


def request(n: int = 4, seed: int = 0, steps: tuple[Step, ...] = (), problem: Problem = PROBLEM) -> Request:
    return Request(problem, steps, n, noise_key(seed, problem.id, "".join(step.full_text for step in steps)))


def test_greedy_steps_are_what_the_library_generates(base, policy):
    model, tokenizer = base
    prompt = tokenizer(Prompt()(QUESTION), return_tensors="pt", add_special_tokens=False)
    stops = [tokenizer.convert_tokens_to_ids(stop) for stop in STOPS]
    generated = model.generate(**prompt, max_new_tokens=48, do_sample=False, eos_token_id=stops, pad_token_id=0)
    expected = tokenizer.decode(generated[0, prompt["input_ids"].shape[1] :])
    [[step]] = policy.propose([request(1)], temperature=0.0)
    assert step.text == expected
    [[following]] = policy.propose([request(1, steps=(step,))], temperature=0.0)
    whole = model.generate(input_ids=generated, max_new_tokens=48, do_sample=False, eos_token_id=stops, pad_token_id=0)
    assert following.text == tokenizer.decode(whole[0, generated.shape[1] :])


def test_the_prefix_cache_gives_the_hidden_states_of_a_full_pass(base):
    model, tokenizer = base
    cache = PrefixCache(model.get_decoder(), tokenizer, Prompt(), 2**30)
    steps = (
        Step("<code>\n# Count the pens\nall = 3 * 8\n<end_of_step>"),
        Step("\nprint(all)\n<end_of_code>", "\n<output>24<end_of_output>\n"),
    )
    asked = [(PROBLEM, steps), (Problem("q", "Ann has 5 pens.", "5"), ())]
    tries = []
    for problem, path in asked:
        place = cache.locate(problem, path)
        tries.append(Trie(place.segment))
        tries[-1].add(place.pending)
    with torch.inference_mode():
        _, hidden = cache.read(tries)
        ends = np.cumsum([len(trie.tokens) for trie in tries]) - 1
        for end, (problem, path) in zip(ends, asked, strict=True):
            text = Prompt()(problem.question) + "".join(step.full_text for step in path)
            ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False)])
            torch.testing.assert_close(
                hidden[end], model.get_decoder()(ids).last_hidden_state[0, -1], atol=1e-4, rtol=1e-4
            )


def test_a_tree_node_is_read_once(policy):
    [steps] = policy.propose([request(4)], temperature=1.0)
    before = policy.cache.forwarded
    ended = [step for step in steps if step.text.endswith("<end_of_step>")]
    policy.propose([request(1, steps=(ended[0],))], temperature=0.0)
    new = policy.cache.forwarded - before
    assert new <= policy.max_step_tokens + 1, "the question and the first step are in the cache already"


def test_noise_depends_on_the_key_alone(policy):
    other = Problem("other", "Ann has 5 pens and gets 2 more. How many pens does Ann have in the end?", "7")
    [alone] = policy.propose([request(6)], temperature=1.0)
    policy.forget()
    together = policy.propose([request(3, problem=other), request(6)], temperature=1.0)[1]
    assert [step.text for step in alone] == [step.text for step in together]
    [again] = policy.propose([request(6, seed=1)], temperature=1.0)
    assert [step.text for step in again] != [step.text for step in alone]


def test_small_batches_give_the_same_steps(base, policy):
    requests = [request(4), request(4, seed=1), request(4, seed=2)]
    narrow = TransformersPolicy(*base, Prompt(), batch_rows=5)
    assert narrow.propose(requests, 1.0) == policy.propose(requests, 1.0)


def test_draw_samples_the_softmax():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2]]))
    keys = np.array([noise_key("draw", i) for i in range(20_000)], dtype=np.uint64)
    tokens = draw(logits, np.zeros(len(keys), dtype=int), keys, position=3, temperature=1.0)
    np.testing.assert_allclose(np.bincount(tokens) / len(tokens), [0.5, 0.3, 0.2], atol=0.015)
    cold = draw(logits, np.zeros(len(keys), dtype=int), keys, position=3, temperature=0.5)
    np.testing.assert_allclose(np.bincount(cold) / len(cold), np.array([25, 9, 4]) / 38, atol=0.015)


def test_uniform_numbers_are_uniform_and_independent_over_positions():
    keys = np.array([noise_key("u", i) for i in range(20_000)], dtype=np.uint64)
    first, second = uniform(keys, 0), uniform(keys, 1)
    assert abs(first.mean() - 0.5) < 0.01 and first.min() >= 0 and first.max() < 1
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    neighbours = uniform(keys[:-1], 0), uniform(keys[:-1] + np.uint64(1), 0)
    assert abs(np.corrcoef(*neighbours)[0, 1]) < 0.03


def test_tags_that_are_plain_text_end_a_step_too(base):
    """A tokenizer without the tags (every pretrained one) finds them in the text."""
    model, tokenizer = base
    policy = TransformersPolicy(model, tokenizer, Prompt())
    policy.ends.ids = None
    by_token = TransformersPolicy(model, tokenizer, Prompt())
    assert policy.propose([request(6)], 1.0) == by_token.propose([request(6)], 1.0)


def test_the_base_writes_the_format_on_held_out_problems(policy):
    requests = [
        request(1, problem=problem) for problem in load_problems("generated", "validation", 40, CORE, [1, 2, 3])
    ]
    ended = [
        step.text.startswith("<code>\n# ") and step.text.endswith(STOPS) for [step] in policy.propose(requests, 0.0)
    ]
    assert sum(ended) >= 36
