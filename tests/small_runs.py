"""A run small enough for tests, and how two runs are compared."""

import hashlib
from pathlib import Path

from rstar_mini.progress import Silent

# Two shards a round, one of held-out problems. One thread: with two, so small a model mostly waits.
SMALL = [
    "threads=1",
    "problems.limit=12",
    "search.shard=6",
    "policy.max_step_tokens=48",
    "evaluation.limit=4",
    "evaluation.candidates=3",
    "evaluation.rollouts=2",
    "sft.epochs=1",
    "ppm.epochs=1",
    "rounds=[{annotation: terminal, candidates: 4, rollouts: 3},"
    " {annotation: ppm, candidates: 3, rollouts: 2, unsolved_rollouts: [2], new_seeds: 1}]",
]
FEW = ["problems.limit=4", "evaluation.limit=1"]  # where the models need not learn, nor the figures mean anything
DIARY = ("events.jsonl", "digests.jsonl", "lock", "owner.json")


class Until(Silent):
    """Interrupts a run when the stage of this name begins; keeps what was said, and the units of each stage."""

    def __init__(self, stage: str) -> None:
        self.last = stage
        self.said: list[str] = []
        self.stages: dict[str, int] = {}

    def stage(self, name: str, total: int) -> None:
        self.stages[name] = total
        if name == self.last:
            raise KeyboardInterrupt

    def say(self, text: str) -> None:
        self.said.append(text)


class Stop(Silent):
    """Interrupts a stage after so many units."""

    def __init__(self, stage: str, left: int) -> None:
        self.last, self.left, self.now = stage, left, ""

    def stage(self, name: str, total: int) -> None:
        self.now = name

    def advance(self, amount: int = 1) -> None:
        if self.now == self.last:
            self.left -= amount
            if self.left < 0:
                raise KeyboardInterrupt


def digests(folder: Path) -> dict[str, str]:
    """Of all files but the diary: times, owners, and the order in which files were written."""
    files = [f for f in sorted(folder.rglob("*")) if f.is_file() and f.name not in DIARY]
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
