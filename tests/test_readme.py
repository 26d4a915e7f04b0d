"""The pages of results show the shipped results, and nothing that is not in them."""

import re
from pathlib import Path

import pytest
from PIL import Image

from rstar_mini.errors import UserError
from rstar_mini.evaluation.claims import Claim
from rstar_mini.experiments.page import cell_text, claim_cells
from rstar_mini.experiments.results import Cell, Grid, Result, read_results
from rstar_mini.files import read_json, write_json
from rstar_mini.paths import data_file
from rstar_mini.show.readme import PAGES, with_results
from rstar_mini.show.tables import difference, result_cells

ROOT = Path(__file__).parent.parent
FIGURE = r"[+-]?\d+\.\d \[[+-]?\d+\.\d, [+-]?\d+\.\d\]"  # one with an interval


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    cell = Cell(84.12, 82.44, 85.61, 2000, (84.0, 84.24))
    grid = Grid("Right (%)", ("greedy", "mcts"), {"base": (cell, None)})
    claim = Claim("mcts over greedy", "6", 1.2, (0.01, -0.004, 0.02), by_seed=(0.008, 0.012))
    result = Result("rounds", "Rounds", "tiny", (0, 1), "rstar-mini reproduce rounds", (6,), (grid,), (claim,))
    (tmp_path / "tiny").mkdir()
    write_json(tmp_path / "tiny" / "rounds.json", result.to_json())
    counts = {"correct": 44, "n": 250}
    held_out = {"n": 250, "seed": 0, "systems": {"greedy": counts}, "paired": {}}
    write_json(tmp_path / "tiny" / "metrics.json", [{"round": 1, "evaluation": held_out, "ppm_accuracy": counts}])
    return tmp_path


def block(part: str) -> str:
    return f"# Title\n\n<!-- results tiny: {part} -->\nold\n<!-- end -->\nafter\n"


def test_a_block_is_written_from_the_results_and_the_rest_is_left(shipped: Path) -> None:
    text = with_results(block("rounds") + block("claims") + block("metrics"), shipped)
    assert "old" not in text and text.count("# Title\n") == text.count("\nafter\n") == 3
    assert "| base | 84.1 [82.4, 85.6] | - |" in text
    assert "Right (%); n = 2,000, seeds 0, 1; `rstar-mini reproduce rounds`" in text
    assert "| mcts over greedy | 6 | +1.2 | +1.0 [-0.4, +2.0] | +0.8, +1.2 | not settled |" in text
    assert "| 1 | 17.6 [13.4, 22.8] | - | - | - | - | 17.6 [13.4, 22.8] |" in text
    assert with_results(text, shipped) == text


def test_verdicts_leave_open_claims_out(tmp_path: Path) -> None:
    settled = Claim("last over first", "3", 1.2, (0.03, 0.02, 0.04), by_seed=(0.03, 0.02))
    lost = Claim("search over a vote", "8", 6.8, (-0.03, -0.04, -0.02), by_seed=(-0.03, -0.02), note="of ours")
    unclear = Claim("mcts over greedy", "6", 1.2, (0.01, -0.004, 0.02), by_seed=(0.008, 0.012))
    result = Result("rounds", "Rounds", "tiny", (0, 1), "a command", (6,), (), (settled, lost, unclear))
    write_json(tmp_path / "tiny" / "rounds.json", result.to_json())
    text = with_results(block("verdicts"), tmp_path)
    assert "| last over first | +3.0 [+2.0, +4.0] | holds |" in text and "mcts over greedy" not in text
    assert "| search over a vote | -3.0 [-4.0, -2.0] | does not hold at this scale |" in text


def test_a_block_of_an_experiment_that_is_not_there_is_refused(shipped: Path) -> None:
    with pytest.raises(UserError, match="no results of 'ppm'; it has rounds, claims, verdicts and metrics"):
        with_results(block("ppm"), shipped)


each_page = pytest.mark.parametrize("page", PAGES)


@each_page
def test_a_page_shows_what_the_shipped_results_say(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    assert "<!-- results" in text and with_results(text, data_file("results")) == text, (
        "run python -m rstar_mini.show.readme"
    )


def test_the_lessons_show_the_run_that_the_results_show() -> None:
    """They show the metrics beside the shipped models, and the page of results those among the results."""
    assert data_file("tiny-evolved/metrics.json").read_bytes() == data_file("results/tiny/metrics.json").read_bytes()


@each_page
def test_every_mark_of_results_opens_or_ends_a_block(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    marks = re.findall(r"<!--.*?-->", text)
    blocks = re.findall(r"<!-- results \S+: \S+ -->\n.*?<!-- end -->", text, re.DOTALL)
    assert len(marks) == 2 * len(blocks)


def test_the_moving_picture_moves_and_is_small() -> None:
    path = data_file("growing-tree.gif")
    assert path.stat().st_size < 1_500_000 and f"(data/{path.name})" in (ROOT / "README.md").read_text("utf-8")
    with Image.open(path) as image:
        assert image.n_frames >= 6 and image.width >= 900


def test_results_that_are_not_there_are_one_line(shipped: Path) -> None:
    with pytest.raises(UserError, match="has no metrics"):
        with_results("<!-- results other: metrics -->\n<!-- end -->", shipped)


@pytest.mark.parametrize(
    ("page", "section", "names"),
    [
        ("README.md", "## What it finds", ("tiny",)),
        ("data/results/README.md", "## The default recipe", ("tiny", "tiny-rejection")),
        ("data/results/README.md", "## The paper's claims, measured again", ("tiny",)),
    ],
)
def test_every_figure_of_a_section_on_results_is_a_shipped_one(page: str, section: str, names: tuple[str, ...]) -> None:
    """It may only quote cells and differences that are in them."""
    text, folders = (ROOT / page).read_text("utf-8"), [data_file("results") / name for name in names]
    [body] = re.findall(rf"^{section}\n(.*?)^(?:{section.split()[0]}|##) ", text, re.DOTALL | re.MULTILINE)
    results = [result for folder in folders for result in read_results(folder)]
    shown = {
        cell_text(cell) for result in results for grid in result.grids for row in grid.rows.values() for cell in row
    }
    shown |= {claim_cells(claim)[3] for result in results for claim in result.claims}
    for row in (row for folder in folders for row in read_json(folder / "metrics.json")):
        shown |= set(re.findall(FIGURE, " ".join(result_cells(row))))
        shown |= {difference(pair) for pair in row["evaluation"]["paired"].values()}
    quoted = set(re.findall(FIGURE, body))
    assert quoted and quoted <= shown, sorted(quoted - shown)
