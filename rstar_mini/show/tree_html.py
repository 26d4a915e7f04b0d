"""A search tree as one web page that needs no network: a slider over the rollouts, and nodes to look into."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

from rstar_mini.code_cot import program
from rstar_mini.search import Budget
from rstar_mini.search.replay import node_path, replay, walk
from rstar_mini.show.tree_plot import colour, layout
from rstar_mini.show.tree_text import tree_text
from rstar_mini.show.view import best_path, label, mark, node_facts, worth_showing
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
    nodes = worth_showing(tree, MAX_NODES)
    places = layout(nodes)
    index = {node_path(node): i for i, node in enumerate(nodes)}
    best = {id(node) for node in best_path(tree)}
    fixed = [
        {
            "at": places[node_path(node)],
            "parent": None if node.parent is None else index[node_path(node.parent)],
            "label": f"{mark(node)} {label(node.step, 26)}".strip() if node.parent else "question",
            "code": _text(tree, node),
            "printed": node.step.execution.stdout if node.step.execution else "",
            "best": id(node) in best,
        }
        for node in nodes
    ]
    frames = replay(tree, budget)
    data = {"nodes": fixed, "frames": [_frame(frames, k, index, budget) for k in range(len(frames))]}
    parts = {
        "question": html.escape(tree.problem.question),
        "last": str(len(frames) - 1),
        "text": html.escape(tree_text(tree)),
        "data": json.dumps(data).replace("<", "\\u003c"),  # nothing in it may end the script
    }
    # In one pass: what a model wrote is no place to put something into.
    return re.sub("@(question|last|text|data)", lambda found: parts[found[1]], PAGE.read_text("utf-8"))


def _text(tree: Tree, node: Node) -> str:
    if node.parent is None:
        return tree.problem.question
    return node.step.text if node.terminal else program([node.step]).strip()


def _frame(frames: list[Tree], k: int, index: dict[tuple[str, ...], int], budget: Budget) -> dict[str, Any]:
    """The state after rollout k: of each node that is there, how often it was visited, its colour and its facts."""
    now = {index[node_path(node)]: node for node in frames[k].nodes() if node_path(node) in index}
    walked = {node_path(node) for node in walk(frames[max(0, k - 1)], frames[k])}
    return {
        str(i): {
            "visits": node.visits,
            "colour": colour(node.q),
            "walked": node_path(node) in walked,
            "facts": node_facts(node, budget),
        }
        for i, node in now.items()
    }
