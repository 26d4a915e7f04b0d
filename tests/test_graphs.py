"""Decoding steps of rounded sizes, captured and played again: the same steps come out, whatever is captured."""

import pytest
import torch

from rstar_mini.policy import Request, noise_key
from rstar_mini.policy.graphs import MOST, StepGraphs, bucket
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.problems import load_problems
from rstar_mini.problems.generate import CORE
from rstar_mini.prompts import DEMONSTRATIONS, Prompt
from rstar_mini.types import Step

PROBLEMS = load_problems("generated", "validation", 6, CORE, [1, 2])
LED = Prompt(shots=DEMONSTRATIONS[:1])  # what all prompts begin with is read in one place


def written(base, cache_bytes: int, capture=None, prompt: Prompt | None = None) -> tuple[list, TransformersPolicy]:
    """First and second steps of some problems; with `capture` through captured steps."""
    policy = TransformersPolicy(*base, prompt or Prompt(), 24, 64, cache_bytes)
    policy.graphs = StepGraphs(policy.cache.backbone, capture) if capture else None
    asked = [Request(p, (), 4, noise_key("graphs", p.id)) for p in PROBLEMS]
    first = policy.propose(asked, 1.0)
    prefixes = [(p, (Step(steps[0].text, output="\n"),)) for p, steps in zip(PROBLEMS, first, strict=True)]
    return first + policy.propose(
        [Request(p, prefix, 3, noise_key("later", p.id)) for p, prefix in prefixes], 1.0
    ), policy


class Captures:
    """Counts what is captured and what is played again."""

    captured = played = 0

    def __call__(self, work):
        self.captured += 1

        def play():
            self.played += 1
            return work()

        return play


@pytest.mark.parametrize("prompt", [Prompt(), LED], ids=["plain", "led"])
@pytest.mark.parametrize("cache_bytes", [2**21, 2**26], ids=["several pages a text", "one page a text"])
def test_steps_of_rounded_sizes_write_the_same(base, cache_bytes, prompt):
    captures = Captures()
    plain, _ = written(base, cache_bytes, prompt=prompt)
    padded, policy = written(base, cache_bytes, captures, prompt)
    assert padded == plain
    assert 0 < captures.captured <= MOST and captures.played > captures.captured
    assert policy._rows.kv.isfinite().all(), "what fills up leaves numbers in the pages"


def test_a_size_is_rounded_up_by_a_quarter_at_most():
    sizes = range(1, 3000)
    assert all(size <= bucket(size) <= 1.25 * size for size in sizes)
    assert len({bucket(size) for size in sizes}) < 50 and bucket(8) == 8


def test_where_capturing_fails_steps_are_launched_one_by_one(base):
    def refuse(work):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    with pytest.warns(
        UserWarning, match="not captured as CUDA graphs, and take longer: operation not permitted"
    ) as said:
        steps, policy = written(base, 2**26, refuse)
    assert len(said) == 1 and policy.graphs.capture is None
    assert steps == written(base, 2**26)[0]


def test_when_memory_runs_out_in_capturing_the_batch_shrinks(base):
    def full(work):
        if policy.cache.shrunk < 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return work

    policy = TransformersPolicy(*base, Prompt(), 24, 64)
    policy.graphs = StepGraphs(policy.cache.backbone, full)
    asked = [Request(p, (), 4, noise_key("graphs", p.id)) for p in PROBLEMS]
    assert policy.propose(asked, 1.0) == written(base, 2**26)[0][: len(asked)] and policy.cache.shrunk == 2
