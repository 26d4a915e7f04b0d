"""The loop of self-evolution as a diagram (section 3.4)."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from rstar_mini.show.picture import WIDEST, Picture

# Every word stands in a box of its own colour, and nothing lies behind the boxes: legible on any page, light or dark.
DATA, MODEL, SEARCH, INK, ARROW = "#dbe9f6", "#fde3b0", "#cdebdd", "#1a1a1a", "#8a8a8a"
BOX = (1.72, 0.62)  # width and height
BOXES = {
    "problems": ((1.0, 2.0), "problems with\nfinal answers", DATA),
    "search": ((3.2, 2.0), "search: MCTS\n+ Python", SEARCH),
    "trees": ((5.2, 2.0), "trees\nwith Q-values", DATA),
    "trajectories": ((7.2, 2.8), "right trajectories\nof highest Q", DATA),
    "pairs": ((7.2, 1.2), "preference pairs\nof steps", DATA),
    "policy": ((9.4, 2.8), "policy: the base,\nfine-tuned (SFT)", MODEL),
    "ppm": ((9.4, 1.2), "PPM: the policy\nwith a score head", MODEL),
}
ARROWS = [
    ("problems", "search"),
    ("search", "trees"),
    ("trees", "trajectories"),
    ("trees", "pairs"),
    ("trajectories", "policy"),
    ("pairs", "ppm"),
    ("policy", "ppm"),
]
WORDS = (
    "The loop of self-evolution. The policy and the PPM of the round before search a tree for every training problem; "
    "Python runs every step, and the final answers give the Q-values. The right trajectories of highest Q fine-tune "
    "the base model: this is the new policy. Pairs of steps of high and low Q train the new PPM, which starts from the "
    "new policy. Both guide the search of the next round; the PPM guides it from round 3 on."
)


def loop_figure() -> Picture:
    """One round: the policy and the PPM search, and what they find trains the next policy and the next PPM."""
    figure = Picture(figsize=(WIDEST, 3.1), layout="constrained", facecolor="none")
    ax = figure.add_subplot(facecolor="none")
    ax.set(xlim=(0, 10.4), ylim=(0.05, 4.0), aspect="equal")
    ax.set_axis_off()
    for start, end in ARROWS:
        _arrow(ax, BOXES[start][0], BOXES[end][0])
    for (x, y), text, colour in BOXES.values():
        _box(ax, x, y, text, colour)
    _way_back(ax, 2.8 + BOX[1] / 2, 3.75, 3.0, "next round: new policy")
    _way_back(ax, 1.2 - BOX[1] / 2, 0.25, 3.4, "next round: new PPM (from round 3 on)")
    figure.words = WORDS
    return figure


def _box(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    width, height = BOX
    style = {"boxstyle": "round,pad=0.02", "facecolor": colour, "edgecolor": ARROW, "zorder": 2}
    ax.add_patch(FancyBboxPatch((x - width / 2, y - height / 2), width, height, **style))  # type: ignore[arg-type]
    ax.text(x, y, text, ha="center", va="center", fontsize=8, color=INK, zorder=3)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """From the edge of one box to that of the other."""
    (x0, y0), (x1, y1) = start, end
    down = x0 == x1
    tail = (x0, y0 - BOX[1] / 2) if down else (x0 + BOX[0] / 2, y0)
    head = (x1, y1 + BOX[1] / 2 + 0.04) if down else (x1 - BOX[0] / 2 - 0.04, y1)
    ax.annotate("", head, tail, arrowprops={"arrowstyle": "-|>", "color": ARROW, "linewidth": 1.6})


def _way_back(ax: Axes, y: float, level: float, x: float, text: str) -> None:
    """From a model at the right, along `level`, to the search."""
    edge = 2.0 + (BOX[1] / 2 if level > 2 else -BOX[1] / 2)
    ax.plot([9.4, 9.4, x, x], [y, level, level, (level + edge) / 2], color=ARROW, linewidth=1.6, zorder=1)
    ax.annotate("", (x, edge), (x, level), arrowprops={"arrowstyle": "-|>", "color": ARROW, "linewidth": 1.6})
    label = {"boxstyle": "round,pad=0.3", "facecolor": MODEL, "edgecolor": "none"}
    ax.text(6.2, level, text, ha="center", va="center", fontsize=8, color=INK, bbox=label, zorder=3)
