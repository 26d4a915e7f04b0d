"""Kinds of problems that results are told apart by: word problems, and puzzles that need search."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from rstar_mini.problems.puzzles.generate import FAMILIES
from rstar_mini.types import Problem

PUZZLES, WORDS = "puzzles", "word problems"


def kinds(problems: Sequence[Problem]) -> dict[str, list[int]]:
    """Which of the problems, by their place, are of each kind; nothing where all are of one kind."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for place, problem in enumerate(problems):
        found[PUZZLES if problem.family in FAMILIES else WORDS].append(place)
    return dict(found) if len(found) > 1 else {}
