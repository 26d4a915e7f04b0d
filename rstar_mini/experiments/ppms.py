"""Table 4: the PPMs of all rounds judge the search of one policy, that of round 1."""

from __future__ import annotations

from rstar_mini.evaluation.claims import Claim
from rstar_mini.evaluation.paper import gap_of, paper_table
from rstar_mini.evaluation.systems import Outcome
from rstar_mini.experiments.lab import Lab
from rstar_mini.experiments.results import Findings, Grid, gap, measured

TITLE = "The PPM by round, the policy fixed at round 1"
TABLES = (4,)


def ppms(lab: Lab) -> Findings:
    """Search by the policy of round 1 under each round's PPM."""
    found = {1: lab.systems(1)["mcts"]} | {number: _search(lab, number) for number in lab.rounds[1:]}
    rows = {f"PPM of round {number}": (measured(outcomes),) for number, outcomes in found.items()}
    claim = Claim(
        "PPM of the last round over that of round 1, policy fixed",
        "4",
        gap_of(paper_table(4).column("MATH"), 4, 1),
        gap(found[lab.rounds[-1]], found[1]),
    )
    return [Grid("Held-out problems right (%)", ("mcts",), rows)], [claim]


def _search(lab: Lab, number: int) -> list[Outcome]:
    return lab.guided(f"policy 1, PPM {number}", 1, lambda seed: lab.models(seed).scorer(number))
