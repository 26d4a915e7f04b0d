"""What of a tree is worth showing: the best trajectory, the nodes that fit on a page, and a short label for each."""

from __future__ import annotations

import math
import textwrap

from rstar_mini.code_cot import END_CODE, program
from rstar_mini.redact import printable
from rstar_mini.search import Budget, uct
from rstar_mini.search.selection import Selection, choose
from rstar_mini.types import Node, Step, Tree


def best_terminal(tree: Tree) -> Node | None:
    """Where the best trajectory ends: the right one of highest mean Q; if none is known to be right, by vote.

    The vote is weighted by the PPM where there is one. None when no answer was reached; the first of equals wins.
    """
    terminals = tree.terminals()
    if right := [node for node in terminals if node.correct]:
        return max(right, key=lambda node: tree.trajectory(node).mean_q)
    return choose(terminals, Selection.WEIGHTED)


def best_path(tree: Tree) -> list[Node]:
    """The nodes of the best trajectory, the root first; the root alone when no answer was reached."""
    end = best_terminal(tree)
    return [tree.root, *(end.path() if end else [])]


def worth_showing(tree: Tree, limit: int) -> list[Node]:
    """At most `limit` nodes, parents before children: the best trajectory, a wrong one, then the most visited.

    A node is kept with its whole path; the best trajectory is kept even when it is longer than `limit`.
    """
    nodes = list(tree.nodes())
    wrong = [node for node in nodes if node.correct is False]
    ranked = sorted(nodes, key=lambda node: (-node.visits, -node.multiplicity))
    kept = {id(node) for node in best_path(tree)}
    for node in (*sorted(wrong, key=lambda node: -node.visits)[:1], *ranked):
        path = {id(step) for step in node.path()}
        if len(kept | path) <= limit:
            kept |= path
    return [node for node in nodes if id(node) in kept]


def label(step: Step, width: int = 40) -> str:
    """The answer of a terminal step, else the first line of code with, at the end of the code, what it printed."""
    if step.answer is not None:
        return shorten(f"answer {step.answer}", width)
    lines = [line.strip() for line in program([step]).splitlines() if line.strip()]
    code = next((line for line in lines if not line.startswith("#")), lines[0] if lines else "")
    printed = step.execution.stdout.strip() if step.execution else ""
    return shorten(f"{code} → {printed}" if step.text.endswith(END_CODE) and printed else code, width)


def step_text(step: Step) -> str:
    """What a step says: its code without tags, or its answer as it is."""
    return program([step]).strip() if step.answer is None else step.text.strip()


def node_label(node: Node, width: int, lines: int = 2) -> list[str]:
    """What stands beside a node of a picture: at most so many `lines` of `width` characters."""
    text = f"{mark(node)} {label(node.step, width * lines)}".strip() if node.parent else "question"
    return wrapped(text, width, lines)


def wrapped(text: str, width: int, lines: int) -> list[str]:
    """The text in at most so many `lines` of `width` characters; where it is longer, it ends in "…"."""
    return textwrap.wrap(text, width, max_lines=lines, placeholder="…")


def count(number: int, thing: str) -> str:
    """ "1 rollout", "2 rollouts"."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def shorten(text: str, width: int) -> str:
    """One line of at most `width` characters, all printable: models write anything, escape codes included."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= width else line[: width - 1] + "…"


def dead_end(node: Node) -> bool:
    """True when every candidate below failed, or none was allowed any more."""
    return not node.terminal and not node.children and (node.expanded or node.closed)


def mark(node: Node) -> str:
    """✓ for a right answer, ✗ for a wrong one, ? for an unjudged one, '' for a step."""
    return "" if not node.terminal else {True: "✓", False: "✗", None: "?"}[node.correct]


def node_facts(node: Node, budget: Budget) -> dict[str, str]:
    """What search knows of a node."""
    facts: dict[str, object] = {"N (visits)": node.visits, "Q = q / N": f"{node.q:+.3f}"}
    if node.prior is not None:
        facts["PPM"] = f"{node.prior:+.3f}"
    if node.parent is not None:
        value = uct(node, budget.c, budget.unvisited_first)
        terms = f" = Q + {budget.c:g} √(ln {node.parent.visits} / {node.visits})" if node.visits else ""
        facts["UCT"] = "infinite: never visited" if math.isinf(value) else f"{value:+.3f}{terms}"
    facts["sampled"] = count(node.multiplicity, "time")
    if node.expanded:
        facts["candidates below"] = f"{len(node.children)} kept, {node.dropped} dropped"
    if node.terminal:
        facts["answer"] = f"{mark(node)} {node.step.answer}"
    if dead_end(node):
        facts["note"] = "dead end"
    return {name: str(value) for name, value in facts.items()}
