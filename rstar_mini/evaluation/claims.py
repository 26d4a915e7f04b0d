"""What the paper claims, beside what was measured here: the verdict follows from the interval of our difference.

`paper_claims` reads one run's metrics; what needs more than these is an experiment of `rstar_mini/experiments/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rstar_mini.evaluation.paper import gap_of, known, paper_table
from rstar_mini.evaluation.statistics import unpaired_difference

Difference = tuple[float, float, float]  # mean, low, high, as shares


class Verdict(StrEnum):
    """Whether a claim of the paper is seen here as well."""

    HOLDS = "holds"
    FAILS = "does not hold at this scale"
    OPEN = "not settled"
    UNMEASURED = "not measured yet"


@dataclass(frozen=True, slots=True)
class Claim:
    """Something the paper says is better than something else.

    `paper` is its difference in percentage points, None where it gives no figure; `table` says where it stands; `ours`
    is our difference as shares with its interval, None when nobody measured it; `by_seed` is that of each seed alone:
    the interval is over problems and knows of no other training; `note` says what is not the same here.
    """

    text: str
    table: str
    paper: float | None
    ours: Difference | None = None
    note: str = ""
    by_seed: tuple[float, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """By our interval: on the paper's side of zero, on the other side, or across it, as are seeds that disagree."""
        if self.ours is None:
            return Verdict.UNMEASURED
        _, low, high = self.ours
        if low <= 0 <= high or any(one * (low + high) < 0 for one in self.by_seed):
            return Verdict.OPEN
        better = self.paper is None or self.paper > 0
        return Verdict.HOLDS if (low > 0) == better else Verdict.FAILS


def paper_claims(metrics: Sequence[Mapping[str, Any]]) -> list[Claim]:
    """The paper's claims beside a run's metrics, those of round 0 first; MATH stands for the paper's benchmarks."""
    solved = paper_table(2).column("all")
    greedy, fixed, guided, data, judges = (paper_table(number).column("MATH") for number in (3, 4, 6, 7, 8))
    ours = {row["round"]: row for row in metrics}
    last = max(ours)
    paired = ours[last].get("evaluation", {}).get("paired", {})
    claims = [
        Claim(
            "coverage, last round over first", "2", gap_of(solved, 4, 1), _coverage(ours, last, 1) if last > 1 else None
        )
    ]
    for new in (1, 2, 3, 4):
        text = f"greedy, round {new} over {new - 1 or 'the base'}"
        claims.append(Claim(text, "3", gap_of(greedy, new, new - 1), _systems(ours, "greedy", new, new - 1)))
    for new in (2, 3, 4):
        text = f"search, round {new} over {new - 1}"
        claims.append(Claim(text, "6", gap_of(guided, new, new - 1), _systems(ours, "mcts", new, new - 1)))
    best = known(guided, "round 4")
    sampled = best - known(judges, "ORM, best of N")
    note = "the paper picks with an ORM, we by vote of equal tokens"
    pqm = best - known(judges, "PQM, MCTS")
    verified = known(data, "step-verified") - known(data, "rejection sampling")
    return [
        *claims,
        Claim("search over greedy, last round", "3, 6", best - known(greedy, "round 4"), _paired(paired, "greedy")),
        Claim("search over picking among samples", "8", sampled, _paired(paired, "vote"), note),
        Claim("PPM over PQM as judge of the search", "8", pqm),
        Claim("PPM of round 4 over 1, policy fixed", "4", gap_of(fixed, 4, 1)),
        Claim("step-verified over rejection sampling", "7", verified, note="rstar-mini reproduce data measures it"),
    ]


def _coverage(ours: Mapping[int, Mapping[str, Any]], new: int, old: int) -> Difference | None:
    return _difference([ours.get(number, {}).get("coverage", {}).get("all") for number in (new, old)])


def _systems(ours: Mapping[int, Mapping[str, Any]], system: str, new: int, old: int) -> Difference | None:
    rows = [ours.get(number, {}).get("evaluation", {}).get("systems", {}) for number in (new, old)]
    return _difference([row.get(system) for row in rows])


def _difference(counts: Sequence[Mapping[str, int] | None]) -> Difference | None:
    """None when one of the two rounds was not run."""
    a, b = counts
    return unpaired_difference((a["correct"], a["n"]), (b["correct"], b["n"])) if a and b else None


def _paired(paired: Mapping[str, Sequence[float]], other: str) -> Difference | None:
    found = paired.get(f"mcts - {other}")
    return (found[0], found[1], found[2]) if found else None
