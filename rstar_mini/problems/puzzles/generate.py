"""The puzzles that the project ships: three splits without a common key, each puzzle with one answer."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from rstar_mini.problems.puzzles.coins import Coins
from rstar_mini.problems.puzzles.number_moves import Doublings, NumberMoves
from rstar_mini.problems.puzzles.puzzle import Family, Puzzle, listed, write_play
from rstar_mini.problems.puzzles.scales import Scales
from rstar_mini.problems.puzzles.signs import Signs
from rstar_mini.problems.puzzles.solver import Solver
from rstar_mini.problems.story import NAMES
from rstar_mini.types import Problem

_ALL: tuple[Family, ...] = (NumberMoves(), Coins(), Signs(), Scales(), Doublings())
FAMILIES: Mapping[str, Family] = {family.name: family for family in _ALL}
LUCKY = ("doublings",)  # families in which luck is wanted
MOST_LUCK = 0.05  # chance of the right answer in random legal play, elsewhere
WANTED_LUCK = (0.10, 0.25)  # share of the lost plays with the right answer, there
DECISIONS = {1: 5, 2: 6}  # by level
SPLITS = {"train": 4000, "validation": 1000, "test": 2500}
SOLVED_EVERY = 20  # one train puzzle in so many carries its worked solution
UNSEEN_SHARE = 0.35


def generate_puzzles(seed: int) -> dict[str, list[dict[str, Any]]]:
    """The rows of the train, validation and test splits; the same seed gives the same ones on every machine.

    Besides the columns of a problem a row has `puzzle`, the key, from which exact values can be computed.
    """
    taken: set[tuple[str | int, ...]] = set()
    solvers = {name: Solver(family) for name, family in FAMILIES.items()}
    return {split: _split(split, size, seed, taken, solvers) for split, size in SPLITS.items()}


def write_puzzles(folder: Path, seed: int) -> None:
    """Write `puzzles-train.jsonl` and the other splits into `folder`, which is made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in generate_puzzles(seed).items():
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"puzzles-{split}.jsonl").write_text("".join(lines), encoding="utf-8", newline="\n")


def _split(
    split: str, size: int, seed: int, taken: set[tuple[str | int, ...]], solvers: Mapping[str, Solver]
) -> list[dict[str, Any]]:
    cells = [(name, level) for level in DECISIONS for name in FAMILIES]
    rows = []
    for index in range(size):
        rng = Random(f"puzzle-{seed}/{split}/{index}")
        block, cell = divmod(index, len(cells))
        name, level = cells[cell]
        puzzle = draw(solvers[name], DECISIONS[level], rng)
        while puzzle.key in taken:
            puzzle = draw(solvers[name], DECISIONS[level], rng)
        taken.add(puzzle.key)
        solvers[name].forget()
        heldout = split == "test" and rng.random() < UNSEEN_SHARE
        solved = split == "train" and (block + cell) % SOLVED_EVERY == 0
        play = solvers[name].play(puzzle.start, rng, winning=True)
        problem = Problem(
            f"puzzle-{split}-{index:05d}",
            tell(puzzle, rng, heldout),
            str(play[-1].after.record),
            level,
            name,
            write_play(FAMILIES[name], puzzle.start, play) if solved else None,
            heldout,
        )
        rows.append(problem.to_json() | {"puzzle": puzzle.key})
    return rows


def draw(solver: Solver, count: int, rng: Random) -> Puzzle:
    """A puzzle with one answer that is not to be had by luck, or by as much luck as its family wants."""
    family = solver.family
    while True:
        start = family.start(count, rng)
        records: defaultdict[int, set[int]] = defaultdict(set)
        for end in solver.ends(start):
            # Where the goal moves too, it starts from what it lacks at the end.
            records[start.goal + end.now - end.goal].add(end.record)
        goals = sorted(goal for goal, found in records.items() if len(found) == 1 and goal >= 0 and goal != start.now)
        if not goals:
            continue
        goal = rng.choice(goals)
        start, (answer,) = replace(start, goal=goal), records[goal]
        low, high = WANTED_LUCK if family.name in LUCKY else (0.0, MOST_LUCK)
        luck = solver.lucky_share(start, answer) if family.name in LUCKY else solver.luck(start, answer)
        if low <= luck <= high:
            return Puzzle(family.name, start)


def tell(puzzle: Puzzle, rng: Random, heldout: bool) -> str:
    """The puzzle in words; `heldout` uses one phrasing at least that training never shows."""
    family, start = FAMILIES[puzzle.family], puzzle.start
    slots = {"A": rng.choice(NAMES), "now": start.now, "goal": start.goal, "left": start.left}
    slots |= {"numbers": listed(start.numbers)} | family.slots(start)
    unseen = rng.randrange(len(family.told)) if heldout else -1
    sentences = (
        rng.choice(clause.unseen if number == unseen else clause.seen) for number, clause in enumerate(family.told)
    )
    return " ".join(sentence.format_map(slots) for sentence in sentences)
