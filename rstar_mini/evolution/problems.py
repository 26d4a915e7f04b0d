"""The problems of a run: those to search, those to measure on, and the proof that the two are kept apart."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from os.path import commonprefix
from pathlib import Path
from typing import Any

from rstar_mini.errors import UserError
from rstar_mini.problems import read_problems
from rstar_mini.problems.decontaminate import Contamination, decontaminate
from rstar_mini.problems.files import is_local
from rstar_mini.problems.load import SHIPPED
from rstar_mini.recipes import Recipe
from rstar_mini.types import Problem

MOST_LEFT_OUT, EXAMPLES, SHORT = 1 / 5, 3, 120
DIGEST = 8  # characters kept of a problem's digest
FILE = "problems.json"
_SPLIT, _DRIVE = re.compile(r"\w+"), re.compile("[A-Za-z]")


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

    @property
    def digests(self) -> dict[str, str]:
        """Of each problem of both lists, in order, eight characters of its digest."""
        return {"training": _digests(self.training), "heldout": _digests(self.heldout)}

    def __str__(self) -> str:
        stood = f"{len(self.left_out)} left out because they stand in {', '.join(self.contamination.sizes)}"
        proofs = f", {self.without_answer} because they have no final answer" if self.without_answer else ""
        return f"{len(self.training)} training problems; {stood}{proofs}"


def gather(recipe: Recipe) -> Gathered:
    """The problems that a recipe asks for, decontaminated against its evaluation set and `problems.decontaminate`.

    Raises:
        UserError: a source cannot be loaded, or too many training problems stand in a test set.
    """
    asked, held = recipe.problems, recipe.evaluation
    training, passed_over = read_problems(asked.path, asked.split, asked.limit, asked.families, asked.levels)
    evaluated, passed_over_there = heldout(recipe, held.limit)
    sources = [(held.path, held.split), *map(path_and_split, asked.decontaminate)]
    tests = {_name(*source): read_problems(*source)[0] for source in dict.fromkeys(sources)}
    # Generated problems tell their stories in the same sentences; that none comes twice is seen to when they are made.
    same_generator = [_name(*source) for source in sources if asked.path in SHIPPED and asked.path == source[0]]
    contamination = Contamination(tests, as_wholes=tests if asked.decontaminate_by == "text" else same_generator)
    clean, left_out = decontaminate(training, contamination)
    if not clean or (asked.decontaminate_by == "words" and _many(left_out, training)):
        raise UserError(_too_many(asked.path, training, tests, left_out))
    return Gathered(clean, evaluated, contamination, left_out, passed_over + passed_over_there)


def _many(left_out: Sequence[dict[str, str]], training: Sequence[Problem]) -> bool:
    """More than a fifth of the problems, three of them at least."""
    return len(left_out) >= EXAMPLES and len(left_out) > MOST_LEFT_OUT * len(training)


def _too_many(
    path: str, training: Sequence[Problem], tests: Mapping[str, Sequence[Problem]], left_out: Sequence[dict[str, str]]
) -> str:
    """What to say when decontamination would leave out most of a set, as of one made from a template."""
    stand = "every problem stands"
    if len(left_out) < len(training):
        stand = f"{len(left_out):,} of {len(training):,} problems stand"
    texts = {problem.id: problem.question for problem in training}
    texts_there = {(name, problem.id): problem.question for name, problems in tests.items() for problem in problems}
    pairs = []
    for row in left_out[:EXAMPLES]:
        there = texts_there[row["test_set"], row["test_problem"]]
        pairs.append(f"{_short(texts[row['problem']])!r} and {_short(there)!r} ({row['why']})")
    by_text = len(decontaminate(training, Contamination(tests, as_wholes=tests))[1])
    return (
        f"{path}: {stand} in a test set ({', '.join(tests)}), such as {'; '.join(pairs)}; train on others, or set "
        f"problems.decontaminate_by=text, which compares whole texts and leaves out {by_text:,}"
    )


def _short(text: str) -> str:
    return text if len(text) <= SHORT else text[: SHORT - 3] + "..."


def _digests(problems: Sequence[Problem]) -> str:
    return "".join(sha256(json.dumps(problem.to_json()).encode()).hexdigest()[:DIGEST] for problem in problems)


def changes(before: Mapping[str, str], gathered: Gathered) -> list[str]:
    """What is not as it was when the run began, whose digests are `before`."""
    now, lists = gathered.digests, {"training": gathered.training, "heldout": gathered.heldout}
    return [_change(name, before[name], now[name], lists[name]) for name in now if before[name] != now[name]]


def _change(name: str, before: str, now: str, problems: Sequence[Problem]) -> str:
    first = len(commonprefix([before, now])) // DIGEST
    what = f"{name} problems: {len(before) // DIGEST:,} before, {len(now) // DIGEST:,} now"
    if first < len(problems):
        return f"{what}, and the first that differs is number {first + 1}, '{problems[first].id}'"
    return f"{what}, and the last are missing"


def heldout(recipe: Recipe, limit: int | None) -> tuple[list[Problem], int]:
    """The evaluation set, and how many of its rows have no final answer.

    Families and levels choose from it as from the training set when they are parts of one source; another source has
    others.
    """
    asked, held = recipe.problems, recipe.evaluation
    choice = (asked.families, asked.levels) if asked.path == held.path else (None, None)
    return read_problems(held.path, held.split, limit, *choice)


def path_and_split(name: str) -> tuple[str, str]:
    """Of a test set such as "gsm8k:train", "math500" (its test split) or a file, which has no splits."""
    path, colon, split = name.rpartition(":")
    named = colon and _SPLIT.fullmatch(split) and not is_local(name) and not _DRIVE.fullmatch(path)
    return (path, split) if named else (name, "test")


def _name(path: str, split: str) -> str:
    return path if is_local(path) and not Path(path).is_dir() else f"{path}:{split}"
