"""What people see: trees as text and pictures, tables, figures, the report, progress, and the intervals behind them."""

from __future__ import annotations

import base64
import html
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from rich.console import Console

from rstar_mini.code_cot import output_block
from rstar_mini.errors import UserError
from rstar_mini.evaluation.statistics import bootstrap, interval, paired_bootstrap
from rstar_mini.evolution.run import Run
from rstar_mini.ppm.pairs import Pair
from rstar_mini.recipes import load_recipe
from rstar_mini.show.figures import accuracy_figure, coverage_figure
from rstar_mini.show.progress import NotebookProgress, TerminalProgress, best_progress
from rstar_mini.show.report import write_report
from rstar_mini.show.tables import difference, results_table, share
from rstar_mini.show.tree_plot import draw_tree
from rstar_mini.show.tree_text import tree_text
from rstar_mini.types import Execution, Node, Problem, Status, Step, Tree

PROBLEM = Problem("p1", "Pens cost $3 and cups $4. What do 2 of each cost?", "14", level=2)


def grown(
    parent: Node, step: Step, visits: int, q: float, prior: float | None = None, correct: bool | None = None
) -> Node:
    child = Node(step, parent, visits=visits, value=q * visits, prior=prior, correct=correct, expanded=True)
    parent.children.append(child)
    return child


def small_tree() -> Tree:
    """A right branch, a wrong branch and a dead end."""
    tree = Tree(PROBLEM, tokens=90, rollouts=8)
    tree.root.visits, tree.root.value, tree.root.expanded, tree.root.dropped = 8, 2.0, True, 3
    good = grown(tree.root, Step("<code>\n# Pens\npens = 2 * 3\n<end_of_step>"), 5, 0.6, 0.25)
    last = Step("\nprint(pens + 8)\n<end_of_code>", output_block("14"), execution=Execution(Status.OK, "14\n"))
    ended = grown(good, last, 4, 0.75)
    grown(ended, Step("<answer>\\boxed{14}<end_of_answer>", answer="14"), 4, 1.0, correct=True)
    wrong = Step("<code>\npens = 2 + 3\nprint(pens)\n<end_of_code>", execution=Execution(Status.OK, "5"))
    bad = grown(tree.root, wrong, 2, -1.0)
    grown(bad, Step("<answer>\\boxed{5}<end_of_answer>", answer="5"), 2, -1.0, correct=False)
    stuck = grown(tree.root, Step("<code>\n# Nothing yet\n<end_of_step>"), 1, -1.0)
    stuck.dropped = 5
    return tree


def wide_tree(children: int) -> Tree:
    """A right answer of few visits among many visited wrong ones."""
    tree = Tree(PROBLEM, rollouts=children)
    tree.root.visits = children
    for i in range(children):
        end = Step(f"<answer>\\boxed{{{i}}}<end_of_answer>", answer=str(i))
        grown(tree.root, end, 1 if i == 14 else 2 + i, 1.0 if i == 14 else -1.0, correct=i == 14)
    return tree


def round_metrics(number: int) -> dict[str, Any]:
    systems: dict[str, Any] = {
        "greedy": {"correct": 90 + 20 * number, "n": 200, "unseen": {"correct": 20, "n": 70}, "tokens": 55.2},
        "vote": {"correct": 100 + 20 * number, "n": 200, "unseen": {"correct": 0, "n": 0}, "samples": 14},
    }
    paired = {"vote - greedy": [0.05, 0.01, 0.09]}
    evaluation = {"n": 200, "seed": 7, "systems": systems, "paired": paired}
    if number == 0:
        return {"round": 0, "seed": 7, "evaluation": evaluation}
    systems["mcts"] = {"correct": 110 + 20 * number, "n": 200, "tokens": 690.5}
    paired["mcts - vote"] = [0.05, -0.012, 0.09]
    return {
        "round": number,
        "seed": 7,
        "coverage": {
            name: {"correct": k, "n": n} for name, k, n in (("all", 310, 500), ("1", 200, 250), ("2", 110, 250))
        },
        "trajectories": 620,
        "pairs": 1800,
        "ppm_accuracy": {"correct": 150, "n": 200},
        "tokens": {"sampled": 123456},
        "programs": {"requested": 900, "run": 500},
        "evaluation": evaluation,
    }


