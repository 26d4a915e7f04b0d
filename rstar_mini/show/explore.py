"""A finished search to walk through: rollout by rollout, node by node."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import ipywidgets

from rstar_mini.search import Budget
from rstar_mini.search.replay import node_path, replay, walk
from rstar_mini.show.markup import STYLE, code, facts_table
from rstar_mini.show.tree_plot import MARKED, MAX_NODES, draw_tree
from rstar_mini.show.tree_svg import Drawing
from rstar_mini.show.tree_text import tree_text
from rstar_mini.show.view import count, dead_end, label, mark, node_facts, step_text
from rstar_mini.show.widget import Still
from rstar_mini.types import Node, Tree

RING = 34  # pixels across
LOOK = f"""<style>
.rstar-tree{{overflow:auto;position:relative}} .rstar-tree>.widget-html,.rstar-tree>.widget-html>*{{margin:0;padding:0}}
.rstar-tree>.jupyter-button{{position:absolute;width:{RING}px;height:{RING}px;margin:0;padding:0;border-radius:50%;
background:transparent;border:3px solid transparent;cursor:pointer}}
.rstar-tree>.jupyter-button.mod-info{{border-color:{MARKED}}} .rstar-tree>.jupyter-button:hover{{border-color:#8888}}
</style>"""


def explore(tree: Tree, budget: Budget | None = None) -> Explorer:
    """The search that made `tree`, from its first rollout on: play it, move through it, and click on its nodes.

    From the keyboard, Tab leads to the play button and to both sliders, and the arrow keys move these. `budget` is the
    one that the tree was searched with; its c, depth and rule for unvisited children count.

    Raises:
        UserError: the tree was not searched with that budget.
    """
    return Explorer(replay(tree, budget or Budget()), budget or Budget())


class Explorer(Still):
    """The widget that `explore` makes.

    The picture says itself which rollout it shows: no number stands beside the slider, which moves before the picture.
    """

    def __init__(self, frames: list[Tree], budget: Budget) -> None:
        self.frames, self.budget, self.drawing = frames, budget, Drawing(frames[-1], MAX_NODES)
        last = len(frames) - 1
        wide, ends = ipywidgets.Layout(width="min(100%, 46em)"), {"min": 0, "max": last}
        self.rollout = ipywidgets.IntSlider(0, **ends, description="rollout", readout=False, layout=wide)
        self.play = ipywidgets.Play(value=0, **ends, interval=1200)
        # In the browser, so the slider moves on while the kernel computes.
        self.link = ipywidgets.jslink((self.play, "value"), (self.rollout, "value"))
        self.node = ipywidgets.IntSlider(0, 0, 0, description="node", readout=False, layout=wide)
        self.picture, self.panel = ipywidgets.HTML(), ipywidgets.HTML()
        self.rings = [self._ring(node) for node in self.drawing.nodes]
        tree = ipywidgets.Box([self.picture, *self.rings]).add_class("rstar-tree")
        super().__init__([ipywidgets.HBox([self.play, self.rollout]), tree, self.node, self.panel])
        self._there = [frames[0].root]
        self._go()
        self.rollout.observe(self._go, "value")
        self.node.observe(self._look, "value")

    @property
    def tree(self) -> Tree:
        """The tree as it was after the chosen rollout."""
        return self.frames[self.rollout.value]

    @property
    def chosen(self) -> Node:
        """The node whose ring is drawn, in that tree."""
        return self._there[self.node.value]

    def still(self) -> Mapping[str, str]:
        """The finished tree."""
        return draw_tree(self.frames[-1]).bundle()

    def _ring(self, node: Node) -> ipywidgets.Button:
        """A button over a node of the picture; keys go to the slider, which needs no sixty stops of Tab."""
        x, y = self.drawing.places[node_path(node)]
        place = ipywidgets.Layout(left=f"{x - RING / 2:.0f}px", top=f"{y - RING / 2:.0f}px")
        ring = ipywidgets.Button(tooltip=label(node.step) or "question", layout=place, tabbable=False)
        ring.on_click(lambda _: self._choose(node))
        return ring

    def _choose(self, node: Node) -> None:
        """Choose a node of the finished tree, where it is there already."""
        paths = [node_path(there) for there in self._there]
        if node_path(node) in paths:
            self.node.value = paths.index(node_path(node))

    def _go(self, *_: Any) -> None:
        """Show the state after the chosen rollout; the chosen node stays chosen when it is there already."""
        number, chosen = self.rollout.value, self.chosen
        walked = walk(self.frames[max(0, number - 1)], self.tree)
        drawn = set(map(node_path, self.drawing.nodes))
        with self.node.hold_trait_notifications():
            self._there = [node for node in self.tree.nodes() if node_path(node) in drawn]
            self.node.max, self.node.value = len(self._there) - 1, 0
            self._choose(chosen)
        title = f"rollout {number} of {len(self.frames) - 1}"
        svg, words = self.drawing.svg(self.tree, title, walked), f"search tree, {title}\n{tree_text(self.tree)}"
        picture = f'<div role="img" aria-label="{html.escape(words)}">{svg}</div>'
        self.picture.value = f'{LOOK}{picture}<div style="{STYLE}">{html.escape(_told(walked))}</div>'
        self._look()

    def _look(self, *_: Any) -> None:
        """Ring the chosen node, and fill the panel."""
        there = {node_path(node) for node in self._there}
        for ring, node in zip(self.rings, self.drawing.nodes, strict=True):
            ring.layout.visibility = "visible" if node_path(node) in there else "hidden"
            ring.button_style = "info" if node_path(node) == node_path(self.chosen) else ""
        about = f"after {count(self.rollout.value, 'rollout')}{self._about(self.chosen)}"
        self.panel.value = f'<div style="{STYLE}" role="region" aria-label="the chosen node">{about}</div>'

    def _about(self, node: Node) -> str:
        facts = facts_table(node_facts(node, self.budget))
        if node.parent is None:
            return facts + f"<p>{html.escape(self.tree.problem.question)}</p>"
        if node.terminal:
            return facts + code(step_text(node.step))
        ran = node.step.execution
        printed = code(ran.stdout) if ran and ran.stdout.strip() else " nothing"
        return f"{facts}the step:{code(step_text(node.step))}it prints:{printed}"


def _told(walked: list[Node]) -> str:
    """One line: where a rollout went."""
    if not walked:
        return "before the first rollout"
    places = " → ".join(f"{mark(node)} {label(node.step, 30)}".strip() for node in walked[1:])
    return f"this rollout (orange): {places}" + (" (dead end: -1)" if dead_end(walked[-1]) else "")
