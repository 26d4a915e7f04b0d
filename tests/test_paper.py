"""The paper's tables agree with each other, and claims are judged by intervals."""

from __future__ import annotations

import itertools

import pytest

from rstar_mini.errors import UserError
from rstar_mini.evaluation.claims import Claim, Verdict, paper_claims
from rstar_mini.evaluation.paper import (
    paper_interval,
    paper_table,
    paper_tables,
    problems_in,
    right_of,
)
from rstar_mini.evaluation.statistics import interval, unpaired_difference
from rstar_mini.files import read_json
from rstar_mini.paths import data_file

# The same measurement under the name that each table gives it.
SAME = [
    [(3, "round 4"), (7, "step-verified"), (10, "Qwen2.5-Math-7B")],
    [(4, "round 1"), (6, "round 1")],
    [(6, "round 4"), (8, "PPM, MCTS"), (5, "Qwen2.5-Math-7B rStar-Math")],
    [(3, "base"), (5, "Qwen2.5-Math-7B base")],
    [(1, "o1-mini"), (5, "o1-mini")],
    *(
        [(1, f"{model} rStar-Math, 64 trajectories"), (5, f"{model} rStar-Math, 64 trajectories")]
        for model in ("Phi3-mini", "Qwen2.5-Math-1.5B", "Qwen2.5-Math-7B")
    ),
]
# Cells that are no whole number of MATH-500's or AIME's problems: figures of other people's models, taken over from
# elsewhere or averaged over several samples, and one of the paper's own, which it does not explain (table 4).
ODD_MATH = {(4, "round 2"), (3, "DeepSeek-Coder-V2-Instruct"), (1, "o1-preview")}
ODD_AIME = {(1, "o1-preview"), (1, "GPT-4o"), (1, "DeepSeek-V3"), (10, "Qwen2.5-Math-7B Instruct")}


def cells(benchmark: str):
    """Every figure of a benchmark that is accuracy: (table, row), percent."""
    for table in paper_tables():
        if benchmark in table.columns and table.unit == "percent":
            yield from (
                ((table.number, row), cell) for row, cell in table.column(benchmark).items() if cell is not None
            )


def off(benchmark: str):
    """The cells further from a whole number of problems than rounding to one decimal explains."""
    n = problems_in(benchmark)
    return {place for place, cell in cells(benchmark) if abs(cell - 100 * right_of(cell, benchmark) / n) > 0.0501}


def test_all_ten_tables_are_there_and_whole():
    assert [table.number for table in paper_tables()] == list(range(1, 11))
    for table in paper_tables():
        assert table.rows and all(len(row) == len(table.columns) for row in table.rows.values())
        figures = [cell for row in table.rows.values() for cell in row if cell is not None]
        assert all(0 <= cell <= 100 for cell in figures) or table.unit == "tokens"
        assert bool(table.missing) == any(cell is None for row in table.rows.values() for cell in row)


@pytest.mark.parametrize("places", SAME, ids=lambda places: places[0][1])
def test_a_measurement_that_several_tables_print_is_the_same_in_all(places):
    for a, b in itertools.combinations(places, 2):
        rows = [paper_table(number).row(name) for number, name in (a, b)]
        common = [c for c in rows[0] if c in rows[1] and None not in (rows[0][c], rows[1][c])]
        assert len(common) >= 4
        assert [rows[0][c] for c in common] == [rows[1][c] for c in common]


def test_percentages_stand_for_whole_problems_but_for_the_cells_that_are_known_not_to():
    assert off("MATH") == ODD_MATH
    assert off("AIME 2024") == ODD_AIME
    assert off("AMC 2023") == set()


def test_rounds_of_the_paper_are_four_and_coverage_never_falls():
    for number in (2, 3, 4, 6):
        assert [row for row in paper_table(number).rows if row.startswith("round")] == [
            f"round {i}" for i in (1, 2, 3, 4)
        ]
    for name in paper_table(2).columns:
        column = list(paper_table(2).column(name).values())
        assert column == sorted(column)


def test_figures_are_looked_up_by_name_and_unknown_names_are_told():
    assert paper_table(6).row("round 4")["MATH"] == 89.4 and paper_table(6).column("MATH")["round 4"] == 89.4
    assert paper_table(5).row("Qwen2.5-Math-7B rStar-Math, 64 trajectories")["GSM8K"] is None
    with pytest.raises(UserError, match="no table 11"):
        paper_table(11)
    with pytest.raises(UserError, match="no row 'round 5'; its rows: round 1"):
        paper_table(6).row("round 5")
    with pytest.raises(UserError, match="no column 'AIME'; its columns: MATH"):
        paper_table(6).column("AIME")
    with pytest.raises(UserError, match="'AIME' is not known"):
        problems_in("AIME")


def test_a_table_as_text_is_aligned_and_says_what_is_missing():
    lines = str(paper_table(2)).splitlines()
    assert lines[0] == "Table 2: Training problems with a right trajectory, by round (percent)"
    assert len({len(line) for line in lines[1:]}) == 1 and lines[2].split() == "round 1 96.61 67.36 20.99 60.17".split()
    assert str(paper_table(1)).endswith("for o1-preview.") and "  -  " in str(paper_table(1))


def test_intervals_come_from_whole_problems():
    assert right_of(53.3, "AIME 2024") == 16 and right_of(3.3, "AIME 2024") == 1
    assert paper_interval(53.3, "AIME 2024") == tuple(100 * end for end in interval(16, 30))


def test_newcombes_interval_against_his_own_example():
    """Newcombe 1998, table II, method 10: 56/70 - 48/80 is 0.2000 [0.0524, 0.3339]."""
    assert unpaired_difference((56, 70), (48, 80)) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    mean, low, high = unpaired_difference((48, 80), (56, 70))
    assert (mean, low, high) == pytest.approx((-0.2, -0.3339, -0.0524), abs=5e-5)
    with pytest.raises(ValueError, match="at least one problem"):
        unpaired_difference((0, 0), (1, 2))


@pytest.mark.parametrize(
    ("paper", "ours", "verdict"),
    [
        (2.0, (0.1, 0.01, 0.2), Verdict.HOLDS),
        (2.0, (0.1, -0.01, 0.2), Verdict.OPEN),
        (2.0, (-0.1, -0.2, -0.01), Verdict.FAILS),
        (-2.0, (-0.1, -0.2, -0.01), Verdict.HOLDS),
        (-2.0, (0.1, 0.01, 0.2), Verdict.FAILS),
        (2.0, None, Verdict.UNMEASURED),
    ],
)
def test_the_verdict_follows_from_our_interval(paper, ours, verdict):
    assert Claim("a over b", "3", paper, ours).verdict is verdict


def test_claims_of_a_run_with_and_without_all_rounds():
    metrics = read_json(data_file("tiny-evolved/metrics.json"))
    claims = {claim.text: claim for claim in paper_claims(metrics)}
    assert len(claims) == len(paper_claims(metrics)) and all(claim.paper > 0 for claim in claims.values())
    assert claims["greedy, round 1 over the base"].paper == pytest.approx(69.6 - 58.8)
    assert claims["PPM over PQM as judge of the search"].verdict is Verdict.UNMEASURED
    begun = {claim.text: claim.verdict for claim in paper_claims(metrics[:2])}
    assert begun.keys() == claims.keys()
    assert begun["search, round 2 over 1"] is begun["greedy, round 4 over 3"] is Verdict.UNMEASURED
    assert claims["search, round 2 over 1"].ours is not None
