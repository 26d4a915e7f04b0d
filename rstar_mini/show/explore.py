"""A finished search to walk through: rollout by rollout, node by node."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import ipywidgets

from rstar_mini.code_cot import program
from rstar_mini.search import Budget
from rstar_mini.search.replay import replay, walk
from rstar_mini.show.tree_plot import draw_tree
from rstar_mini.show.tree_text import tree_lines
from rstar_mini.show.view import count, dead_end, label, mark, node_facts
from rstar_mini.show.widget import STYLE, Still, code, table
from rstar_mini.types import Node, Tree


def explore(tree: Tree, budget: Budget | None = None) -> Explorer:
    """The search that made `tree`, with a slider over its rollouts, and its nodes to look into.

    Both sliders are reached with the Tab key and moved with the arrow keys; a mouse may click in the list too. `budget`
    is the one that the tree was searched with; its c, depth and rule for unvisited children count.

    Raises:
        UserError: the tree was not searched with that budget.
    """
    return Explorer(replay(tree, budget or Budget()), budget or Budget())


class Explorer(Still):
    """The widget that `explore` makes."""

    def __init__(self, frames: list[Tree], budget: Budget) -> None:
        self.frames, self.budget = frames, budget
        last = len(frames) - 1
        wide = ipywidgets.Layout(width="min(100%, 46em)")
        self.rollout = ipywidgets.IntSlider(last, 0, last, description="rollout", continuous_update=False, layout=wide)
        # JupyterLab takes the arrow keys away from a list, but not from a slider.
        self.number = ipywidgets.IntSlider(0, 0, 0, description="node", layout=wide)
        self.node = ipywidgets.Select(rows=10, layout=wide, tabbable=False)
        self.walked, self.picture, self.panel = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        super().__init__([self.rollout, self.walked, self.picture, self.number, self.node, self.panel])
        self._order = [frames[last].root]
        self.node.observe(self._look, "value")
        self._go()
        ipywidgets.link((self.node, "value"), (self.number, "value"))
        self.rollout.observe(self._go, "value")

    @property
    def tree(self) -> Tree:
        """The tree as it was after the chosen rollout."""
        return self.frames[self.rollout.value]

    def still(self) -> Mapping[str, str]:
        """The finished tree."""
        return draw_tree(self.frames[-1]).bundle()

    def _go(self, *_: Any) -> None:
        """Show the state after the chosen rollout; the chosen node stays chosen when it is there already."""
        chosen = self._chosen().steps()
        before = self.frames[max(0, self.rollout.value - 1)]
        self._walk = walk(before, self.tree)
        self.walked.value = f'<div style="{STYLE}">{html.escape(_told(self.rollout.value, self._walk))}</div>'
        lines = tree_lines(self.tree, sum(1 for _ in self.tree.nodes()))
        self._order = [node for node, _ in lines]
        self.node.unobserve(self._look, "value")  # one picture is enough
        self.node.options = [(line, i) for i, (_, line) in enumerate(lines)]
        self.number.max = len(lines) - 1
        self.node.value = next((i for i, node in enumerate(self._order) if node.steps() == chosen), 0)
        self.node.observe(self._look, "value")
        self._look()

    def _chosen(self) -> Node:
        return self._order[self.node.value or 0]

    def _look(self, *_: Any) -> None:
        """Ring the chosen node in the picture, and fill the panel."""
        node = self._chosen()
        picture = draw_tree(self.tree, within=self.frames[-1], marked=node, walked=self._walk)
        words = f"search tree after {count(self.rollout.value, 'rollout')}; the list below says the same in words"
        self.picture.value = picture.html(words)
        self.panel.value = f'<div style="{STYLE}" role="region" aria-label="the chosen node">{self._about(node)}</div>'

    def _about(self, node: Node) -> str:
        facts = table(node_facts(node, self.budget))
        if node.parent is None:
            return facts + f"<p>{html.escape(self.tree.problem.question)}</p>"
        if node.terminal:
            return facts + code(node.step.text)
        ran = node.step.execution
        printed = code(ran.stdout) if ran and ran.stdout.strip() else " nothing"
        return f"{facts}the step:{code(program([node.step]).strip())}it prints:{printed}"


def _told(rollout: int, walked: list[Node]) -> str:
    """One line: where a rollout went."""
    if not walked:
        return "before the first rollout"
    end = walked[-1]
    places = " → ".join(f"{mark(node)} {label(node.step, 30)}".strip() for node in walked[1:])
    return f"rollout {rollout} (orange): {places}" + (" (dead end: -1)" if dead_end(end) else "")
