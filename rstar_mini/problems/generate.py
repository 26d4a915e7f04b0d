"""Problems drawn from the families, and the three splits that the project ships."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from rstar_mini.problems.families.measures import AGES, DRIVING, WORK
from rstar_mini.problems.families.owning import INVENTORY, SHARING
from rstar_mini.problems.families.shapes import AREA, AVERAGES, FENCE
from rstar_mini.problems.families.spending import MONEY, UNIT_PRICES
from rstar_mini.problems.moves import Theme, tell
from rstar_mini.problems.story import NAMES, DeadEndError, Story
from rstar_mini.types import Problem

Teller = Callable[[Story, int], None]


def _themed(*themes: Theme) -> Teller:
    return lambda story, level: tell(story, story.rng.choice(themes), level)


FAMILIES: Mapping[str, Teller] = {
    "inventory": _themed(INVENTORY),
    "money": _themed(MONEY),
    "unit_prices": _themed(UNIT_PRICES),
    "sharing": _themed(SHARING),
    "rates": _themed(WORK, DRIVING),
    "ages": _themed(AGES),
    "averages": _themed(AVERAGES),
    "geometry": _themed(AREA, FENCE),
}
LEVELS = (1, 2, 3, 4, 5)
SIZES = {"train": 6000, "validation": 1000, "test": 2600}
SOLVED_EVERY = 10  # one train problem in ten carries its worked solution
UNSEEN_SHARE = 0.35
WORDS = (15, 65)


def generate(family: str, level: int, rng: Random, heldout: bool = False) -> Problem:
    """One problem of `level` computing steps, with its worked solution; `heldout` uses at least one held-out phrasing.

    Raises:
        KeyError: there is no such family.
    """
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
    cells = [(family, level) for family in FAMILIES for level in LEVELS]
    problems = []
    for index in range(size):
        rng = Random(f"{seed}/{split}/{index}")
        family, level = cells[index % len(cells)]
        heldout = split == "test" and rng.random() < UNSEEN_SHARE
        problem = _fresh(family, level, rng, heldout, taken)
        solved = split == "train" and (index // len(cells)) % SOLVED_EVERY == 0
        row = problem.to_json() | {"id": f"{split}-{index:05d}"}
        problems.append(Problem.from_json(row if solved else row | {"solution": None}))
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
