"""Memory of the engine: pages, who is admitted, who begins again, and that nothing of it changes what is written."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import SMALL, digests

import rstar_mini
from rstar_mini.errors import UserError
from rstar_mini.policy import Request
from rstar_mini.policy.admission import Admission, Room
from rstar_mini.policy.rows import PAGE, Rows, paging
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.problems import load_problems
from rstar_mini.problems.generate import CORE
from rstar_mini.prompts import Prompt
from rstar_mini.search import Budget, Expander, search
from rstar_mini.types import Problem, Step

sys.path.append(str(Path(__file__).parent / "gpu"))
TIGHT = 2**21  # bytes of a cache for 512 tokens, of pages for 1,024


def request(problem: str, n: int = 4, steps: int = 0) -> Request:
    return Request(Problem(problem, "?", "1"), (Step("x"),) * steps, n, 0)


def admitted(admission: Admission, at_work=(), pages=10, candidates=1000, cache=10**6) -> list[str]:
    chosen = admission.choose(at_work, Room(pages, 128, candidates, cache))
    return [each.request.problem.id for each in chosen]


def test_as_many_are_admitted_as_their_expected_lengths_leave_room_for():
    admission = Admission(max_step_tokens=64)  # 40 columns a candidate are kept free at first: 260 in all, 3 pages
    for problem in "abcde":
        admission.submit(request(problem), 1.0, columns=100)
    assert admitted(admission) == ["a", "b", "c"]
    admission.learn(1000, 3000)  # steps turn out to be short: one page each
    assert admitted(admission) == ["d", "e"]
    admission.forget()
    assert admission.expected == 40


def test_trees_that_began_earlier_go_first_and_none_begins_without_room_in_the_caches():
    admission = Admission(64)
    for problem in "abc":
        admission.submit(request(problem), 1.0, 100)
    assert admitted(admission, pages=6) == ["a", "b"]
    admission.submit(request("b", steps=1), 1.0, 100)
    assert admitted(admission, pages=3) == ["b"]
    admission.submit(request("a", steps=1), 1.0, 100)
    assert admitted(admission, cache=300) == ["a"], "another tree would push the first one out"


def test_one_request_is_at_work_whatever_it_takes():
    admission = Admission(64)
    admission.submit(request("a", n=1000), 1.0, 100)
    assert admitted(admission) == ["a"]


def test_pages_hold_what_was_written_and_move_in_order():
    rows = Rows((2, 1, 4), torch.device("cpu"), torch.float32)
    rows.lay_out(8, 4)
    texts = {rows.open(count): torch.randn(2, 1, count, 4) for count in (3, 9, 4, 6)}
    for row, kv in texts.items():
        rows.put(row, 0, kv)
    before, memory = list(texts), rows.kv.data_ptr()
    assert not rows.reserve(np.array(before), np.array([3, 9, 8, 14])) and rows.reserve(np.array([0]), np.array([8]))
    rows.close(before[1])
    rows.close(before[0])
    new = rows.compact()
    assert new == {} or rows.extent == 3
    for row in before[2:]:
        count = texts[row].shape[2]
        assert torch.equal(rows.read(new.get(row, row), range(count)), texts[row])
    assert rows.kv.data_ptr() == memory
    with pytest.raises(MemoryError):
        rows.open(100)


def shapes(trees):
    return [[(node.step.full_text, node.visits, node.correct) for node in tree.nodes()] for tree in trees]


def searched(base, **options):
    policy = TransformersPolicy(*base, Prompt(), **options)
    asked = load_problems("generated", "validation", 30, CORE, [1, 2])
    trees = search(asked, Expander(policy, Prints(), seed="pages"), Budget(candidates=4, rollouts=2, temperature=0.7))
    return shapes(trees), policy


class Prints:
    def run_many(self, codes):
        from rstar_mini.types import Execution, Status

        return [Execution(Status.OK, "1\n" * code.count("print(")) for code in codes]


@pytest.fixture
def wrong_guesses(monkeypatch):
    """Candidates are expected to take nearly nothing, and pages are small, so that memory runs out all the time."""
    monkeypatch.setattr("rstar_mini.policy.rows.PAGE", 32)
    monkeypatch.setattr("rstar_mini.policy.rows.LEAST", 1024)
    monkeypatch.setattr("rstar_mini.policy.admission.SPARE", 0.01)


def test_small_pages_and_preemption_change_nothing_in_what_is_written(base, wrong_guesses):
    roomy, ample = searched(base)
    tight, policy = searched(base, cache_bytes=TIGHT)
    assert paging(policy.tokens, policy.batch_rows) == (32, 32)
    assert tight == roomy
    assert policy.cache.preempted > 0 == ample.cache.preempted
    assert policy.cache.unique == ample.cache.unique, "what is written again is counted once"


def test_long_prompts_are_read_and_logits_computed_in_parts(base, monkeypatch):
    whole, _ = searched(base)
    monkeypatch.setattr("rstar_mini.policy.prefix_cache.TABLE_BYTES", 2**20)
    monkeypatch.setattr("rstar_mini.policy.sampling.TABLE_BYTES", 2**20)
    assert searched(base)[0] == whole


def test_overflow_is_found_before_anything_is_searched(base):
    policy = TransformersPolicy(*base, Prompt())
    hook = policy.cache.backbone.register_forward_hook(overflow, with_kwargs=True)
    with pytest.raises(UserError, match=r"not finite: float32 overflows.*policy.dtype"):
        policy.propose([Request(Problem("p", "How many?", "1"), (), 2, 0)], 1.0)
    hook.remove()


def overflow(module, args, kwargs, output):
    output.last_hidden_state[:, -1] = torch.inf
    return output


def test_a_node_that_does_not_fit_says_what_to_change(base):
    policy = TransformersPolicy(*base, Prompt(), 64, 1024, 2**18)
    policy.ends = lambda tokens: None
    with pytest.raises(UserError, match=r"lower rounds.candidates"):
        policy.propose([Request(Problem("p", "How many?", "1"), (), 200, 0)], 5.0)


@pytest.mark.slow
def test_a_run_that_was_stopped_in_preemption_ends_with_the_same_bytes(tmp_path, monkeypatch, wrong_guesses):
    few = [*SMALL, "policy.cache_mb=2", "problems.limit=24", "search.shard=24"]
    rstar_mini.evolve("tiny", tmp_path / "whole", 1, few)
    preempt, calls = TransformersPolicy._preempt, []

    def stopped(policy):
        calls.append(policy)
        if len(calls) == 3:
            raise KeyboardInterrupt
        preempt(policy)

    monkeypatch.setattr(TransformersPolicy, "_preempt", stopped)
    with pytest.raises(KeyboardInterrupt):
        rstar_mini.evolve("tiny", tmp_path / "stopped", 1, few)
    rstar_mini.evolve("tiny", tmp_path / "stopped", 1, few)
    assert len(calls) > 3 and digests(tmp_path / "stopped") == digests(tmp_path / "whole")


def test_a_small_gpu_has_twelve_nodes_at_work():
    """Phi-3-mini in 4 bits on a T4: 32,898 tokens in all. A shard of 32 problems reaches less than one of 256."""
    from simulate import free_tokens, simulate

    tokens = free_tokens("t4")
    found = simulate(tokens, shard=32, rollouts=1, longer=0)
    assert tokens == 32898
    assert found["at work"] >= 12 * 8
    assert found["preempted"] < 0.05 and found["forwarded/unique"] <= 1.05 and found["ppm forwarded/unique"] <= 1.1
    assert found["pages"] * PAGE + 2 * found["cached"] <= 0.85 * tokens, "the rest is for tables and logits"
