"""From right-or-wrong lists to what the reports show: counts, unseen phrasings apart, tokens, paired intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rstar_mini.evaluation.statistics import interval, paired_bootstrap
from rstar_mini.evaluation.systems import Outcome
from rstar_mini.problems.kinds import kinds
from rstar_mini.types import Problem

COMPARISONS = (("mcts", "vote"), ("mcts", "greedy"), ("vote", "greedy"))


def summarise(problems: Sequence[Problem], outcomes: Mapping[str, Outcome], seed: int) -> dict[str, Any]:
    """The `evaluation` part of a round's metrics; where problems are of several kinds, each kind has a part too."""
    whole = _part(problems, outcomes, seed)
    for name, outcome in outcomes.items():
        spent = {"tokens": round(outcome.tokens / max(len(problems), 1), 2), "samples": outcome.samples}
        whole["systems"][name] |= spent
    parts = {
        kind: _part([problems[i] for i in places], {name: _some(o, places) for name, o in outcomes.items()}, seed)
        for kind, places in kinds(problems).items()
    }
    return whole | ({"kinds": parts} if parts else {})


def _some(outcome: Outcome, places: Sequence[int]) -> Outcome:
    return Outcome([outcome.correct[place] for place in places])


def _part(problems: Sequence[Problem], outcomes: Mapping[str, Outcome], seed: int) -> dict[str, Any]:
    paired = {
        f"{a} - {b}": [round(x, 5) for x in paired_bootstrap(outcomes[a].correct, outcomes[b].correct, seed)]
        for a, b in COMPARISONS
        if a in outcomes and b in outcomes
    }
    systems = {name: _system(problems, outcome) for name, outcome in outcomes.items()}
    return {"n": len(problems), "seed": seed, "systems": systems, "paired": paired}


def _system(problems: Sequence[Problem], outcome: Outcome) -> dict[str, Any]:
    unseen = [right for problem, right in zip(problems, outcome.correct, strict=True) if problem.unseen]
    return {
        "correct": _count(outcome.correct),
        "n": len(outcome.correct),
        "unseen": {"correct": _count(unseen), "n": len(unseen)},
    }


def _count(rights: Sequence[float]) -> float:
    """How many are right; a whole number unless seeds were pooled."""
    total = round(sum(rights), 4)
    return int(total) if total == int(total) else total


def headline(summary: Mapping[str, Any]) -> str:
    """One line: each system's accuracy with its 95 % interval, of all problems and of each kind."""
    told = [_told(summary), *(f"{kind}: {_told(part)}" for kind, part in summary.get("kinds", {}).items())]
    return "; ".join(told)


def _told(summary: Mapping[str, Any]) -> str:
    parts = []
    for name, row in summary["systems"].items():
        low, high = interval(row["correct"], row["n"])
        parts.append(f"{name} {row['correct'] / row['n']:.1%} [{low:.1%}, {high:.1%}]")
    return f"{', '.join(parts)} (n={summary['n']}, seed {summary['seed']})"
