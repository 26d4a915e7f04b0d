"""How far a run is, read from its directory alone: so it can be asked from anywhere, while another process works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rstar_mini.evolution.owner import LEASE, owner, silence
from rstar_mini.evolution.run import RECIPE, Run
from rstar_mini.files import read_json
from rstar_mini.recipes.schema import Round

Event = Mapping[str, Any]
SEARCHED, PIECES = "shard searched", ("policy trained", "PPM trained", "evaluated")


@dataclass(frozen=True, slots=True)
class Status:
    """A moment of a run. `shards` is (searched, in all) of the round that is worked on.

    `seconds_left` is None as long as some kind of work, such as training the PPM, has not been timed once.
    """

    name: str
    metrics: Sequence[Mapping[str, Any]]
    rounds: int
    shards: tuple[int, int]
    doing: str
    tokens: int
    seconds_left: float | None
    working: bool

    @property
    def finished(self) -> bool:
        """True when all rounds of the recipe are done."""
        return len(self.metrics) == self.rounds + 1


def status(path: Path) -> Status | None:
    """The state of the run at `path`; None when no run has begun there."""
    if not (path / RECIPE).exists():
        return None
    run = Run.load(path)
    metrics, events, rounds = run.metrics(), run.events.rows(), run.recipe.rounds
    current = min(len(metrics), len(rounds))
    mine = _of_round(events, current)
    searched = len({row["shard"] for row in mine if row["event"] == SEARCHED})
    shards = next((row["of"] for row in reversed(events) if row["event"] == SEARCHED), 0)
    tokens = sum(read_json(file)["sampled"] for file in path.glob("round-*/trees/shard-*.json"))
    doing = "finished" if len(metrics) > len(rounds) else f"round {current}: {_doing(current, mine, searched, shards)}"
    left = _seconds_left(rounds, metrics, events, shards)
    working = silence(owner(path)) < LEASE
    return Status(run.recipe.name, metrics, len(rounds), (searched, shards), doing, tokens, left, working)


def _of_round(events: Sequence[Event], number: int) -> list[Event]:
    return [row for row in events if row.get("round") == number]


def _doing(number: int, mine: Sequence[Event], searched: int, shards: int) -> str:
    """What comes after the last thing that was done."""
    done = {row["event"] for row in mine}
    if number == 0 or "PPM trained" in done:
        return "held-out evaluation"
    if "policy trained" in done:
        return "training the PPM"
    return "training the policy" if shards and searched == shards else "searching"


def _seconds_left(
    rounds: Sequence[Round], metrics: Sequence[Mapping[str, Any]], events: Sequence[Event], shards: int
) -> float | None:
    """Each piece that is not done yet at the price of the last of its kind; a search in proportion to its budget."""
    timed = {row["event"]: row for row in events if "seconds" in row}
    if len(metrics) > len(rounds):
        return 0.0
    if not timed.keys() >= {SEARCHED, *PIECES}:
        return None
    last = timed[SEARCHED]
    per_work = last["seconds"] / _work(rounds[last["round"] - 1])
    left = 0.0
    for number in range(max(1, len(metrics)), len(rounds) + 1):
        mine = _of_round(events, number)
        searched = len({row["shard"] for row in mine if row["event"] == SEARCHED})
        left += (shards - searched) * per_work * _work(rounds[number - 1])
        left += sum(timed[piece]["seconds"] for piece in PIECES if piece not in {row["event"] for row in mine})
    return left


def _work(settings: Round) -> int:
    """What a search costs, about: candidates times rollouts."""
    return settings.candidates * (settings.rollouts + settings.extra_rollouts)
