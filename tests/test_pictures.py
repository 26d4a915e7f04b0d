"""Pictures can be read: labels of 11 pixels or more on a laptop, words for those who cannot see, any theme."""

import ast
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from rstar_mini.code_cot import split_steps
from rstar_mini.errors import UserError
from rstar_mini.evaluation.statistics import interval
from rstar_mini.experiments.page import claims_figure, grid_figure
from rstar_mini.experiments.results import read_results
from rstar_mini.files import read_json
from rstar_mini.paths import data_file
from rstar_mini.ppm.pairs import Pair
from rstar_mini.show.figures import accuracy_figure, coverage_figure, rounds_figure, score_strip
from rstar_mini.show.loop import BOXES, loop_figure
from rstar_mini.show.loss import loss_figure, moving_mean
from rstar_mini.show.mosaic import mosaic_figure
from rstar_mini.show.pairs import compare_pairs, pair_scores
from rstar_mini.show.picture import DPI, Picture
from rstar_mini.show.systems import systems_figure
from rstar_mini.show.tree_plot import colour, draw_tree, ink
from rstar_mini.show.tree_svg import Drawing
from rstar_mini.types import Node, Problem, Step, Trajectory, Tree

ROOT = Path(__file__).parent.parent
LAPTOP = 900  # pixels that JupyterLab has for an output on a screen of 1366 pixels; tests/test_browser.py measures it
LEGIBLE = 11  # pixels
METRICS = read_json(data_file("results/tiny/metrics.json"))
SMALL_TREES = read_json(data_file("results/smol-trees/metrics.json"))[-1]["evaluation"]
RESULTS = read_results(data_file("results/tiny"))
PROBLEM = Problem("cups", "What do 2 cups at $4 and 5 pens at $3 cost? <b>", "23")


def chain(depth: int, width: int) -> Tree:
    """A root with `width` long branches."""
    tree = Tree(PROBLEM, rollouts=9)
    for branch in range(width):
        node = tree.root
        for k in range(depth):
            step = Step(f"<code>\nquantity_{k} = previous_{branch} * {k} + another_name\n<end_of_step>")
            node.children.append(Node(step, node, visits=depth - k, value=0.5))
            node = node.children[-1]
    return tree


def strip(steps: int) -> Picture:
    each = Step("<code>\nthe_whole_quantity = first_part + second_part * 3\n<end_of_step>")
    return score_strip([Trajectory(PROBLEM, (each,) * steps, (0.0,) * steps, True)] * 2, [[0.9] * steps] * 2)


CURVE = [{"step": k, "loss": 1 / k} for k in range(1, 200)]
COUNTS = {"base": {"correct": 40, "n": 100}, "fine-tuned": {"correct": 60, "n": 100}}
PICTURES = {
    "draw_tree": [partial(lambda *shape: draw_tree(chain(*shape)), *shape) for shape in ((2, 3), (6, 5), (15, 2))],
    "score_strip": [lambda: strip(2), lambda: strip(8)],
    "accuracy_figure": [lambda: accuracy_figure(METRICS)],
    "coverage_figure": [lambda: coverage_figure(METRICS)],
    "rounds_figure": [lambda: rounds_figure(METRICS)],
    "loss_figure": [lambda: loss_figure(CURVE, COUNTS, {"no opinion": 0.69})],
    "mosaic_figure": [lambda: mosaic_figure([[True, False] * 240] * 4)],
    "loop_figure": [loop_figure],
    "systems_figure": [lambda: systems_figure(SMALL_TREES)],
    "grid_figure": [lambda: grid_figure(RESULTS[0].grids[0])],
    "claims_figure": [lambda: claims_figure([claim for result in RESULTS for claim in result.claims])],
}


