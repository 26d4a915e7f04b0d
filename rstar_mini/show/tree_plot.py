"""A search tree as a picture, drawn from left to right with matplotlib alone."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_hex

from rstar_mini.search.replay import node_path
from rstar_mini.show.picture import SMALL, WIDEST, Picture
from rstar_mini.show.tree_text import tree_text
from rstar_mini.show.view import best_path, count, dead_end, node_label, shorten, worth_showing
from rstar_mini.types import Node, Tree

COLOURS = ScalarMappable(Normalize(-1, 1), "RdBu")  # red to blue: told apart with any colour vision
FAILED, MARKED = "#b00020", "#e69f00"
LABEL_BOX = {"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 0.5}  # edges run under labels
MAX_NODES = 60
AREA = 30, 320  # square points of a node that was never visited, and what the most visited one has more
BESIDE = 0.9  # inches of the width that are not the tree's: margins and the colours' bar
TITLE = 115  # characters of a line of the title
CHARACTER = 0.056  # inches, of a label, on average

Path = tuple[str, ...]
Places = dict[Path, tuple[float, float]]


def draw_tree(tree: Tree, within: Tree | None = None, walked: Sequence[Node] = ()) -> Picture:
    """The tree as a figure: area is visits, colour is Q from -1 (red) to 1 (blue), the thick path the best trajectory.

    A red × beside a node counts the candidates that did not run; × alone is a dead end. At most 60 nodes are drawn: the
    best trajectory and the most visited; the title says how many there are in all.

    Args:
        tree: what is drawn.
        within: a later state of the same search, whose places and sizes are used, so that nothing moves in between.
        walked: the nodes of a rollout; an orange line leads through them.
    """
    later = within or tree
    places = layout(worth_showing(later, MAX_NODES))
    nodes = [node for node in tree.nodes() if node_path(node) in places]
    rows, columns = (round(max(place[i] for place in places.values())) + 1 for i in (1, 0))
    figure = Picture(figsize=(WIDEST, 1.8 + 0.46 * rows), layout="constrained")
    ax = figure.add_subplot()
    _draw_edges(ax, nodes, places, {id(node) for node in best_path(tree)}, {id(node) for node in walked})
    _draw_nodes(ax, nodes, places, max(1, max(node.visits for node in later.nodes())), (WIDEST - BESIDE) / columns)
    ax.set(xlim=(-0.3, columns - 0.1), ylim=(rows - 0.3, -0.7))
    ax.set_axis_off()
    ax.set_title(_title(tree, len(nodes)), loc="left", fontsize=9)
    figure.colorbar(COLOURS, ax=ax, shrink=0.6, fraction=0.03, label="Q", pad=0.01, ticks=[-1, 0, 1])
    figure.words = tree_text(tree)
    return figure


def colour(q: float) -> str:
    """The colour of a value from -1 to 1, as #rrggbb."""
    return to_hex(COLOURS.to_rgba(np.array([q]))[0])


def ink(q: float) -> str:
    """The colour of text on the colour of a value: black or white, whichever has the higher contrast (WCAG)."""
    luminance = np.dot(COLOURS.to_rgba(np.array([q]))[0][:3] ** 2.2, (0.2126, 0.7152, 0.0722))
    return "white" if luminance < 0.179 else "black"


def layout(nodes: Sequence[Node]) -> Places:
    """x is the depth; leaves take one row each in order, and a parent stands at the middle of its children."""
    paths = {id(node): node_path(node) for node in nodes}
    places: Places = {}
    row = 0
    for node in nodes:  # parents before children and siblings in order, so leaves come from top to bottom
        if not any(id(child) in paths for child in node.children):
            places[paths[id(node)]] = (node.depth, row)
            row += 1
    for node in reversed(nodes):
        if paths[id(node)] not in places:
            ys = [places[paths[id(child)]][1] for child in node.children if id(child) in paths]
            places[paths[id(node)]] = (node.depth, (ys[0] + ys[-1]) / 2)
    return places


def _draw_edges(ax: Axes, nodes: Sequence[Node], places: Places, best: set[int], walked: set[int]) -> None:
    for node in nodes:
        if node.parent is None:
            continue
        (x0, y0), (x1, y1) = places[node_path(node.parent)], places[node_path(node)]
        line = [x0, (x0 + x1) / 2, x1], [y0, y1, y1]
        colour, width = ("black", 2.5) if id(node) in best else ("0.7", 0.8)
        ax.plot(*line, color=colour, linewidth=width, zorder=1)
        if id(node) in walked:
            ax.plot(*line, color=MARKED, linewidth=7, alpha=0.6, zorder=0.5)


def _draw_nodes(ax: Axes, nodes: Sequence[Node], places: Places, most: int, column: float) -> None:
    """The circles and their labels, which must fit into a `column` of so many inches."""
    areas = [AREA[0] + AREA[1] * node.visits / most for node in nodes]
    xs, ys = zip(*(places[node_path(node)] for node in nodes), strict=True)
    colours = COLOURS.to_rgba(np.array([node.q for node in nodes]))
    ax.scatter(xs, ys, s=areas, c=colours, edgecolors="black", linewidths=0.8, zorder=2)
    for node, area in zip(nodes, areas, strict=True):
        radius = math.sqrt(area / math.pi)
        characters = max(6, int((column - 2 * radius / 72 - 0.08) / CHARACTER))
        side: dict[str, Any] = {"textcoords": "offset points", "fontsize": SMALL, "zorder": 3}
        text = plain("\n".join(node_label(node, characters)))
        ax.annotate(text, places[node_path(node)], xytext=(radius + 3, 5), bbox=LABEL_BOX, linespacing=1, **side)
        if node.dropped or dead_end(node):
            side |= {"color": FAILED, "weight": "bold", "xytext": (radius + 3, -10)}
            ax.annotate(f"×{node.dropped or ''}", places[node_path(node)], **side)


def _title(tree: Tree, drawn: int) -> str:
    total = sum(1 for _ in tree.nodes())
    pruned = f"; {drawn} of {total} nodes drawn" if drawn < total else ""
    legend = "area: visits; thick: best trajectory; ×: candidates that did not run"
    facts = textwrap.wrap(f"{count(tree.rollouts, 'rollout')}; {legend}{pruned}", TITLE)
    return plain("\n".join([shorten(tree.problem.question, TITLE), *facts]))


def plain(text: str) -> str:
    """Text that matplotlib takes as it is: a dollar sign would start a formula."""
    return text.replace("$", r"\$")
