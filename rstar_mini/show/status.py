"""Where a run is while another process works on it: read from its folder alone, so from any machine that sees it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rstar_mini.evolution.owner import LEASE, owner, silence
from rstar_mini.evolution.run import Run
from rstar_mini.files import read_json

SEARCHED, FAULTS = "shard searched", ("shard lost", "out of memory", "mended")


@dataclass(frozen=True, slots=True)
class Status:
    """How far a run is.

    `round` is the one at work, None when all are finished; `stage` is what it does, `done` of `shards` are searched
    (0 of 0 before the first); `seconds_left` of the search and `tokens_per_second` of one engine are None before enough
    is known; `owner` has written itself `silent` seconds ago, and is empty when nobody works on the run.
    """

    round: int | None
    rounds: int
    stage: str
    done: int
    shards: int
    seconds_left: float | None
    tokens_per_second: float | None
    owner: Mapping[str, Any]
    silent: float
    faults: Mapping[str, int]


def status(run: Run) -> Status:
    """What the files of a run say."""
    numbers = range(len(run.recipe.rounds) + 1)
    number = next((i for i in numbers if not (run.round(i) / "metrics.json").exists()), None)
    events = list(run.events.rows())
    searched = [event for event in events if event["event"] == SEARCHED and event["round"] == number]
    done = len(list((run.round(number) / "trees").glob("shard-*.json"))) if number else 0
    shards = searched[-1]["of"] if searched else 0
    who = owner(run.path)
    silent = silence(who)
    return Status(
        number,
        numbers[-1],
        _stage(run, number, done, shards),
        done,
        shards,
        _left(_since_start(events, number), shards - done),
        _rate(run, searched),
        who if silent < LEASE else {},
        silent,
        Counter(event["event"] for event in events if event["event"] in FAULTS),
    )


def status_lines(found: Status) -> list[str]:
    """The same for people."""
    if found.round is None:
        return [f"all {found.rounds} rounds are finished"]
    now = f"round {found.round} of {found.rounds}: {found.stage}"
    if found.shards:
        now += f", {found.done} of {found.shards} shards searched"
    if found.seconds_left:
        now += f", about {math.ceil(found.seconds_left / 60)} min of search left"
    lines = [now]
    if found.tokens_per_second:
        lines.append(f"{found.tokens_per_second:,.0f} tokens sampled a second by one engine")
    if found.owner:
        who = f"process {found.owner.get('pid')} on {found.owner.get('host')}"
        lines.append(f"{who} works on it; last sign of life {found.silent:.0f} s ago")
    else:
        lines.append("nobody works on it; the command that began it goes on with it")
    return lines + [f"{name}: {count}" for name, count in found.faults.items()]


def _stage(run: Run, number: int | None, done: int, shards: int) -> str:
    """By what is there already."""
    if number is None:
        return "finished"
    folder = run.round(number)
    if number and not (shards and done == shards):
        return "search"
    if number and not (folder / "policy-log.json").exists():
        return "training of the policy"
    if number and run.recipe.method == "mcts" and not (folder / "ppm-log.json").exists():
        return "training of the PPM"
    return "evaluation on held-out problems"


def _since_start(events: Sequence[Mapping[str, Any]], number: int | None) -> list[Mapping[str, Any]]:
    """The shards of a round that were searched since the run was last taken up, and what was noted before the first."""
    start = max((i for i, event in enumerate(events) if event["event"] == "start"), default=0)
    recent = events[start:]
    mine = [i for i, event in enumerate(recent) if event["event"] == SEARCHED and event["round"] == number]
    return [recent[i] for i in ([max(0, mine[0] - 1), *mine] if mine else [])]


def _left(recent: Sequence[Mapping[str, Any]], missing: int) -> float | None:
    """As long for each missing shard as there was between those that are done, however many engines there are."""
    if not recent:
        return None
    first, last = (datetime.fromisoformat(event["time"]) for event in (recent[0], recent[-1]))
    return missing * (last - first).total_seconds() / (len(recent) - 1)


def _rate(run: Run, searched: Sequence[Mapping[str, Any]]) -> float | None:
    seconds = sum(event["seconds"] for event in searched)
    if not seconds:
        return None
    trees = run.round(searched[0]["round"]) / "trees"
    sampled = sum(read_json(trees / f"shard-{event['shard']:04d}.json")["sampled"] for event in searched)
    return float(sampled / seconds)
