"""How far a run is, in words: for the command line and for the dashboard."""

from __future__ import annotations

from rstar_mini.evolution.status import Status
from rstar_mini.show.progress import clock


def facts(now: Status) -> dict[str, str]:
    """What there is to say, by its name."""
    told = {
        "run": now.name,
        "now": now.doing if now.working or now.finished else f"{now.doing}, stopped",
        "rounds": f"{max(0, len(now.metrics) - 1)} of {now.rounds} finished",
    }
    if not now.finished:
        told["shards of this round"] = f"{now.shards[0]} of {now.shards[1] or '?'} searched"
    told["tokens sampled in search"] = f"{now.tokens:,}"
    for name in ("trajectories", "pairs"):
        if counts := [f"{row[name]:,}" for row in now.metrics if name in row]:
            told[f"{name} by round"] = ", ".join(counts)
    if now.rate:
        told["tokens a second"] = f"{now.rate:,.0f} by one engine"
    if now.working:
        told["worked on by"] = f"process {now.owner['pid']} on {now.owner['host']}, seen {now.silent:.0f} s ago"
        told |= {"Ray's dashboard": now.dashboard} if now.dashboard else {}
    told |= {name: str(count) for name, count in now.faults.items()}
    left = "not known before the first round is done" if now.seconds_left is None else clock(now.seconds_left)
    return told if now.finished else told | {"time left": left}
