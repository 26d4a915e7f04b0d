"""How good must a judge be? Search over puzzles by a scripted policy, under a judge whose mistakes are counted out.

Both know the exact value of every state. The policy takes a decision that can still win more often than chance; the
judge says of each state whether it can be won, and is wrong for a share of the states. Search, sandbox, budget and
choice of the answer are those of a run. No model takes part, so this shows what a world would give to each judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from rstar_mini.code_cot import END_ANSWER, END_CODE, END_STEP, answer_step
from rstar_mini.policy.base import Propose, Request
from rstar_mini.problems.puzzles.follow import Follower
from rstar_mini.problems.puzzles.puzzle import RESULT, SETUP, Puzzle
from rstar_mini.types import Problem, Step


class OraclePolicy(Propose):
    """Plays puzzles legally; with probability `skill` it takes a winning decision where there is one, else any.

    A step counts one token.
    """

    elsewhere = False

    def __init__(self, puzzles: dict[str, Puzzle], skill: float) -> None:
        self.followers = {name: Follower(puzzle) for name, puzzle in puzzles.items()}
        self.skill = skill
        self._waiting: list[tuple[Request, float]] = []

    def submit(self, requests: Sequence[Request], temperature: float) -> None:
        """Note the requests."""
        self._waiting += [(request, temperature) for request in requests]

    def collect(self) -> list[tuple[Request, list[Step]]]:
        """Answer all of them."""
        waiting, self._waiting = self._waiting, []
        return [(request, self._steps(request)) for request, _ in waiting]

    def _steps(self, request: Request) -> list[Step]:
        follower = self.followers[request.problem.id]
        state = follower.follow(request.steps).state
        if state is None:
            return [_step(SETUP, follower.family.setup(follower.start), "<code>")] * request.n
        if request.steps[-1].text.endswith(END_CODE):
            return [Step(answer_step(str(state.record)), tokens=1)] * request.n
        decisions = follower.solver.decisions(state) if state.left else []
        if not decisions:
            return [Step(f"\n# Now print the final answer\nprint({RESULT})\n{END_CODE}", tokens=1)] * request.n
        winning = [decision for decision in decisions if follower.solver.winnable(decision.after)]
        steps = []
        for sibling in range(request.n):
            rng = Random(request.key + sibling)
            chosen = rng.choice(winning if winning and rng.random() < self.skill else decisions)
            steps.append(_step(chosen.comment, chosen.code))
        return steps


@dataclass(slots=True)
class Read:
    """What the judge has read, as a PPM's cache counts it."""

    forwarded: int = 0


class NoisyJudge:
    """Says of each state whether it can be won, 0.9 or -0.9, and is wrong about a share `noise` of the states.

    The same state of a puzzle gets the same score. A step counts one token.
    """

    def __init__(self, puzzles: dict[str, Puzzle], noise: float, seed: int) -> None:
        self.followers = {name: Follower(puzzle) for name, puzzle in puzzles.items()}
        self.noise, self.seed = noise, seed
        self.cache = Read()

    def score(self, siblings: Sequence[tuple[Problem, tuple[Step, ...], Sequence[Step]]]) -> list[list[float]]:
        """One score for each candidate; see `Scorer.score`."""
        return [[self._score(problem, (*prefix, step)) for step in steps] for problem, prefix, steps in siblings]

    def _score(self, problem: Problem, steps: tuple[Step, ...]) -> float:
        self.cache.forwarded += 1
        follower = self.followers[problem.id]
        code = [step for step in steps if not step.text.endswith(END_ANSWER)]
        state = follower.follow(code).state
        if state is None:
            return -0.9
        wrong = Random(f"{self.seed}/{problem.id}/{state}/{state.record}").random() < self.noise
        return 0.9 if follower.solver.winnable(state) != wrong else -0.9


def _step(comment: str, code: str, before: str = "") -> Step:
    return Step(f"{before}\n# {comment}\n{code}\n{END_STEP}", tokens=1)
