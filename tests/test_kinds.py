"""Word problems and puzzles together: taken in turns, and told apart in every result."""

import io
import re

from rich.console import Console

from rstar_mini.evaluation.summary import headline, summarise
from rstar_mini.evaluation.systems import Outcome
from rstar_mini.evolution.harvest import coverage
from rstar_mini.experiments.results import claims_by_kind, grids_by_kind
from rstar_mini.problems import load_problems
from rstar_mini.problems.kinds import PUZZLES, WORDS, kinds
from rstar_mini.show.tables import results_table

MIXED = load_problems("mixed", "validation", limit=8, families=["money", "coins", "signs"], levels=[1, 2])
RIGHT = [1.0, 0.0] * 4  # all word problems and no puzzle
WRONG = [0.0] * 8


def test_a_mixed_source_has_word_problems_and_puzzles_in_turns() -> None:
    assert [problem.family == "money" for problem in MIXED] == [True, False] * 4
    assert {problem.family for problem in MIXED} == {"money", "coins", "signs"}
    assert {problem.level for problem in MIXED} <= {1, 2}


def test_when_one_part_ends_the_other_goes_on() -> None:
    asked = {"families": ["money", "coins"], "levels": [1]}
    words, puzzles = (load_problems(source, "validation", **asked) for source in ("generated", "puzzles"))
    mixed = load_problems("mixed", "validation", **asked)
    shorter = min(len(words), len(puzzles))
    assert len(words) != len(puzzles)
    assert mixed[: 2 * shorter] == [p for pair in zip(words, puzzles, strict=False) for p in pair]
    assert mixed[2 * shorter :] == max(words, puzzles, key=len)[shorter:]


def test_problems_of_one_kind_are_not_told_apart() -> None:
    assert kinds(MIXED) == {WORDS: [0, 2, 4, 6], PUZZLES: [1, 3, 5, 7]}
    assert kinds(MIXED[::2]) == kinds([]) == {}
    assert "kinds" not in summarise(MIXED[::2], {"greedy": Outcome(RIGHT[::2], 8)}, 0)


def test_a_summary_counts_each_kind() -> None:
    summary = summarise(MIXED, {"greedy": Outcome(WRONG, 80), "mcts": Outcome(RIGHT, 160), "vote": Outcome(WRONG)}, 0)
    assert summary["n"] == 8 and summary["systems"]["mcts"]["tokens"] == 20
    words, puzzles = (summary["kinds"][kind] for kind in (WORDS, PUZZLES))
    assert words["n"] == puzzles["n"] == 4
    assert (words["systems"]["mcts"]["correct"], puzzles["systems"]["mcts"]["correct"]) == (4, 0)
    assert words["paired"]["mcts - vote"][0] == 1 and puzzles["paired"]["mcts - vote"][0] == 0
    assert "puzzles: greedy 0.0%" in headline(summary) and "word problems: greedy 0.0%" in headline(summary)


def test_the_table_of_results_has_a_row_for_each_kind_and_fits_a_terminal() -> None:
    evaluation = summarise(MIXED, {name: Outcome(RIGHT, 8) for name in ("greedy", "vote", "mcts")}, 0)
    counts = {"coverage": {"all": {"correct": 310, "n": 500}}, "ppm_accuracy": {"correct": 150, "n": 200}}
    console = Console(file=io.StringIO(), width=80)
    console.print(results_table([{"round": 3, "evaluation": evaluation} | counts]))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= 80 and not any("…" in line for line in lines)
    found = [re.findall(r"\d+\.\d", line)[:3] for line in lines if line.startswith("3")]
    assert found == [["50.0"] * 3, ["100.0"] * 3, ["0.0"] * 3]


def test_coverage_is_counted_by_kind() -> None:
    found = coverage(MIXED, {MIXED[0].id, MIXED[1].id, MIXED[3].id})
    assert found["all"] == {"correct": 3, "n": 8}
    assert found[WORDS] == {"correct": 1, "n": 4} and found[PUZZLES] == {"correct": 2, "n": 4}


def test_experiments_have_tables_and_claims_of_each_kind() -> None:
    right, wrong = [Outcome(RIGHT, 8)], [Outcome(WRONG, 8)]
    grids = grids_by_kind("right (%)", ("a", "b"), {"x": [right, None]}, MIXED)
    assert [grid.title for grid in grids] == ["right (%)", f"{WORDS}: right (%)", f"{PUZZLES}: right (%)"]
    assert [grid.rows["x"][0].percent for grid in grids] == [50, 100, 0]  # type: ignore[union-attr]
    assert all(grid.rows["x"][1] is None for grid in grids)
    claims = claims_by_kind("a over b", "8", None, right, wrong, MIXED)
    assert [claim.ours and claim.ours[0] for claim in claims] == [0.5, 1.0, 0.0]
    assert len(claims_by_kind("a over b", "8", None, right, wrong, MIXED[:1] * 8)) == 1