def drawing_functions() -> set[str]:
    """Every public function of the package that gives a picture."""
    texts = [file.read_text("utf-8") for file in (ROOT / "rstar_mini").rglob("*.py")]
    trees = [ast.parse(text) for text in texts if "-> Picture" in text]
    functions = [node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
    pictures = [f for f in functions if f.returns is not None and ast.unparse(f.returns) == "Picture"]
    return {f.name for f in pictures if not f.name.startswith("_")}


def test_every_public_drawing_function_is_measured_here() -> None:
    assert drawing_functions() == set(PICTURES)


@pytest.mark.parametrize("draw", [pytest.param(f, id=name) for name, each in PICTURES.items() for f in each])
def test_every_label_can_be_read_on_a_laptop_and_the_picture_in_words(draw) -> None:
    picture = draw()
    shrunk = min(1, LAPTOP / (picture.get_figwidth() * DPI))
    sizes = {text.get_text(): text.get_fontsize() * DPI / 72 * shrunk for text in picture.findobj(Text)}
    assert {text: size for text, size in sizes.items() if text.strip() and size < LEGIBLE} == {}
    assert len(picture.words) > 40 and picture.get_dpi() == DPI


@pytest.mark.parametrize("shape", [(2, 3), (6, 5), (15, 2)])
def test_labels_of_a_drawn_tree_stay_within_their_column(shape) -> None:
    picture = draw_tree(chain(*shape))
    ax, pixels = picture.axes[0], FigureCanvasAgg(picture).get_renderer()
    picture.draw_without_rendering()
    column = ax.transData.transform((1, 0))[0] - ax.transData.transform((0, 0))[0]
    widths = [text.get_window_extent(pixels).width for text in ax.texts if text.get_text() != "question"]
    assert widths and max(widths) < column


def test_a_figure_without_words_is_not_shown() -> None:
    picture = Picture()
    for show in (picture.bundle, picture.html, picture._repr_mimebundle_):
        with pytest.raises(UserError, match="no text alternative: set its `words`"):
            show()


def test_the_svg_of_a_tree_is_drawn_at_its_size_and_follows_the_page() -> None:
    tree = chain(6, 5)
    svg = Drawing(tree, 60).svg(tree, "rollout 9 of 9")
    assert min(int(size) for size in re.findall(r'font-size="(\d+)"', svg)) >= LEGIBLE and "max-width" not in svg
    width, box = re.search(r'width="(\d+)".*?viewBox="0 0 (\d+)', svg).groups()
    assert width == box and int(width) <= LAPTOP
    inks = set(re.findall(r'(?:fill|stroke)="([^"]+)"', svg)) - {colour(0.0), colour(0.5)}
    assert not [one for one in inks if one in ("#000", "#fff", "black", "white")] and "currentColor" in inks


def test_a_deep_tree_is_wider_than_a_page_and_never_small() -> None:
    tree = chain(15, 2)
    drawing = Drawing(tree, 60)
    assert drawing.width > LAPTOP and drawing.column >= 110


def test_ink_is_legible_on_every_score() -> None:
    def luminance(name: str) -> float:
        channels = [int(name[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    for q in np.linspace(-1, 1, 81):
        light, dark = sorted((luminance(colour(q)), {"white": 1.0, "black": 0.0}[ink(q)]), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, q  # WCAG's contrast for text


# --- loss, mosaic, loop --------------------------------------------------------------------------------------------


def test_the_loss_is_smoothed_and_its_raw_values_stay_visible() -> None:
    rng = np.random.default_rng(0)
    raw = [1 - k / 200 + rng.normal(0, 0.2) for k in range(100)]
    figure = loss_figure([{"step": k, "loss": loss} for k, loss in enumerate(raw)], COUNTS)
    faint, smooth = figure.axes[0].lines[:2]
    assert list(faint.get_ydata()) == raw and faint.get_alpha() < 1
    assert np.abs(np.diff(smooth.get_ydata())).mean() < np.abs(np.diff(raw)).mean() / 5
    assert moving_mean([3.0] * 7) == [3.0] * 7 and moving_mean([1.0, 2.0]) == [1.0, 2.0]
    assert np.allclose(moving_mean(list(range(50)))[5:-5], range(5, 45))  # it does not lag behind


def test_held_out_accuracy_stands_beside_the_loss_with_its_interval() -> None:
    ax = loss_figure(CURVE, COUNTS).axes[1]
    bars = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2]
    assert [tuple(bar) for bar in bars] == [pytest.approx([100 * e for e in interval(k, 100)]) for k in (40, 60)]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(COUNTS)
    assert "held-out, fine-tuned: 60.0 [50.2, 69.1] %" in loss_figure(CURVE, COUNTS).words


def test_small_trees_are_compared_with_the_vote_by_accuracy_and_problem_by_problem() -> None:
    figure = systems_figure(SMALL_TREES)
    accuracy, gaps = figure.axes
    assert [text.get_text().split("\n")[0] for text in accuracy.get_yticklabels()] == list(SMALL_TREES["systems"])
    bars = [line.get_xdata() for line in gaps.lines if len(line.get_xdata()) == 2 and line.get_linestyle() == "-"]
    ends = [[100 * end for end in each[1:]] for each in SMALL_TREES["paired"].values()]
    assert [list(bar) for bar in bars] == [pytest.approx(end) for end in ends]
    assert figure.words.startswith("n = 250 held-out problems, seed 0, 95 % intervals\n")
    assert "mcts: 33.2 [" in figure.words and "mcts - vote: +3.6 [+0.4, +6.7] points" in figure.words


def test_the_mosaic_turns_blue_where_a_round_solved_a_problem() -> None:
    solved = [[True, False, False, False, False], [True, True, False, True, False], [True] * 5]
    figure = mosaic_figure(solved)
    for ax, row in zip(figure.axes, solved, strict=True):
        cells = np.asarray(ax.collections[0].get_array()).ravel()
        assert [int(cell) for cell in cells[:5]] == [2 if right else 1 for right in row] and set(cells[5:]) == {0}
    assert "round 2: 60.0" in figure.words


def test_the_loop_says_every_part_in_words_and_draws_nothing_behind_them() -> None:
    figure = loop_figure()
    ax = figure.axes[0]
    assert figure.get_facecolor()[3] == ax.get_facecolor()[3] == 0  # the page shows through, light or dark
    boxed = [text for text in ax.texts if text.get_text()]
    assert len(boxed) == len(BOXES) + 2 and len(ax.patches) == len(BOXES)
    for part in ("search", "trajectories", "Pairs", "policy", "PPM", "next round"):
        assert part in figure.words


# --- pairs ---------------------------------------------------------------------------------------------------------

PREFIX = "<code>\n# Cups\ncups = 2 * 4\n<end_of_step>"
STEPWISE = Pair(PROBLEM, PREFIX, "\nprint(cups + 15)\n<end_of_code>", "\nprint('<i>')\n<end_of_code>", 1.0, 0.5, -1.0)
WHOLE = Pair(PROBLEM, "", f"{PREFIX}\nx = 1\n<end_of_code>", f"{PREFIX}\nx = 2\n<end_of_code>", 1.0, 1.0, -1.0, True)


class ByLength:
    """A PPM whose score is a hundredth of what it has read before the step; it wants the steps as a search asks."""

    def score(self, siblings):
        return [[sum(len(s.full_text) for s in prefix) / 100] for _, prefix, [_] in siblings]


def test_every_step_of_both_sides_is_scored_after_the_steps_before_it() -> None:
    scores = pair_scores([STEPWISE, WHOLE], ByLength())
    after = len(PREFIX) / 100
    assert scores == [([0, after], [0, after]), ([0, after], [0, after])]
    assert len(split_steps(WHOLE.chosen)) == 2


def test_a_pair_stands_side_by_side_with_a_colour_under_every_step() -> None:
    view = compare_pairs([STEPWISE], [([0.25, 0.75], [0.25, -0.75])])
    page = view._repr_mimebundle_()["text/html"]
    for score in (0.25, 0.75, -0.75):
        assert f"background:{colour(score)};color:{ink(score)}" in page and f"PPM {score:+.2f}" in page
    assert page.count("PPM +0.25") == 1 and page.count("cups = 2 * 4") == 1  # what both share stands once
    assert "&lt;i&gt;" in page and "<i>" not in page and "Q = +0.50" in page and "Q = -1.00" in page
    ours = re.sub(r"background:#[0-9a-f]{6};color:(?:white|black)", "", page)
    assert not re.search(r"[;\"](?:color|background):(?!#8882)", ours)  # everything else follows the page
    assert view.words.splitlines()[1:] == [
        "both begin: cups = 2 * 4 (PPM +0.25)",
        "chosen, Q = +0.50: print(cups + 15) (PPM +0.75)",
        "rejected, Q = -1.00: print('<i>') (PPM -0.75)",
    ]


def test_pairs_without_scores_and_whole_trajectories_show_too() -> None:
    view = compare_pairs([STEPWISE, WHOLE])
    assert "PPM" not in view.html and view.html.count("<hr>") == 1 and view.html.count("x = 1") == 1
    with pytest.raises(ValueError, match="zip"):
        compare_pairs([WHOLE], [([0.5], [0.5])])  # a score is missing
