"""Shards: a fixed set of problems searched together. Its trees depend on the recipe, seed, round and shard alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from rstar_mini.evolution.run import Run
from rstar_mini.files import jsonl_bytes, read_json, zipped
from rstar_mini.policy import Policy, forget
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.progress import Progress
from rstar_mini.recipes.schema import Recipe, Round
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Budget, Expander, sample
from rstar_mini.search.mcts import grow
from rstar_mini.types import Problem, Tree


def round_budget(recipe: Recipe, settings: Round) -> Budget:
    """The data-making search budget of a round."""
    return Budget(
        candidates=settings.candidates,
        rollouts=settings.rollouts,
        extra_rollouts=settings.extra_rollouts,
        depth=recipe.search.depth,
        c=recipe.search.c,
        temperature=recipe.search.temperature,
        unvisited_first=recipe.search.unvisited_first,
    )


def search_shard(
    problems: Sequence[Problem], expander: Expander, settings: Round, budget: Budget, progress: Progress
) -> list[Tree]:
    """The paper's schedule for one shard: rollouts for all, then more for the unsolved, then new seeds for these."""
    trees = [Tree(problem) for problem in problems]
    grow(trees, expander, budget, lambda _: progress.advance(), settings.unsolved_rollouts)
    for tree in trees:
        if tree.solved:
            progress.solved(tree)
    seed, last = expander.seed, budget.rollouts if not settings.unsolved_rollouts else settings.unsolved_rollouts[-1]
    for again in range(settings.new_seeds):
        expander.seed = f"{seed}/again-{again}"
        more = [Tree(tree.problem) for tree in unsolved(trees)]
        grow(more, expander, replace(budget, rollouts=last, extra_rollouts=0))
        trees += more
    return trees


def unsolved(trees: Sequence[Tree]) -> list[Tree]:
    """One tree, the first, of every problem that no tree solved."""
    done = {tree.problem.id for tree in trees if tree.solved}
    first: dict[str, Tree] = {}
    for tree in trees:
        if tree.problem.id not in done:
            first.setdefault(tree.problem.id, tree)
    return list(first.values())


Shard = tuple[int, Sequence[Problem]]
"""The number of a shard, and its problems."""


def cut(problems: Sequence[Problem], size: int) -> list[Shard]:
    """Problems in shards of `size`, in order."""
    return [(shard, problems[first : first + size]) for shard, first in enumerate(range(0, len(problems), size))]


@dataclass(frozen=True, slots=True)
class Found:
    """What the search of a shard gives: its trees as they are kept, gzipped JSON lines, and what they took."""

    shard: int
    trees: bytes
    counts: dict[str, int]
    seconds: float


SearchShards = Callable[[Sequence[Shard]], Generator[Found, None, None]]
"""Searches shards, here or elsewhere, and gives what is found as it is found, in any order."""


class ShardSearch:
    """Searches the shards of one round, one after the other, with these models."""

    def __init__(
        self,
        recipe: Recipe,
        number: int,
        policy: Policy,
        scorer: PPMScorer | None,
        box: Sandbox,
        progress: Progress,
    ) -> None:
        self.recipe, self.number, self.policy, self.scorer = recipe, number, policy, scorer
        self.box, self.progress = box, progress

    def __call__(self, shards: Sequence[Shard]) -> Generator[Found, None, None]:
        """What is found in each, in order."""
        return (self.search(number, problems) for number, problems in shards)

    def search(self, shard: int, problems: Sequence[Problem]) -> Found:
        """The trees of one shard."""
        recipe, settings = self.recipe, self.recipe.rounds[self.number - 1]
        start, before = time.monotonic(), self._counters()
        expander = Expander(self.policy, self.box, self.scorer, f"{recipe.seed}/round-{self.number}")
        budget = round_budget(recipe, settings)
        if recipe.method == "mcts":
            trees = search_shard(problems, expander, settings, budget, self.progress)
        else:
            trees = sample(problems, expander, settings.rollouts, budget.temperature, budget.depth)
            self.progress.advance(len(problems))
        counts = {name: count - before[name] for name, count in self._counters().items()}
        counts |= {
            "programs": len(expander.programs),
            "sampled": sum(tree.tokens for tree in trees),
            "nodes": sum(1 for tree in trees for _ in tree.nodes()),
        }
        forget(self.policy, self.scorer)
        kept = zipped(jsonl_bytes(tree.to_json() for tree in trees))
        return Found(shard, kept, counts, round(time.monotonic() - start, 1))

    def _counters(self) -> dict[str, int]:
        """Tokens that each model read, and how many of them were new; of a server nobody knows."""
        models = {"policy": self.policy, "ppm": self.scorer}
        caches = {name: m.cache for name, m in models.items() if isinstance(m, TransformersPolicy | PPMScorer)}
        counts = {f"{name}_forwarded": cache.forwarded for name, cache in caches.items()}
        counts |= {f"{name}_unique": cache.unique for name, cache in caches.items()}
        mishaps = ("shrunk", "past_end")
        return counts | {name: sum(getattr(cache, name) for cache in caches.values()) for name in mishaps}


def search_round(
    run: Run, number: int, problems: Sequence[Problem], search: SearchShards, progress: Progress
) -> dict[str, Any]:
    """Search the shards of a round that are not on disk yet; returns the tokens and programs of the whole round."""
    folder, shards = run.round(number) / "trees", cut(problems, run.recipe.search.shard)
    progress.stage(f"round {number}: search", len(problems))
    missing = [(shard, part) for shard, part in shards if not (folder / f"shard-{shard:04d}.json").exists()]
    progress.advance(len(problems) - sum(len(part) for _, part in missing))
    with closing(search(missing)) as searched:
        for found in searched:
            _keep(run, number, found, len(shards), progress)
    return {"search": _totals(read_json(folder / f"shard-{shard:04d}.json") for shard, _ in shards)}


def _keep(run: Run, number: int, found: Found, of: int, progress: Progress) -> None:
    """Write what a shard gave, and the counts last: they say that it is done."""
    folder = run.round(number) / "trees"
    counts = {name: count for name, count in found.counts.items() if name not in ("shrunk", "past_end")}
    if past := found.counts.get("past_end"):
        counts["past_positions"] = past
        run.note("past the model's positions", round=number, shard=found.shard, candidates=past)
        progress.say(f"shard {found.shard}: {past} candidates ended where the model's positions end")
    if shrunk := found.counts["shrunk"]:  # other batch sizes round otherwise: elsewhere it need not come out the same
        counts["out_of_memory"] = shrunk
        run.note("out of memory", round=number, shard=found.shard, times=shrunk)
        progress.say(f"memory ran out in shard {found.shard}; it went on with smaller batches")
    run.write(folder / f"shard-{found.shard:04d}.jsonl.gz", found.trees)
    run.write_json(folder / f"shard-{found.shard:04d}.json", counts)
    run.note("shard searched", round=number, shard=found.shard, of=of, seconds=found.seconds)


def _totals(shards: Iterable[dict[str, int]]) -> dict[str, float]:
    """The sums over all shards, and tokens read for each that there is."""
    totals: dict[str, float] = {}
    for counts in shards:
        for name, count in counts.items():
            totals[name] = totals.get(name, 0) + count
    economy = {
        f"{name}_forwarded_per_unique": round(totals[f"{name}_forwarded"] / totals[f"{name}_unique"], 4)
        for name in ("policy", "ppm")
        if totals.get(f"{name}_unique")
    }
    return totals | economy