class FakeRun(Run):
    """A run without files."""

    def __init__(self, path: Path, finished: int) -> None:
        super().__init__(path, load_recipe("tiny"))
        self.finished = finished

    def metrics(self) -> list[dict[str, Any]]:
        return [round_metrics(number) for number in range(self.finished)]

    def shards(self, number: int) -> Iterator[list[Tree]]:
        yield [wide_tree(3), small_tree()]

    def pairs(self, number: int) -> list[Pair]:
        return [
            Pair(
                Problem(f"p{i // 2}", f"Is {i // 2} < 5?", "1"),
                "<code>\ny = 1\n<end_of_step>",
                "\nx = 1\n<end_of_step>",
                "\n<script>alert(1)</script>\n<end_of_step>",
                1.0,
                0.5,
                -0.5,
            )
            for i in range(50)
        ]

    def unsolved(self, number: int) -> list[Problem]:
        return [Problem(f"u{i}", "A <b>bold</b> question?", "3") for i in range(60)]


# --- intervals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(15, 20, 0.5313, 0.8881), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962), (0, 0, 0, 1)],
)
def test_interval_has_wilsons_known_values(k: int, n: int, low: float, high: float) -> None:
    assert interval(k, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("k", "n"), [(3, 2), (-1, 5)])
def test_interval_refuses_impossible_counts(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="impossible"):
        interval(k, n)


def test_bootstrap_agrees_with_the_normal_approximation() -> None:
    a = [True] * 700 + [False] * 300
    b = [False] * 100 + [True] * 500 + [False] * 400  # 200 better, 0 worse
    mean, low, high = paired_bootstrap(a, b, seed=0)
    spread = 1.96 * (0.2 * 0.8 / 1000) ** 0.5
    assert mean == pytest.approx(0.2)
    assert (low, high) == pytest.approx((0.2 - spread, 0.2 + spread), abs=0.003)


def test_bootstrap_is_paired_seeded_and_signed() -> None:
    a, b = [True, False] * 50, [False, True] * 50
    assert paired_bootstrap(a, b, seed=1) == paired_bootstrap(a, b, seed=1)
    mean, low, high = paired_bootstrap(a, b, seed=1)
    assert mean == 0.0 and low < 0 < high
    mean, low, high = paired_bootstrap([True] * 9, [False] * 9, seed=0)
    assert mean == 1.0 and 0 < low < high <= 1


@pytest.mark.parametrize("n", [20, 200, 2000])
def test_a_difference_is_settled_by_as_few_problems_as_the_sign_test_allows(n: int) -> None:
    """Six to none has a chance of 0.03 under no difference, five to none 0.06."""

    def low(wins: int, losses: int = 0) -> float:
        won = [1] * wins + [-1] * losses + [0] * (n - wins - losses)
        return paired_bootstrap(won, [0] * n, seed=0)[1]

    assert low(5) <= 0 < low(6)
    assert low(8, 2) <= 0 < low(10, 2)  # 0.11 and 0.04


def test_no_difference_on_few_problems_leaves_room_for_one() -> None:
    same = [1, 0] * 10
    mean, low, high = paired_bootstrap(same, same, seed=0)
    assert mean == 0 and low == -high < 0


def test_bootstrap_of_a_mean_agrees_with_the_normal_approximation() -> None:
    values = [0, 5, 10] * 300
    spread = 1.96 * (50 / 3 / 900) ** 0.5
    assert bootstrap(values, seed=0) == pytest.approx((5, 5 - spread, 5 + spread), abs=0.03)
    with pytest.raises(ValueError, match="at least one"):
        bootstrap([], seed=0)


@pytest.mark.parametrize(("a", "b"), [([True], [True, False]), ([], [])])
def test_bootstrap_refuses_lists_that_do_not_pair(a: list[bool], b: list[bool]) -> None:
    with pytest.raises(ValueError, match="paired"):
        paired_bootstrap(a, b, seed=0)


# --- trees ---------------------------------------------------------------------------------------------------------


def test_tree_text_is_this_drawing() -> None:
    assert tree_text(small_tree()).splitlines() == [
        "Pens cost $3 and cups $4. What do 2 of each cost?",
        "answer 14, 8 rollouts, 90 tokens",
        "* N=8 Q=+0.25  question  (3 dropped)",
        "* ├─ N=5 Q=+0.60  PPM=+0.25  pens = 2 * 3",
        "* │  └─ N=4 Q=+0.75  print(pens + 8) → 14",
        "* │     └─ N=4 Q=+1.00  ✓ answer 14",
        "  ├─ N=2 Q=-1.00  pens = 2 + 3 → 5",
        "  │  └─ N=2 Q=-1.00  ✗ answer 5",
        "  └─ N=1 Q=-1.00  # Nothing yet  (5 dropped)  (dead end)",
    ]


