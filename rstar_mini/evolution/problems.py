"""The problems of a run: those to search, those to measure on, and the proof that the two are kept apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rstar_mini.errors import UserError
from rstar_mini.problems import read_problems
from rstar_mini.problems.decontaminate import Contamination, decontaminate
from rstar_mini.problems.load import SHIPPED
from rstar_mini.recipes import Recipe
from rstar_mini.types import Problem


@dataclass(frozen=True, slots=True)
class Gathered:
    """`training` is clean: nothing of it stands in a test set. `left_out` names what did, and where (ids, no texts).

    `without_answer` counts the rows of training and evaluation set that have no final answer.
    """

    training: list[Problem]
    heldout: list[Problem]
    contamination: Contamination
    left_out: list[dict[str, str]]
    without_answer: int

    @property
    def counts(self) -> dict[str, int]:
        """For the metrics."""
        left_out = {"contaminated": len(self.left_out), "without_answer": self.without_answer}
        return {"training": len(self.training), "heldout": len(self.heldout)} | left_out

    @property
    def report(self) -> dict[str, Any]:
        """The test sets with their sizes, and each problem that was left out."""
        return {"test_sets": self.contamination.sizes, "left_out": self.left_out}

    def __str__(self) -> str:
        stood = f"{len(self.left_out)} left out because they stand in {', '.join(self.contamination.sizes)}"
        proofs = f", {self.without_answer} because they have no final answer" if self.without_answer else ""
        return f"{len(self.training)} training problems; {stood}{proofs}"


def gather(recipe: Recipe) -> Gathered:
    """The problems that a recipe asks for, decontaminated against its evaluation set and `problems.decontaminate`.

    Raises:
        UserError: a source cannot be loaded, or every training problem stands in a test set.
    """
    asked, held = recipe.problems, recipe.evaluation
    training, passed_over = read_problems(asked.path, asked.split, asked.limit, asked.families, asked.levels)
    evaluated, passed_over_there = heldout(recipe, held.limit)
    sources = [(held.path, held.split), *map(path_and_split, asked.decontaminate)]
    tests = {_name(*source): read_problems(*source)[0] for source in dict.fromkeys(sources)}
    # Generated problems tell their stories in the same sentences; that none comes twice is seen to when they are made.
    same_generator = [_name(*source) for source in sources if asked.path in SHIPPED and asked.path == source[0]]
    contamination = Contamination(tests, as_wholes=same_generator)
    clean, left_out = decontaminate(training, contamination)
    if not clean:
        raise UserError(f"{asked.path}: every problem stands in a test set ({', '.join(tests)}); train on others")
    return Gathered(clean, evaluated, contamination, left_out, passed_over + passed_over_there)


def heldout(recipe: Recipe, limit: int | None) -> tuple[list[Problem], int]:
    """The evaluation set, and how many of its rows have no final answer.

    Families and levels choose from it as from the training set when they are parts of one source; another source has
    others.
    """
    asked, held = recipe.problems, recipe.evaluation
    choice = (asked.families, asked.levels) if asked.path == held.path else (None, None)
    return read_problems(held.path, held.split, limit, *choice)


def path_and_split(name: str) -> tuple[str, str]:
    """Of a test set such as "gsm8k:train", "math500" (its test split) or a JSONL file, which has no splits."""
    path, colon, split = name.rpartition(":")
    return (path, split) if colon and not name.endswith(".jsonl") else (name, "test")


def _name(path: str, split: str) -> str:
    return path if path.endswith(".jsonl") else f"{path}:{split}"
