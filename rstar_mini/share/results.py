"""What a run measured, to be passed on where the texts of its problems may not be: ids stand in their place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import yaml

from rstar_mini.errors import UserError
from rstar_mini.evolution.run import RECIPE, Run
from rstar_mini.experiments import NAMES
from rstar_mini.files import json_bytes, whole_folder, write_bytes, write_json
from rstar_mini.ppm.pairs import Pair
from rstar_mini.share.cards import publishable
from rstar_mini.share.quotes import Quotes
from rstar_mini.show.report import write_report
from rstar_mini.types import Node, Problem, Tree

_FOUND = re.compile(rf"(claims|({'|'.join(NAMES)})(-\d+)?)\.(json|png)")  # what experiments write, and nothing else


class Unnamed(Run):
    """A run whose problems show their ids instead of their questions; nor do steps quote more than 8 words of them."""

    @cached_property
    def quotes(self) -> Quotes:
        """All problems that are in the run."""
        return Quotes({text for problem in self._problems() for text in (problem.question, problem.solution or "")})

    def _problems(self) -> Iterator[Problem]:
        yield from super().synthesized()
        for row in self.metrics():
            for trees in super().shards(row["round"]):
                yield from (tree.problem for tree in trees)

    def shards(self, number: int) -> Iterator[list[Tree]]:
        """The trees of each shard of a round."""
        for trees in super().shards(number):
            for tree in trees:
                for node in tree.nodes():
                    self._leave_out(tree.problem, node)
                tree.problem = self._unnamed(tree.problem)
            yield trees

    def pairs(self, number: int) -> list[Pair]:
        """The preference pairs of a round; small models repeat the question in their comments."""
        return [self._told_by_id(pair) for pair in super().pairs(number)]

    def unsolved(self, number: int) -> list[Problem]:
        """Problems that no trajectory of the round solved."""
        return [self._unnamed(problem) for problem in super().unsolved(number)]

    def _unnamed(self, problem: Problem) -> Problem:
        name, answer = self.quotes.left_out(problem.id), self.quotes.left_out(problem.answer)
        return replace(problem, id=name, question=name, answer=answer, solution=None)

    def _told_by_id(self, pair: Pair) -> Pair:
        prefix, chosen, rejected = (
            self._without(pair.problem, text) for text in (pair.prefix, pair.chosen, pair.rejected)
        )
        return replace(pair, problem=self._unnamed(pair.problem), prefix=prefix, chosen=chosen, rejected=rejected)

    def _leave_out(self, problem: Problem, node: Node) -> None:
        step = node.step
        ran = step.execution and replace(step.execution, stdout=self._without(problem, step.execution.stdout))
        answer = None if step.answer is None else self._without(problem, step.answer)
        output = self._without(problem, step.output)
        node.step = replace(step, text=self._without(problem, step.text), output=output, answer=answer, execution=ran)

    def _without(self, problem: Problem, text: str) -> str:
        return self.quotes.left_out(text.replace(problem.question, problem.id) if problem.question else text)


def share_results(run: Run, to: Path) -> Path:
    """Write the report, the recipe and the metrics of all finished rounds into the new folder `to`, and return it.

    Beside them what experiments on the run have found, and their figures. Of the recipe's folders and files only the
    names are told, and no server's address.

    Raises:
        UserError: `to` is there already, or no round is finished.
    """
    if to.exists():
        raise UserError(f"--to {to}: it is there already; move it away, or give another folder")
    shared = Unnamed(run.path, publishable(run.recipe))
    with whole_folder(to) as aside:
        write_report(shared, aside)
        recipe = yaml.safe_dump(shared.recipe.model_dump(mode="json"), sort_keys=False)
        write_bytes(aside / RECIPE, recipe.encode())
        write_json(aside / "metrics.json", shared.quotes.left_out_of(run.metrics()))
        for file in sorted((run.path / "experiments").glob("*")):
            if _FOUND.fullmatch(file.name) and file.is_file():
                data = file.read_bytes()
                clean = _quoting_nothing(data, shared.quotes) if file.suffix == ".json" else data
                write_bytes(aside / file.name, clean)
    return to


def _quoting_nothing(data: bytes, quotes: Quotes) -> bytes:
    """JSON without quotations; as it is, when it has none."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return quotes.left_out(data.decode("utf-8", "replace")).encode()
    clean = quotes.left_out_of(found)
    return data if clean == found else json_bytes(clean)
