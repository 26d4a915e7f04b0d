"""How far a run is, read from its directory alone: so it can be asked from anywhere, while another process works."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rstar_mini.evolution.ledger import DIGESTS
from rstar_mini.evolution.owner import LEASE, owner, silence
from rstar_mini.evolution.records import round_metrics, shard_counts
from rstar_mini.evolution.run import RECIPE, Run
from rstar_mini.files import read_json
from rstar_mini.recipes.schema import Round

METRICS = "metrics.json"  # of all rounds, in a folder of results
Event = Mapping[str, Any]
SEARCHED, PIECES = "shard searched", ("policy trained", "PPM trained", "evaluated")
FAULTS = ("shard lost", "training lost", "out of memory", "past the model's positions", "mended")


@dataclass(frozen=True, slots=True)
class Status:
    """A moment of a run. `shards` is (searched, in all) of the round that is worked on.

    `seconds_left` is None as long as some kind of work, such as training the PPM, has not been timed once; so is
    `rate`, the tokens that one engine samples a second. `owner` is what the process that works on it has written of
    itself, `silent` seconds ago; it is empty when nobody works. `faults` counts what went wrong and was made good.
    `dashboard` is the address of Ray's own, where it works on a cluster that has one.
    """

    name: str
    metrics: Sequence[Mapping[str, Any]]
    rounds: int
    shards: tuple[int, int]
    doing: str
    tokens: int
    seconds_left: float | None
    rate: float | None
    owner: Mapping[str, Any]
    silent: float
    faults: Mapping[str, int]
    dashboard: str

    @property
    def working(self) -> bool:
        """True when a process works on it."""
        return bool(self.owner)

    @property
    def finished(self) -> bool:
        """True when all rounds of the recipe are done."""
        return len(self.metrics) == self.rounds + 1


def status(path: Path) -> Status | None:
    """The state of the run at `path`; None when no run has begun there."""
    if not (path / RECIPE).exists() and not (path / DIGESTS).exists():
        return None
    run = Run.load(path)
    with run.reading():
        return _of_results(run) if (path / METRICS).exists() else _status(run)


def _of_results(run: Run) -> Status:
    """Of what `rstar-mini report --to` writes of a run: its rounds have left their metrics alone."""
    metrics = [round_metrics(row) for row in read_json(run.path / METRICS)]
    rounds, tokens = len(run.recipe.rounds), sum(row.get("search", {}).get("sampled", 0) for row in metrics)
    doing = "finished" if len(metrics) > rounds else f"recorded after round {len(metrics) - 1}"
    return Status(run.recipe.name, metrics, rounds, (0, 0), doing, tokens, 0.0, None, {}, math.inf, {}, "")


def _status(run: Run) -> Status:
    path = run.path
    metrics, events, rounds = run.metrics(), run.events.rows(), run.recipe.rounds
    current = min(len(metrics), len(rounds))
    mine = _of_round(events, current)
    searched = len({row["shard"] for row in mine if row["event"] == SEARCHED})
    shards = next((row["of"] for row in reversed(events) if row["event"] == SEARCHED), 0)
    tokens = sum(read_json(file, shard_counts)["sampled"] for file in path.glob("round-*/trees/shard-*.json"))
    pieces = [piece for piece in PIECES if run.recipe.method == "mcts" or piece != "PPM trained"]
    at_work = _doing(current, mine, searched, shards, pieces)
    who = owner(path)
    silent = silence(who)
    return Status(
        run.recipe.name,
        metrics,
        len(rounds),
        (searched, shards),
        "finished" if len(metrics) > len(rounds) else f"round {current}: {at_work}",
        tokens,
        _seconds_left(rounds, metrics, events, shards, pieces),
        _rate(path, events),
        who if silent < LEASE else {},
        silent,
        Counter(row["event"] for row in events if row["event"] in FAULTS),
        next((row.get("dashboard", "") for row in reversed(events) if row["event"] == "start"), ""),
    )


def _of_round(events: Sequence[Event], number: int) -> list[Event]:
    return [row for row in events if row.get("round") == number]


def _doing(number: int, mine: Sequence[Event], searched: int, shards: int, pieces: Sequence[str]) -> str:
    """The first piece that is not done."""
    done = {row["event"] for row in mine}
    if number and not (shards and searched == shards):
        return "searching"
    names = {"policy trained": "training the policy", "PPM trained": "training the PPM"}
    missing = next((piece for piece in pieces if number and piece in names and piece not in done), "")
    return names.get(missing, "held-out evaluation")


def _rate(path: Path, events: Sequence[Event]) -> float | None:
    """Of the shards of the last round that was searched."""
    number = next((row["round"] for row in reversed(events) if row["event"] == SEARCHED), 0)
    counts = {row["shard"]: row["seconds"] for row in _of_round(events, number) if row["event"] == SEARCHED}
    files = {path / f"round-{number}" / "trees" / f"shard-{shard:04d}.json": s for shard, s in counts.items()}
    there = {file: seconds for file, seconds in files.items() if file.exists()}
    seconds = sum(there.values())
    return sum(read_json(file, shard_counts)["sampled"] for file in there) / seconds if seconds else None


def _pace(events: Sequence[Event]) -> float:
    """Seconds from one shard of the last search to the next, since it was last begun: less with more engines."""
    last = next(i for i in reversed(range(len(events))) if events[i]["event"] == SEARCHED)
    mine = [row for row in _of_round(events[: last + 1], events[last]["round"]) if row["event"] == SEARCHED]
    start = max((i for i, row in enumerate(events[:last]) if row["event"] == "start"), default=0)
    recent = [row for row in mine if row["time"] >= events[start]["time"]]
    if len(recent) < 2:
        return float(recent[-1]["seconds"])
    began = datetime.fromisoformat(recent[0]["time"]) - timedelta(seconds=recent[0]["seconds"])
    return (datetime.fromisoformat(recent[-1]["time"]) - began).total_seconds() / len(recent)


def _seconds_left(
    rounds: Sequence[Round],
    metrics: Sequence[Mapping[str, Any]],
    events: Sequence[Event],
    shards: int,
    pieces: Sequence[str],
) -> float | None:
    """Each piece that is not done yet at the price of the last of its kind; a search in proportion to its budget."""
    timed = {row["event"]: row for row in events if "seconds" in row}
    if len(metrics) > len(rounds):
        return 0.0
    if not timed.keys() >= {SEARCHED, *pieces}:
        return None
    per_work = _pace(events) / _work(rounds[timed[SEARCHED]["round"] - 1])
    left = 0.0
    for number in range(max(1, len(metrics)), len(rounds) + 1):
        mine = _of_round(events, number)
        searched = len({row["shard"] for row in mine if row["event"] == SEARCHED})
        left += (shards - searched) * per_work * _work(rounds[number - 1])
        left += sum(timed[piece]["seconds"] for piece in pieces if piece not in {row["event"] for row in mine})
    return left


def _work(settings: Round) -> int:
    """What a search costs, about: candidates times rollouts."""
    return settings.candidates * (settings.rollouts + settings.extra_rollouts)
