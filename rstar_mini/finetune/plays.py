"""What the base reads of puzzles before any round: random play, most of it towards goals that it does not reach.

No exact value has a part in it. A share of the plays reaches its goal, because the goal was set to where the play
ended: from these a model learns what a goal is, and not how to reach one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from rstar_mini.problems.puzzles.generate import DECISIONS, FAMILIES, tell
from rstar_mini.problems.puzzles.puzzle import Decision, Puzzle, State, write_play
from rstar_mini.problems.puzzles.solver import Solver
from rstar_mini.prompts import PLAIN

REACHED = 0.3  # share of the plays whose goal is where they end; others reach theirs by chance


def plays(count: int, rng: Random, avoid: set[tuple[str | int, ...]]) -> Iterator[tuple[str, str]]:
    """(question, play as a trajectory), all families and lengths in turns; no puzzle with a key in `avoid`."""
    solvers = [Solver(family) for family in FAMILIES.values()]
    cells = [(solver, decisions) for decisions in DECISIONS.values() for solver in solvers]
    made = 0
    while made < count:
        solver, decisions = cells[made % len(cells)]
        start = solver.family.start(decisions, rng)
        goal = _goal(solver, start, rng)
        play = solver.play(start, rng, winning=False)
        if goal is None or len(play) < decisions:
            continue
        if rng.random() < REACHED:
            end = play[-1].after
            goal = start.goal + end.now - end.goal
        puzzle = Puzzle(solver.family.name, replace(start, goal=goal))
        if goal < 0 or puzzle.key in avoid:
            continue
        yield (
            PLAIN.format(question=tell(puzzle, rng, False)),
            write_play(solver.family, puzzle.start, _towards(goal - start.goal, play)),
        )
        made += 1
        solver.forget()


def _towards(change: int, play: list[Decision]) -> list[Decision]:
    """The same decisions, with the goal moved in all states."""
    return [replace(made, after=replace(made.after, goal=made.after.goal + change)) for made in play]


def _goal(solver: Solver, start: State, rng: Random) -> int | None:
    """Where another random play would end."""
    other = solver.play(start, rng, winning=False)
    return start.goal + other[-1].after.now - other[-1].after.goal if len(other) == start.left else None