def test_large_trees_keep_the_best_path_and_count_what_is_left_out() -> None:
    text = tree_text(wide_tree(100), max_nodes=10)
    assert "✓ answer 14" in text
    assert "✗ answer 99" in text and "answer 1\n" not in text
    assert text.endswith("(91 nodes of few visits are not shown)")
    assert len(text.splitlines()) == 2 + 10 + 1


def test_without_ground_truth_the_ppms_choice_is_the_best_path() -> None:
    tree = Tree(PROBLEM)
    for answer, prior in (("1", -0.5), ("2", 0.5), ("3", 0.1)):
        grown(tree.root, Step(f"<answer>\\boxed{{{answer}}}<end_of_answer>", answer=answer), 5, 0.0, prior)
    [line] = [line for line in tree_text(tree).splitlines() if line.startswith("* ") and "answer" in line]
    assert "? answer 2" in line


def test_an_empty_tree_and_escape_codes_do_no_harm() -> None:
    tree = Tree(Problem("p", "What\x1b[31m?", "1"))
    assert "\x1b" not in tree_text(tree)
    assert "N=0" in tree_text(tree)
    assert draw_tree(tree).axes


def labels(figure: Figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_the_picture_shows_answers_failures_and_the_thick_path() -> None:
    figure = draw_tree(small_tree())
    texts = labels(figure)
    assert "✓ answer 14" in texts and "✗ answer 5" in texts
    assert "×3" in texts and "×5" in texts
    assert sorted(line.get_linewidth() for line in figure.axes[0].lines) == [0.8, 0.8, 0.8, 2.5, 2.5, 2.5]
    areas = figure.axes[0].collections[0].get_sizes()  # type: ignore[attr-defined]
    assert areas[0] == max(areas)
    figure.savefig(io.BytesIO())  # dollar signs must not start a formula


def test_the_picture_is_pruned_and_says_so() -> None:
    figure = draw_tree(wide_tree(200))
    assert "60 of 201 nodes drawn" in figure.axes[0].get_title(loc="left")
    assert "✓ answer 14" in labels(figure)


def test_a_picture_says_in_words_what_it_shows() -> None:
    data, metadata = small_tree().draw()._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"] == metadata["image/png"]["alt"] == str(small_tree())
    assert f'alt="{html.escape(str(small_tree()))}"' in data["text/html"]  # JupyterLab looks there alone
    words = accuracy_figure([round_metrics(number) for number in range(3)]).words
    assert "greedy: round 0: 45.0 [38.3, 51.9]; round 1: 55.0" in words


def test_an_earlier_state_keeps_the_places_of_the_later_one() -> None:
    earlier, later = small_tree(), small_tree()
    earlier.root.children = earlier.root.children[:2]
    places = draw_tree(earlier, within=later).axes[0].collections[0].get_offsets().tolist()  # type: ignore[union-attr]
    assert [place in draw_tree(later).axes[0].collections[0].get_offsets().tolist() for place in places] == [True] * 6  # type: ignore[union-attr]


def test_nodes_of_a_picture_never_share_a_place() -> None:
    places = draw_tree(small_tree()).axes[0].collections[0].get_offsets().tolist()  # type: ignore[union-attr]
    assert len({tuple(place) for place in places}) == 7


# --- tables, figures, report ---------------------------------------------------------------------------------------


def rendered(metrics: list[dict[str, Any]], width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(results_table(metrics))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_table_fits_a_terminal_and_shows_every_figure() -> None:
    text = rendered([round_metrics(number) for number in range(5)])
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "n = 200 held-out problems, seed 7" in text
    for expected in ("45.0", "38.3, 51.9", "62.0", "75.0", "+5.0", "-1.2, +9.0"):
        assert expected in text


def test_missing_figures_are_dashes() -> None:
    assert rendered([{"round": 0}]).split("\n")[3].split() == ["0"] + ["-"] * 6
    assert share({"correct": 0, "n": 0}) == "-"
    assert difference(None) == "-"


def test_figures_have_a_line_with_error_bars_for_each_series() -> None:
    metrics = [round_metrics(number) for number in range(3)]
    accuracy, coverage = accuracy_figure(metrics), coverage_figure(metrics)
    assert accuracy.axes[0].get_legend_handles_labels()[1] == ["greedy", "vote", "mcts"]
    assert coverage.axes[0].get_legend_handles_labels()[1] == ["all", "level 1", "level 2"]
    mcts = accuracy.axes[0].containers[2]
    assert list(mcts[0].get_ydata()) == [65.0, 75.0]
    [bars] = mcts[2]
    assert [tuple(segment[:, 1]) for segment in bars.get_segments()] == [
        pytest.approx(tuple(100 * end for end in interval(k, 200))) for k in (130, 150)
    ]


def test_figures_of_nothing_are_empty_axes() -> None:
    assert not accuracy_figure([]).axes[0].lines
    assert not coverage_figure([round_metrics(0)]).axes[0].lines


def test_the_report_is_one_page_without_scripts_and_the_same_again(tmp_path: Path) -> None:
    path = write_report(FakeRun(tmp_path, 3))
    first = path.read_bytes()
    assert path == tmp_path / "report.html"
    assert write_report(FakeRun(tmp_path, 3)).read_bytes() == first
    page = first.decode()
    assert "<script" not in page and "&lt;script&gt;alert(1)" in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page) and "http" not in page.replace("data:image", "")
    assert page.count("<img") == 2 + 2  # two figures and a tree for each of two rounds
    assert "A &lt;b&gt;bold&lt;/b&gt; question?" in page
    assert page.count("Is ") == 10 and "10 of the 50 pairs of round 2" in page
    assert "60 after round 2; the first 50 are shown" in page
    assert f"rstar-mini evolve {tmp_path.name}/recipe.yaml --run again --rounds 2" in page
    assert "123,456" in page and "1,800" in page and "62.0 [57.7, 66.1]" in page
    assert str(tmp_path) not in page


def test_the_report_draws_a_tree_with_right_and_wrong_answers(tmp_path: Path) -> None:
    class Choice(FakeRun):
        def shards(self, number: int) -> Iterator[list[Tree]]:
            yield [Tree(Problem("empty", "?", "1")), small_tree(), Tree(Problem("other", "?", "1"))]

    assert 'alt="search tree of p1 in round 1"' in write_report(Choice(tmp_path, 2)).read_text()


@pytest.mark.parametrize("finished", [1, 2])
def test_the_report_works_with_the_rounds_that_are_there(tmp_path: Path, finished: int) -> None:
    page = write_report(FakeRun(tmp_path, finished)).read_text()
    assert ("Preference pairs" in page) is (finished > 1)


def test_a_report_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished round"):
        write_report(FakeRun(tmp_path, 0))
    assert not (tmp_path / "report.html").exists()


# --- progress ------------------------------------------------------------------------------------------------------


def use(progress: TerminalProgress | NotebookProgress) -> None:
    with progress:
        progress.stage("round 1: search", 3)
        progress.advance()
        progress.solved(small_tree())
        progress.solved(wide_tree(3))
        progress.advance(2)
        progress.stage("round 1: policy", 10)
        progress.say("loss [bold] 0.5")


def test_progress_without_a_terminal_is_plain_lines() -> None:
    console = Console(file=io.StringIO(), width=40)
    use(TerminalProgress(console))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "round 1: search (3)"
    assert lines[1] == "first solved tree after 0 s:"
    assert lines[-2:] == ["round 1: policy (10)", "loss [bold] 0.5"]
    assert sum("first solved" in line for line in lines) == 1
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", "".join(lines))


def test_progress_in_a_terminal_shows_done_total_and_time() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    use(TerminalProgress(console))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())  # type: ignore[attr-defined]
    assert "round 1: policy" in text and "0/10" in text and "left" in text
    assert "first solved tree after 0 s" in text and "✓ answer 14" in text


def test_progress_in_a_notebook_moves_its_widgets(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ipywidgets")
    progress = NotebookProgress()
    bar, text = progress.widget.children
    progress.stage("round <1>", 4)
    assert "round &lt;1&gt; 0/4" in text.value
    progress.advance(2)
    assert (bar.value, bar.max) == (2, 4)
    assert "2/4" in text.value and "left" in text.value
    progress.solved(small_tree())
    progress.solved(small_tree())
    assert capsys.readouterr().out.count("first solved tree") == 1


def test_outside_a_notebook_the_terminal_is_chosen() -> None:
    assert isinstance(best_progress(), TerminalProgress)


def test_looking_at_trees_as_text_needs_nothing_heavy() -> None:
    heavy = {"torch", "matplotlib", "transformers", "numpy", "ipywidgets"}
    code = f"import sys, rstar_mini.show.tree_text, rstar_mini.show.progress; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
