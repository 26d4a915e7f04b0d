"""A search tree as SVG, one frame a rollout, for pages and widgets: drawn in no time, and on a light or a dark page."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from rstar_mini.search.replay import node_path
from rstar_mini.show.tree_plot import MARKED, colour, layout
from rstar_mini.show.view import best_path, dead_end, node_label, worth_showing
from rstar_mini.types import Node, Tree

ROW, TOP, LEFT, RIGHT, BOTTOM = 46, 82, 26, 20, 28  # pixels
COLUMNS = 110, 200  # pixels of a column, at least and at most
WIDTH = 880  # pixels of the picture, where the columns are not too many
FONT, CHARACTER = 12, 6.6  # pixels
LEGEND = "area: visits; colour: Q, from red (-1) to blue (1); thick: best trajectory; ×: candidates that did not run"
# The page's own colour, whichever program shows it, lies behind the labels.
PAPER = "var(--jp-layout-color0,var(--vscode-editor-background,var(--colab-primary-surface-color,Canvas)))"
LABEL = f"paint-order:stroke;stroke:{PAPER};stroke-width:4px;stroke-linejoin:round"


class Drawing:
    """Where the nodes of a finished tree stand, in pixels: so nothing moves while the tree grows."""

    def __init__(self, finished: Tree, limit: int) -> None:
        self.nodes = worth_showing(finished, limit)
        cells = layout(self.nodes)
        columns, rows = (1 + max(cell[i] for cell in cells.values()) for i in (0, 1))
        self.column = min(COLUMNS[1], max(COLUMNS[0], (WIDTH - LEFT - RIGHT) / columns))
        self.places = {path: (LEFT + self.column * x, TOP + ROW * y) for path, (x, y) in cells.items()}
        self.width = max(WIDTH, LEFT + self.column * columns + RIGHT)
        self.height = TOP + ROW * (rows - 1) + BOTTOM
        total = sum(1 for _ in finished.nodes())
        self.pruned = f"; {len(self.nodes)} of {total} nodes drawn" if len(self.nodes) < total else ""
        self.most = max(1, *(node.visits for node in self.nodes))

    def svg(self, tree: Tree, title: str, walked: Sequence[Node] = ()) -> str:
        """A state of the search, under its `title`; the nodes carry their number in `nodes` as `data-node`.

        `walked` are the nodes of a rollout, through which an orange line leads.
        """
        index = {node_path(node): i for i, node in enumerate(self.nodes)}
        there = [(index[path], node) for node in tree.nodes() if (path := node_path(node)) in index]
        best, orange = {id(node) for node in best_path(tree)}, {id(node) for node in walked}
        edges = "".join(self._edge(node, id(node) in best, id(node) in orange) for _, node in there if node.parent)
        nodes = "".join(f'<g data-node="{i}">{self._node(node)}</g>' for i, node in there)
        text = f'<text x="10" y="18" font-size="14" font-weight="bold">{html.escape(title)}</text>'
        text += f'<text x="10" y="38">{LEGEND}{self.pruned}</text>'
        size = f'width="{self.width:.0f}" height="{self.height:.0f}" viewBox="0 0 {self.width:.0f} {self.height:.0f}"'
        look = f'font-family="system-ui,sans-serif" font-size="{FONT}" fill="currentColor" stroke="none"'
        return f"<svg {size} {look}>{text}{edges}{nodes}</svg>"

    def _edge(self, node: Node, best: bool, walked: bool) -> str:
        assert node.parent
        (x0, y0), (x1, y1) = self.places[node_path(node.parent)], self.places[node_path(node)]
        line = f'd="M{x0:.0f} {y0:.0f}L{(x0 + x1) / 2:.0f} {y1:.0f}L{x1:.0f} {y1:.0f}" fill="none"'
        under = f'<path {line} stroke="{MARKED}" stroke-width="9" stroke-opacity=".6"/>' if walked else ""
        return under + f"<path {line} " + ('stroke="currentColor" stroke-width="3"/>' if best else 'stroke="#999"/>')

    def _node(self, node: Node) -> str:
        x, y = self.places[node_path(node)]
        radius = 5 + 9 * math.sqrt(node.visits / self.most)
        beside = x + radius + 4
        lines = node_label(node, max(6, int((self.column - 2 * radius - 8) / CHARACTER)))
        spans = (
            f'<tspan x="{beside:.0f}" y="{y - 5 - (FONT + 1) * up:.0f}">{html.escape(line)}</tspan>'
            for up, line in zip(range(len(lines) - 1, -1, -1), lines, strict=True)
        )
        circle = f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{radius:.1f}" fill="{colour(node.q)}" stroke="currentColor"/>'
        failed = f'<text x="{beside:.0f}" y="{y + 15:.0f}" font-weight="bold">×'
        lost = f"{failed}{node.dropped or ''}</text>" if node.dropped or dead_end(node) else ""
        return f'{circle}<text style="{LABEL}">{"".join(spans)}</text>{lost}'
