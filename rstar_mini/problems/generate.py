"""Problems drawn from the families, and the three splits that the project ships."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random

from rstar_mini.errors import UserError
from rstar_mini.problems.families import FAMILIES
from rstar_mini.problems.story import NAMES, DeadEndError, Story
from rstar_mini.types import Problem

LEVELS = (1, 2, 3, 4, 5)
SIZES = {"train": 10500, "validation": 1050, "test": 8820}
CORE = ("inventory", "money", "unit_prices", "sharing", "rates", "ages")  # drawn twice as often as the others
SOLVED_EVERY = 20  # one train problem in so many carries its worked solution
UNSEEN_SHARE = 0.35
WORDS = (15, 65)


def generate(family: str, level: int, rng: Random, heldout: bool = False) -> Problem:
    """One problem of `level` computing steps, with its worked solution; `heldout` uses at least one held-out phrasing.

    Raises:
        UserError: there is no such family or level.
    """
    if family not in FAMILIES:
        raise UserError(f"no family '{family}'; use one of {', '.join(FAMILIES)}")
    if level not in LEVELS:
        raise UserError(f"no level {level}; a problem has 1 to {LEVELS[-1]} computing steps")
    while True:
        story = Story(rng, heldout)
        try:
            FAMILIES[family](story, level)
        except DeadEndError:
            continue
        if WORDS[0] <= len(story.question.split()) <= WORDS[1] and story.unseen == heldout:
            break
    return Problem("", story.question, str(story.answer), level, family, story.solution(), story.unseen)


def question_key(question: str) -> str:
    """The question without case and with every name replaced, so that a renamed copy counts as a copy."""
    return " ".join("name" if word.strip(".,?").title() in NAMES else word for word in question.lower().split())


def generate_splits(seed: int) -> dict[str, list[Problem]]:
    """The train, validation and test splits; the same seed gives the same problems on every machine."""
    taken: set[str] = set()
    return {split: _split(split, size, seed, taken) for split, size in SIZES.items()}


def _split(split: str, size: int, seed: int, taken: set[str]) -> list[Problem]:
    cells = [(family, level) for family in (*FAMILIES, *CORE) for level in LEVELS]
    problems = []
    for index in range(size):
        rng = Random(f"{seed}/{split}/{index}")
        block, cell = divmod(index, len(cells))
        heldout = split == "test" and rng.random() < UNSEEN_SHARE
        problem = _fresh(*cells[cell], rng, heldout, taken)
        solved = split == "train" and (block + cell) % SOLVED_EVERY == 0
        problems.append(replace(problem, id=f"{split}-{index:05d}", solution=problem.solution if solved else None))
    return problems


def _fresh(family: str, level: int, rng: Random, heldout: bool, taken: set[str]) -> Problem:
    while True:
        problem = generate(family, level, rng, heldout)
        key = question_key(problem.question)
        if key not in taken:
            taken.add(key)
            return problem


def write_splits(folder: Path, seed: int) -> None:
    """Write `train.jsonl`, `validation.jsonl` and `test.jsonl` into `folder`, which is made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, problems in generate_splits(seed).items():
        lines = (json.dumps(problem.to_json(), ensure_ascii=False) + "\n" for problem in problems)
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8", newline="\n")
