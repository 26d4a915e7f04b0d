"""A search tree as lines of text."""

from __future__ import annotations

from rstar_mini.show.view import best_path, count, dead_end, label, mark, shorten, worth_showing
from rstar_mini.types import Node, Tree


def tree_text(tree: Tree, max_nodes: int = 40) -> str:
    """The tree, one node a line: N (visits), Q, the PPM's score where there is one, and the step's first line of code.

    `*` marks the best trajectory, ✓ and ✗ right and wrong answers, "n dropped" candidates that did not run. Large trees
    show the best trajectory and the most visited nodes, and say how many are left out.
    """
    lines = [shorten(f"{tree.problem.question}", 100), _facts(tree)]
    best = {id(node) for node in best_path(tree)}
    shown = tree_lines(tree, max_nodes)
    lines += [f"{'*' if id(node) in best else ' '} {line}" for node, line in shown]
    if hidden := sum(1 for _ in tree.nodes()) - len(shown):
        lines.append(f"  ({hidden} nodes of few visits are not shown)")
    return "\n".join(lines)


def tree_lines(tree: Tree, max_nodes: int) -> list[tuple[Node, str]]:
    """The nodes worth showing, from the root down, each with its line; branches are drawn in front of it."""
    shown = {id(node) for node in worth_showing(tree, max_nodes)}
    lines: list[tuple[Node, str]] = []
    stack: list[tuple[Node, str, str]] = [(tree.root, "", "")]
    while stack:
        node, branch, indent = stack.pop()
        lines.append((node, branch + _line(node)))
        children = [child for child in node.children if id(child) in shown]
        for child in reversed(children):
            last = child is children[-1]
            stack.append((child, indent + ("└─ " if last else "├─ "), indent + ("   " if last else "│  ")))
    return lines


def _facts(tree: Tree) -> str:
    answer = f"answer {tree.problem.answer}, " if tree.problem.answer else ""
    return f"{answer}{count(tree.rollouts, 'rollout')}, {count(tree.tokens, 'token')}"


def _line(node: Node) -> str:
    parts = [f"N={node.visits} Q={node.q:+.2f}"]
    if node.prior is not None:
        parts.append(f"PPM={node.prior:+.2f}")
    if node.multiplicity > 1:
        parts.append(f"sampled {node.multiplicity} times")
    parts.append("question" if node.parent is None else f"{mark(node)} {label(node.step)}".strip())
    if node.dropped:
        parts.append(f"({node.dropped} dropped)")
    if dead_end(node):
        parts.append("(dead end)")
    return "  ".join(parts)
