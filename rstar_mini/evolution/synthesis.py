"""New problems for a run (section 3.4.1), shard by shard: what is written and what is answered is on disk at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from rstar_mini.evolution.models import Models
from rstar_mini.evolution.run import SYNTHESIZED, Run
from rstar_mini.files import read_jsonl
from rstar_mini.policy import Policy, forget
from rstar_mini.problems.decontaminate import Contamination
from rstar_mini.problems.synthesize import REWRITE, most_agreed, new_problems, rewrite
from rstar_mini.progress import Progress
from rstar_mini.prompts import Prompt
from rstar_mini.recipes.schema import Synthesis
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Expander, sample
from rstar_mini.types import Problem

Row = dict[str, Any]


class Synthesizer:
    """Makes the new problems of a run with the model that searches in round 1: the base, or the recipe's endpoint."""

    def __init__(self, run: Run, settings: Synthesis, models: Models, box: Sandbox, progress: Progress) -> None:
        self.run, self.settings, self.models, self.box, self.progress = run, settings, models, box, progress
        self.seed = f"{run.recipe.seed}/synthesis"

    def synthesize(self, problems: Sequence[Problem], contamination: Contamination) -> dict[str, int]:
        """Write the new problems to synthesized.jsonl; returns the counts of what became of all that was asked for."""
        settings = self.settings
        written = self._in_shards("questions", problems[: settings.limit], self._writer, self._write)
        texts = [(row["seed"], row["text"]) for row in written]
        fresh, counts = new_problems(texts, problems, contamination)
        answered = self._in_shards("answers", fresh, lambda: self.models.searching_policy(1), self._answer)
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
        name: str,
        problems: Sequence[Problem],
        opened: Callable[[], Policy],
        work: Callable[[Policy, Sequence[Problem]], list[Row]],
    ) -> list[Row]:
        """The rows of all shards; a policy is opened only when some are not on disk yet."""
        size, folder = self.run.recipe.search.shard, self.run.round(0) / "synthesis"
        starts = range(0, len(problems), size)
        files = [folder / f"{name}-{shard:04d}.jsonl" for shard in range(len(starts))]
        missing = [(file, start) for file, start in zip(files, starts, strict=True) if not file.exists()]
        if missing:
            self.progress.stage(f"round 0: {name} of new problems", len(problems))
            with closing(opened()) as policy:
                for file, start in missing:
                    part = problems[start : start + size]
                    self.run.write_jsonl(file, work(policy, part))
                    forget(policy)
                    self.progress.advance(len(part))
        return [row for file in files for row in read_jsonl(file)]

    def _writer(self) -> Policy:
        return self.models.searching_policy(1, Prompt(REWRITE), self.settings.max_tokens)

    def _write(self, writer: Policy, seeds: Sequence[Problem]) -> list[Row]:
        texts = rewrite(seeds, writer, self.settings.per_problem, self.settings.temperature, f"{self.seed}/questions")
        return [
            {"seed": seed.id, "text": step.text, "tokens": step.tokens}
            for seed, steps in zip(seeds, texts, strict=True)
            for step in steps
        ]

    def _answer(self, policy: Policy, problems: Sequence[Problem]) -> list[Row]:
        """Code-augmented solutions, run in the sandbox: a sample whose code fails has no vote."""
        expander = Expander(policy, self.box, seed=f"{self.seed}/answers", ground_truth=False)
        settings, depth = self.settings, self.run.recipe.search.depth
        trees = sample(problems, expander, settings.samples, settings.temperature, depth)
        rows = [(tree, *most_agreed(tree)) for tree in trees]
        return [{"id": t.problem.id, "answer": answer, "votes": votes, "tokens": t.tokens} for t, answer, votes in rows]
