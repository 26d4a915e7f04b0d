"""Tables 2, 3 and 6: coverage of the training problems, the policy alone, and PPM-guided search, round by round."""

from __future__ import annotations

from collections.abc import Sequence

from rstar_mini.evaluation.claims import Claim
from rstar_mini.evaluation.paper import gap_of, known, paper_table
from rstar_mini.evaluation.statistics import unpaired_difference
from rstar_mini.evaluation.systems import Outcome
from rstar_mini.experiments.lab import Lab
from rstar_mini.experiments.results import BY_ORM, Cell, Findings, Grid, claims_by_kind, counted, grids_by_kind

TITLE = "Rounds: coverage, the policy alone, and search"
TABLES = (2, 3, 6)
SYSTEMS = ("greedy", "vote", "mcts")
PAPER_ROUNDS = 4


def rounds(lab: Lab) -> Findings:
    """Every round's models on the held-out problems, and what its search solved of the training problems."""
    found = {number: lab.systems(number, recipes=True) for number in (0, *lab.rounds)}
    last, base = found[lab.rounds[-1]], found[0]
    heldout = {_name(number): [systems.get(name) for name in SYSTEMS] for number, systems in found.items()}
    greedy, search = paper_table(3).column("MATH"), paper_table(6).column("MATH")
    claims: list[Claim] = []

    def claim(
        text: str, table: str, paper: float | None, a: Sequence[Outcome], b: Sequence[Outcome], note: str = ""
    ) -> None:
        claims.extend(claims_by_kind(text, table, paper, a, b, lab.problems, note))

    claim("greedy, last round over the base", "3", gap_of(greedy, 4, 0), last["greedy"], base["greedy"])
    claim("greedy, last round over 1", "3", gap_of(greedy, 4, 1), last["greedy"], found[1]["greedy"])
    for number in list(lab.rounds)[:PAPER_ROUNDS]:
        text, step = f"greedy, round {number} over {number - 1 or 'the base'}", gap_of(greedy, number, number - 1)
        claim(text, "3", step, found[number]["greedy"], found[number - 1]["greedy"])
    claims.append(_coverage_claim(lab))
    if "mcts" in last:
        best = known(search, "round 4")
        ahead, whole = best - known(greedy, "round 4"), best - known(greedy, "round 1")
        chosen = best - known(paper_table(8).column("MATH"), "ORM, best of N")
        claim("search over greedy, last round", "3, 6", ahead, last["mcts"], last["greedy"])
        claim("search, last round, over greedy of round 1", "3, 6", whole, last["mcts"], found[1]["greedy"])
        claim("search over a vote of equal tokens, last round", "8", chosen, last["mcts"], last["vote"], BY_ORM)
    if "mcts" in last and "mcts" in found[1]:
        claim("search, last round over 1", "6", gap_of(search, 4, 1), last["mcts"], found[1]["mcts"])
    return [*grids_by_kind("Held-out problems right (%)", SYSTEMS, heldout, lab.problems), _coverage(lab)], claims


def _name(number: int) -> str:
    return f"round {number}" if number else "base"


def _coverage(lab: Lab) -> Grid:
    """Training problems with a verified solution, by level; with synthesis each seed has problems of its own."""
    metrics = [{row["round"]: row for row in lab.run(seed).metrics()} for seed in lab.seeds]
    levels = tuple(level for level in metrics[0][1]["coverage"] if all(level in row[1]["coverage"] for row in metrics))

    def cell(number: int, level: str) -> Cell:
        counts = [row[number]["coverage"][level] for row in metrics]
        n = round(sum(count["n"] for count in counts) / len(counts))
        solved = [n * count["correct"] / count["n"] for count in counts]
        return counted(sum(solved) / len(solved), n, solved)

    rows = {_name(number): tuple(cell(number, level) for level in levels) for number in lab.rounds}
    return Grid("Training problems solved by search (%), by kind and level", levels, rows)


def _coverage_claim(lab: Lab) -> Claim:
    """Taken as independent, since the metrics hold counts: wider than need be."""
    grid = _coverage(lab)
    new, old = (grid.rows[_name(number)][0] for number in (lab.rounds[-1], 1))
    assert new and old
    found = unpaired_difference(*((cell.percent / 100 * cell.n, cell.n) for cell in (new, old)))
    by_seed = tuple((a - b) / 100 for a, b in zip(new.by_seed, old.by_seed, strict=True))
    paper = gap_of(paper_table(2).column("all"), 4, 1)
    return Claim("coverage, last round over 1", "2", paper, found, by_seed=by_seed)
