"""A search tree as a picture, drawn from left to right with matplotlib alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from rstar_mini.show.view import best_path, dead_end, label, mark, shorten, worth_showing
from rstar_mini.types import Node, Tree

COLOURS = ScalarMappable(Normalize(-1, 1), "RdBu")  # red to blue: told apart with any colour vision
FAILED = "#b00020"
LABEL_BOX = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.5}  # edges run under labels
MAX_NODES = 60

Places = dict[int, tuple[float, float]]


def draw_tree(tree: Tree, ax: Axes | None = None) -> Figure:
    """The tree as a figure: area is visits, colour is Q from -1 (red) to 1 (blue), the thick path the best trajectory.

    A red × beside a node counts the candidates that did not run; × alone is a dead end. At most 60 nodes are drawn: the
    best trajectory and the most visited; the title says how many there are in all.
    """
    nodes = worth_showing(tree, MAX_NODES)
    places = _layout(nodes)
    rows, columns = (round(max(place[i] for place in places.values())) + 1 for i in (1, 0))
    if ax is None:
        ax = Figure(figsize=(3 + 2.3 * columns, 1.8 + 0.4 * rows), layout="constrained").add_subplot()
    figure = cast(Figure, ax.get_figure(root=True))
    best = best_path(tree)
    _draw_edges(ax, nodes, places, best)
    _draw_nodes(ax, nodes, places)
    ax.set(xlim=(-0.3, columns - 0.1), ylim=(rows - 0.3, -0.7))
    ax.set_axis_off()
    ax.set_title(_title(tree, len(nodes)), loc="left", fontsize=9)
    figure.colorbar(COLOURS, ax=ax, shrink=0.6, label="Q", pad=0.01)
    return figure


def _layout(nodes: Sequence[Node]) -> Places:
    """x is the depth; leaves take one row each in order, and a parent stands at the middle of its children."""
    shown = {id(node) for node in nodes}
    places: Places = {}
    row = 0
    for node in nodes:  # parents before children and siblings in order, so leaves come from top to bottom
        if not any(id(child) in shown for child in node.children):
            places[id(node)] = (node.depth, row)
            row += 1
    for node in reversed(nodes):
        if id(node) not in places:
            ys = [places[id(child)][1] for child in node.children if id(child) in shown]
            places[id(node)] = (node.depth, (ys[0] + ys[-1]) / 2)
    return places


def _draw_edges(ax: Axes, nodes: Sequence[Node], places: Places, best: Sequence[Node]) -> None:
    thick = {id(node) for node in best}
    for node in nodes:
        if node.parent is None:
            continue
        (x0, y0), (x1, y1) = places[id(node.parent)], places[id(node)]
        colour, width = ("black", 2.5) if id(node) in thick else ("0.7", 0.8)
        ax.plot([x0, (x0 + x1) / 2, x1], [y0, y1, y1], color=colour, linewidth=width, zorder=1)


def _draw_nodes(ax: Axes, nodes: Sequence[Node], places: Places) -> None:
    most = max(1, max(node.visits for node in nodes))
    areas = [30 + 320 * node.visits / most for node in nodes]
    xs, ys = zip(*(places[id(node)] for node in nodes), strict=True)
    colours = COLOURS.to_rgba(np.array([node.q for node in nodes]))
    ax.scatter(xs, ys, s=areas, c=colours, edgecolors="black", linewidths=0.8, zorder=2)
    for node, area in zip(nodes, areas, strict=True):
        radius = math.sqrt(area / math.pi)
        text = f"{mark(node)} {label(node, 26)}".strip() if node.parent else "question"
        side: dict[str, Any] = {"xytext": (radius + 3, 3), "textcoords": "offset points", "fontsize": 7, "zorder": 3}
        ax.annotate(_plain(text), places[id(node)], bbox=LABEL_BOX, **side)
        if node.dropped or dead_end(node):
            side["xytext"] = (radius + 3, -8)
            ax.annotate(f"×{node.dropped or ''}", places[id(node)], color=FAILED, weight="bold", **side)


def _title(tree: Tree, drawn: int) -> str:
    total = sum(1 for _ in tree.nodes())
    pruned = f"; {drawn} of {total} nodes drawn, the most visited" if drawn < total else ""
    question = shorten(tree.problem.question, 90)
    legend = "area: visits; thick: best trajectory; ×: candidates that did not run"
    return _plain(f"{question}\n{tree.rollouts} rollouts; {legend}{pruned}")


def _plain(text: str) -> str:
    """Text that matplotlib takes as it is: a dollar sign would start a formula."""
    return text.replace("$", r"\$")
