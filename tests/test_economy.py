"""Token economy: every token of a tree goes through each model once, and the trees are those of the plain way."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from small_runs import FEW, SMALL

import rstar_mini
from rstar_mini.bench.plain import PlainPolicy, PlainScorer, Replaying
from rstar_mini.models import load_base
from rstar_mini.paths import cache_dir
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.ppm.model import ppm_from_policy
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.problems import load_problems
from rstar_mini.problems.generate import CORE
from rstar_mini.prompts import DEMONSTRATIONS, TEMPLATES, Prompt
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Budget, Expander, sample, search
from rstar_mini.types import Problem, Tree

SVAMP = Path(__file__).parents[2] / "shared" / "benchmarks" / "svamp_train.jsonl"


@pytest.fixture(scope="module")
def box():
    with Sandbox() as box:
        yield box


@pytest.fixture(scope="module")
def ppm(base):
    torch.manual_seed(0)
    model = ppm_from_policy(base[0]).eval()
    torch.nn.init.normal_(model.score.weight, std=0.1)
    return model


def problems(n: int) -> Sequence[Problem]:
    return load_problems("generated", "validation", n, CORE, [1, 2])


class Counting:
    """Counts what a model is given, and from what went in and came out how many distinct tokens there were."""

    def __init__(self, engine) -> None:
        self.engine, self.given = engine, 0
        self.distinct: set[tuple[int, ...]] = set()
        decoder = engine.cache.backbone
        self.hook = decoder.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, module, args, kwargs):
        self.given += kwargs["input_ids"].numel()

    def note(self, problem, prefix, steps):
        """Every beginning of every text, as tokens."""
        encode = self.engine.cache.encode
        pieces = [self.engine.cache.prompt(problem.question)]
        for step in prefix:
            pieces += [step.text, step.output]
        before = [token for piece in pieces for token in encode(piece)]
        for step in steps:
            text = (*before, *encode(step.text))
            self.distinct.update(text[:end] for end in range(1, len(text) + 1))


def counted_search(asked, policy, scorer, box, budget, temperature_seed="economy"):
    """A search with counts of both models: (trees, policy's, PPM's)."""
    counts = Counting(policy), Counting(scorer)
    collect, score = policy.collect, scorer.score

    def noting_collect():
        done = collect()
        for request, steps in done:
            counts[0].note(request.problem, request.steps, steps)
        return done

    def noting_score(siblings):
        for each in siblings:
            counts[1].note(*each)
        return score(siblings)

    policy.collect, scorer.score = noting_collect, noting_score
    trees = search(asked, Expander(policy, box, scorer, temperature_seed), budget)
    for count in counts:
        count.hook.remove()
    return trees, *counts


def test_both_models_read_every_token_of_the_trees_once(base, ppm, box):
    policy, scorer = TransformersPolicy(*base, Prompt()), PPMScorer(ppm, base[1], Prompt())
    trees, ours, judge = counted_search(problems(8), policy, scorer, box, Budget(candidates=4, rollouts=6))
    assert sum(1 for tree in trees for _ in tree.nodes()) > 80
    assert ours.given <= 1.05 * len(ours.distinct) and judge.given <= 1.10 * len(judge.distinct)
    for count in (ours, judge):  # and what the metrics say is what is true
        assert count.given == count.engine.cache.forwarded
        assert count.engine.cache.unique == pytest.approx(len(count.distinct), rel=0.02)


@pytest.mark.smol
@pytest.mark.slow
@pytest.mark.skipif(not list((cache_dir() / "smol").glob("*.gguf")), reason="needs: rstar-mini fetch smol")
@pytest.mark.skipif(not SVAMP.exists(), reason="SVAMP is not on this machine")
def test_a_pretrained_model_too_on_real_problems_with_worked_examples(box):
    model, tokenizer = load_base("smol")
    judge = ppm_from_policy(model).to(dtype=torch.bfloat16).eval()
    model.to(dtype=torch.bfloat16)
    prompt = Prompt(TEMPLATES["paper"], DEMONSTRATIONS)
    policy, scorer = TransformersPolicy(model, tokenizer, prompt, 32), PPMScorer(judge, tokenizer, prompt)
    asked = load_problems(str(SVAMP), "train", 4)
    _, ours, theirs = counted_search(asked, policy, scorer, box, Budget(candidates=4, rollouts=2, depth=4))
    assert ours.given <= 1.05 * len(ours.distinct) and theirs.given <= 1.10 * len(theirs.distinct)


def shapes(trees: Sequence[Tree]) -> list[list[tuple[str, int, bool | None]]]:
    return [[(node.step.full_text, node.visits, node.correct) for node in tree.nodes()] for tree in trees]


SHOWN = Prompt(shots=DEMONSTRATIONS[:1])  # what all prompts begin with is then read once for all of them


@pytest.mark.parametrize(
    ("rows", "prompt"), [(None, Prompt()), (64, Prompt()), (64, SHOWN)], ids=["node by node", "batched", "shown"]
)
def test_trees_are_those_of_the_plain_implementation(base, ppm, box, rows, prompt):
    asked, budget = problems(3), Budget(candidates=3, rollouts=3)
    ours = TransformersPolicy(*base, prompt), PPMScorer(ppm, base[1], prompt)
    plain = PlainPolicy(*base, prompt, 64, rows), PlainScorer(ppm, base[1], prompt, rows)
    a = search(asked, Expander(ours[0], box, ours[1], "same"), budget)
    b = search(asked, Expander(plain[0], Replaying(box), plain[1], "same"), budget)
    assert shapes(a) == shapes(b)
    for x, y in zip(a, b, strict=True):
        for mine, other in zip(x.nodes(), y.nodes(), strict=True):
            assert mine.prior == pytest.approx(other.prior, abs=2e-5)
    greedy = [
        sample(asked, Expander(policy, box), 1, 0.0)
        for policy in (TransformersPolicy(*base, prompt), PlainPolicy(*base, prompt, 64, rows))
    ]
    assert shapes(greedy[0]) == shapes(greedy[1])


@pytest.mark.slow
def test_a_cache_without_room_reads_again_and_finds_the_same_trees(base, ppm, box):
    def run(budget_bytes):
        policy = TransformersPolicy(*base, Prompt(), cache_bytes=budget_bytes)
        scorer = PPMScorer(ppm, base[1], Prompt(), budget_bytes)
        trees = search(problems(8), Expander(policy, box, scorer, "room"), Budget(candidates=4, rollouts=6))
        return shapes(trees), policy.cache

    (roomy, free), (tight, small) = run(2**30), run(2**18)
    assert tight == roomy
    assert small.forwarded > free.forwarded, "what was dropped is read again"
    assert small.meter.peak < free.meter.peak / 2


def test_what_search_is_done_with_is_freed(base, box):
    policy = TransformersPolicy(*base, Prompt())
    trees = search(problems(3), Expander(policy, box, seed="free"), Budget(candidates=3, rollouts=200, depth=4))
    assert all(tree.root.closed for tree in trees), "every branch was walked to its end"
    assert not policy.cache.places and policy.cache.meter.held == 0 < policy.cache.meter.peak


def test_requests_of_a_search_that_was_broken_off_do_not_disturb_the_next(base, box):
    policy, asked, budget = TransformersPolicy(*base, Prompt()), problems(3), Budget(candidates=3, rollouts=3)
    expander = Expander(policy, box, seed="next")
    expander.submit([(tree, tree.root, 3) for tree in map(Tree, problems(5))], 1.0)
    expander.collect()  # and nobody asks for the rest
    found = search(asked, Expander(policy, box, seed="next"), budget)
    assert shapes(found) == shapes(
        search(asked, Expander(TransformersPolicy(*base, Prompt()), box, seed="next"), budget)
    )


def test_finished_rows_are_refilled_whatever_fits(base, box):
    """The same trees with room for few candidates at a time: the others wait, and take the place of those that end."""
    budget = Budget(candidates=4, rollouts=4)
    wide, narrow = (TransformersPolicy(*base, Prompt(), batch_rows=rows) for rows in (1024, 8))
    found = [search(problems(4), Expander(policy, box, seed="rows"), budget) for policy in (wide, narrow)]
    assert shapes(found[0]) == shapes(found[1])


def test_a_run_records_its_economy_and_its_capacity_and_keeps_it(tmp_path):
    changes = [*SMALL, *FEW, "policy.batch_rows=null", "policy.cache_mb=null"]
    run = rstar_mini.evolve("tiny", tmp_path / "run", 1, changes)
    chosen = json.loads((run.path / "capacity.json").read_text())
    assert chosen["batch_rows"] >= 8 and chosen["cache_mb"] >= 64
    economy = run.metrics()[1]["search"]
    assert economy["policy_forwarded_per_unique"] <= 1.05
    assert economy["policy_forwarded_per_unique"] == pytest.approx(
        economy["policy_forwarded"] / economy["policy_unique"], abs=1e-4
    )
    (run.path / "capacity.json").write_text(json.dumps({"batch_rows": 24, "cache_mb": 64}))
    from rstar_mini.evolution.models import Models

    assert Models(run.recipe, run.path).policy(1).batch_rows == 24
