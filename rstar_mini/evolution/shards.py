"""Shards: a fixed set of problems searched together. Its trees depend on the recipe, seed, round and shard alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rstar_mini.evolution.run import Run
from rstar_mini.files import read_json
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


class Searcher:
    """Searches the shards of one round that are not on disk yet."""

    def __init__(
        self,
        run: Run,
        number: int,
        policy: Policy,
        scorer: PPMScorer | None,
        box: Sandbox,
        progress: Progress,
    ) -> None:
        self.run, self.number, self.policy, self.scorer, self.box, self.progress = (
            run,
            number,
            policy,
            scorer,
            box,
            progress,
        )
        self.folder = run.round(number) / "trees"

    def search(self, problems: Sequence[Problem]) -> dict[str, Any]:
        """Search what is missing; returns the tokens and programs of the whole round."""
        size = self.run.recipe.search.shard
        self.progress.stage(f"round {self.number}: search", len(problems))
        totals: dict[str, int] = {}
        shards = -(-len(problems) // size)
        for shard, first in enumerate(range(0, len(problems), size)):
            part = problems[first : first + size]
            if (self.folder / f"shard-{shard:04d}.json").exists():
                self.progress.advance(len(part))
            else:
                with self.run.timed("shard searched", round=self.number, shard=shard, of=shards):
                    self._search(shard, part)
            for name, count in read_json(self.folder / f"shard-{shard:04d}.json").items():
                totals[name] = totals.get(name, 0) + count
        economy = {
            f"{name}_forwarded_per_unique": round(totals[f"{name}_forwarded"] / totals[f"{name}_unique"], 4)
            for name in ("policy", "ppm")
            if totals.get(f"{name}_unique")
        }
        return {"search": totals | economy}

    def _search(self, shard: int, problems: Sequence[Problem]) -> None:
        recipe, settings = self.run.recipe, self.run.recipe.rounds[self.number - 1]
        expander = Expander(self.policy, self.box, self.scorer, f"{recipe.seed}/round-{self.number}")
        before = self._counters()
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
        shrunk = counts.pop("shrunk")
        if shrunk:  # other batch sizes round otherwise: this shard need not come out the same on another machine
            counts["out_of_memory"] = shrunk
            self.run.note("out of memory", round=self.number, shard=shard, times=shrunk)
            self.progress.say(f"memory ran out in shard {shard}; it went on with smaller batches")
        forget(self.policy, self.scorer)
        self.run.write_jsonl(self.folder / f"shard-{shard:04d}.jsonl.gz", (tree.to_json() for tree in trees))
        self.run.write_json(self.folder / f"shard-{shard:04d}.json", counts)

    def _counters(self) -> dict[str, int]:
        """Tokens that each model read, and how many of them were new; of a server nobody knows."""
        models = {"policy": self.policy, "ppm": self.scorer}
        caches = {name: m.cache for name, m in models.items() if isinstance(m, TransformersPolicy | PPMScorer)}
        counts = {f"{name}_forwarded": cache.forwarded for name, cache in caches.items()}
        counts |= {f"{name}_unique": cache.unique for name, cache in caches.items()}
        return counts | {"shrunk": sum(cache.shrunk for cache in caches.values())}
