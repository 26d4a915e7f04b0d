"""New problems for a run (section 3.4.1), shard by shard: what is written and what is answered is on disk at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from rstar_mini.evolution.models import Models
from rstar_mini.evolution.run import SYNTHESIZED, Run
from rstar_mini.evolution.shards import cut
from rstar_mini.files import read_jsonl
from rstar_mini.policy import Policy, forget
from rstar_mini.problems.decontaminate import Contamination
from rstar_mini.problems.synthesize import REWRITE, most_agreed, new_problems, rewrite
from rstar_mini.progress import Progress
from rstar_mini.prompts import Prompt
from rstar_mini.recipes.schema import Recipe, Synthesis
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Expander, sample
from rstar_mini.types import Problem

if TYPE_CHECKING:
    from rstar_mini.cluster.pool import Cluster

Row = dict[str, Any]


class Synthesizer:
    """Makes the new problems of a run with the model that searches in round 1: the base, or the recipe's endpoint.

    With a cluster, its actors write and answer.
    """

    def __init__(
        self,
        run: Run,
        settings: Synthesis,
        models: Models,
        box: Sandbox,
        progress: Progress,
        cluster: Cluster | None = None,
    ) -> None:
        self.run, self.settings, self.models, self.box, self.progress = run, settings, models, box, progress
        self.cluster = cluster

    def synthesize(self, problems: Sequence[Problem], contamination: Contamination) -> dict[str, int]:
        """Write the new problems to synthesized.jsonl; returns the counts of what became of all that was asked for."""
        settings, recipe = self.settings, self.run.recipe
        seeds = problems[: settings.limit]
        written = self._in_shards("write", "questions", seeds, writer, partial(write_rows, recipe))
        texts = [(row["seed"], row["text"]) for row in written]
        fresh, counts = new_problems(texts, problems, contamination)

        def answer(policy: Policy, part: Sequence[Problem]) -> list[Row]:
            return answer_rows(recipe, policy, self.box, part)

        answered = self._in_shards("answer", "answers", fresh, lambda models: models.searching_policy(1), answer)
        kept = [
            replace(problem, answer=row["answer"], agreement=row["votes"] / settings.samples)
            for problem, row in zip(fresh, answered, strict=True)
            if row["votes"] >= settings.agree
        ]
        fates = {fate: counts[fate] for fate in ("asked", "malformed", "duplicate", "contaminated")}
        fates |= {"disagreed": len(fresh) - len(kept), "kept": len(kept)}
        self.run.write_jsonl(self.run.round(0) / SYNTHESIZED, (problem.to_json() for problem in kept))
        self.progress.say("new problems: " + ", ".join(f"{count} {fate}" for fate, count in fates.items()))
        return fates | {"sampled": sum(row["tokens"] for row in (*written, *answered))}

    def _in_shards(
        self,
        job: Literal["write", "answer"],
        name: str,
        problems: Sequence[Problem],
        opened: Callable[[Models], Policy],
        work: Callable[[Policy, Sequence[Problem]], list[Row]],
    ) -> list[Row]:
        """The rows of all shards; a policy is opened only when some are not on disk yet."""
        shards, folder = cut(problems, self.run.recipe.search.shard), self.run.round(0) / "synthesis"
        files = {shard: folder / f"{name}-{shard:04d}.jsonl" for shard, _ in shards}
        missing = {shard: part for shard, part in shards if not files[shard].exists()}
        if missing:
            self.progress.stage(f"round 0: {name} of new problems", len(problems))
            with ExitStack() as used:
                if self.cluster:
                    spread = self.cluster.spread(job, self.run, 0, self.progress, list(missing.items()))
                    made = used.enter_context(closing(spread))
                else:
                    policy = used.enter_context(closing(opened(self.models)))
                    made = ((shard, work(policy, part)) for shard, part in missing.items())
                for shard, rows in made:
                    self.run.write_jsonl(files[shard], rows)
                    self.progress.advance(len(missing[shard]))
        return [row for file in files.values() for row in read_jsonl(file)]


def writer(models: Models) -> Policy:
    """What writes new problems."""
    settings = models.recipe.synthesis
    assert settings
    return models.searching_policy(1, Prompt(REWRITE), settings.max_tokens)


def write_rows(recipe: Recipe, policy: Policy, seeds: Sequence[Problem]) -> list[Row]:
    """Texts after each of the seeds."""
    settings = recipe.synthesis
    assert settings
    texts = rewrite(seeds, policy, settings.per_problem, settings.temperature, f"{recipe.seed}/synthesis/questions")
    forget(policy)
    return [
        {"seed": seed.id, "text": step.text, "tokens": step.tokens}
        for seed, steps in zip(seeds, texts, strict=True)
        for step in steps
    ]


def answer_rows(recipe: Recipe, policy: Policy, box: Sandbox, problems: Sequence[Problem]) -> list[Row]:
    """Code-augmented solutions, run in the sandbox: a sample whose code fails has no vote."""
    settings = recipe.synthesis
    assert settings
    expander = Expander(policy, box, seed=f"{recipe.seed}/synthesis/answers", ground_truth=False)
    trees = sample(problems, expander, settings.samples, settings.temperature, recipe.search.depth)
    rows = [(tree, *most_agreed(tree)) for tree in trees]
    forget(policy)
    return [{"id": t.problem.id, "answer": answer, "votes": votes, "tokens": t.tokens} for t, answer, votes in rows]
