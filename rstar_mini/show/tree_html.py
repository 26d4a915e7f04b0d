"""A search tree as one web page that needs no network: a slider over the rollouts, and nodes to look into."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

from rstar_mini.search import Budget
from rstar_mini.search.replay import node_path, replay, walk
from rstar_mini.show.tree_svg import Drawing
from rstar_mini.show.tree_text import tree_text
from rstar_mini.show.view import node_facts, step_text
from rstar_mini.types import Node, Tree

MAX_NODES = 80
PAGE = Path(__file__).with_name("tree.html")


def tree_page(tree: Tree, budget: Budget | None = None) -> str:
    """The page; of a large tree, the best trajectory and the most visited nodes are drawn.

    `budget` is the one that the tree was searched with; its c, depth and rule for unvisited children count.

    Raises:
        UserError: the tree was not searched with that budget.
    """
    budget = budget or Budget()
    drawing, frames = Drawing(tree, MAX_NODES), replay(tree, budget)
    nodes = [{"code": _text(tree, node), "printed": _printed(node)} for node in drawing.nodes]
    data = {"nodes": nodes, "frames": [_frame(drawing, frames, k, budget) for k in range(len(frames))]}
    parts = {
        "question": html.escape(tree.problem.question),
        "last": str(len(frames) - 1),
        "text": html.escape(tree_text(tree)),
        "data": json.dumps(data).replace("<", "\\u003c"),  # nothing in it may end the script
    }
    # In one pass: what a model wrote is no place to put something into.
    return re.sub("@(question|last|text|data)", lambda found: parts[found[1]], PAGE.read_text("utf-8"))


def _text(tree: Tree, node: Node) -> str:
    return step_text(node.step) if node.parent else tree.problem.question


def _printed(node: Node) -> str:
    return node.step.execution.stdout if node.step.execution else ""


def _frame(drawing: Drawing, frames: list[Tree], k: int, budget: Budget) -> dict[str, Any]:
    """The state after rollout k: its picture, and the facts of each node that is there."""
    now = {node_path(node): node for node in frames[k].nodes()}
    places = {i: node_path(node) for i, node in enumerate(drawing.nodes)}
    facts = {i: node_facts(now[path], budget) for i, path in places.items() if path in now}
    walked = walk(frames[max(0, k - 1)], frames[k])
    return {"svg": drawing.svg(frames[k], f"rollout {k} of {len(frames) - 1}", walked), "facts": facts}
