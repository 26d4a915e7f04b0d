"""Follow a solution of a puzzle step by step: is each step a legal decision, and can the goal still be reached?

This measures trees, policies and judges. Search and training never use it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from rstar_mini.code_cot import END_STEP, program
from rstar_mini.paths import data_file
from rstar_mini.problems.puzzles.generate import FAMILIES
from rstar_mini.problems.puzzles.puzzle import RESULT, SETUP, Puzzle, State
from rstar_mini.problems.puzzles.solver import Solver
from rstar_mini.types import Step


def read_puzzles(split: str) -> dict[str, Puzzle]:
    """The shipped puzzles by the id of their problem."""
    with data_file(f"puzzles-{split}.jsonl").open(encoding="utf-8") as lines:
        return {row["id"]: Puzzle.from_key(row["puzzle"]) for row in map(json.loads, lines)}


@dataclass(frozen=True, slots=True)
class Followed:
    """Where a step leads: the state after it, and why it is not sound ("" for a sound one)."""

    state: State | None
    fault: str = ""


class Follower:
    """Follows solutions of one puzzle."""

    def __init__(self, puzzle: Puzzle) -> None:
        self.family, self.start = FAMILIES[puzzle.family], puzzle.start
        self.solver = Solver(self.family)

    def follow(self, steps: Sequence[Step]) -> Followed:
        """The state after code steps, the end of the code included, or why one of them is not sound."""
        state: State | None = None
        for step in steps:
            code = program([step]).strip()
            if state is None:
                if code != f"# {SETUP}\n{self.family.setup(self.start)}":
                    return Followed(None, "other numbers than the question's")
                state = self.start
            elif step.text.endswith(END_STEP):
                found = self._decided(state, code)
                if isinstance(found, str):
                    return Followed(None, found)
                state = found
            elif not code.endswith(f"\nprint({RESULT})"):
                return Followed(None, "another end")
            if step.text.endswith(END_STEP) and str(state) != _shown(step):
                return Followed(None, "a state that the decisions do not lead to")
        return Followed(state)

    def winnable(self, steps: Sequence[Step]) -> bool:
        """Whether sound steps lead to a state from which the goal can be reached."""
        state = self.follow(steps).state
        return state is not None and self.solver.winnable(state)

    def _decided(self, state: State, code: str) -> State | str:
        if not state.left:
            return "a decision too many"
        comment, _, line = code.partition("\n")
        for decision in self.solver.decisions(state):
            if decision.code == line:
                return decision.after if comment == f"# {decision.comment}" else "a comment unlike the code"
        return "not a legal decision"


def _shown(step: Step) -> str:
    return step.output.partition(">")[2].partition("<")[0]
