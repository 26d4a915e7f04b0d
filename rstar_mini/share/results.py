"""What a run measured, to be passed on where the texts of its problems may not be: ids stand in their place."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from rstar_mini.errors import UserError
from rstar_mini.evolution.run import RECIPE, Run
from rstar_mini.files import whole_folder, write_json
from rstar_mini.ppm.pairs import Pair
from rstar_mini.show.report import write_report
from rstar_mini.types import Problem, Tree


class Unnamed(Run):
    """A run whose problems show their ids instead of their questions."""

    def trees(self, number: int) -> list[Tree]:
        """All trees of a round."""
        trees = super().trees(number)
        for tree in trees:
            tree.problem = _unnamed(tree.problem)
        return trees

    def pairs(self, number: int) -> list[Pair]:
        """The preference pairs of a round; small models repeat the question in their comments."""
        return [_told_by_id(pair) for pair in super().pairs(number)]

    def unsolved(self, number: int) -> list[Problem]:
        """Problems that no trajectory of the round solved."""
        return [_unnamed(problem) for problem in super().unsolved(number)]


def share_results(run: Run, to: Path) -> Path:
    """Write the report, the recipe and the metrics of all finished rounds into the new folder `to`, and return it.

    Beside them what experiments on the run have found, and their figures.

    Raises:
        UserError: `to` is there already, or no round is finished.
    """
    if to.exists():
        raise UserError(f"--to {to}: it is there already; move it away, or give another folder")
    with whole_folder(to) as aside:
        write_report(Unnamed(run.path, run.recipe), aside)
        (aside / RECIPE).write_bytes((run.path / RECIPE).read_bytes())
        write_json(aside / "metrics.json", run.metrics())
        for file in (run.path / "experiments").glob("*"):
            if file.suffix in (".json", ".png"):
                shutil.copy(file, aside)
    return to


def _unnamed(problem: Problem) -> Problem:
    return replace(problem, question=problem.id)


def _told_by_id(pair: Pair) -> Pair:
    question, name = pair.problem.question, pair.problem.id
    texts = {part: getattr(pair, part).replace(question, name) for part in ("prefix", "chosen", "rejected")}
    return replace(pair, problem=_unnamed(pair.problem), **texts)
