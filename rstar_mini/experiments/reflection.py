"""Figure 4 and the theorem steps: how often a solution drops a line of work and recovers, and what the PPM scores high.

The paper shows single trees. Here both are counted: a step is abandoned when nothing that it computes reaches what is
printed in the end. Solutions and steps of one problem are alike, so each problem counts once, by their mean.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Sequence

from rstar_mini.code_cot import END_ANSWER, program
from rstar_mini.experiments.lab import Lab
from rstar_mini.experiments.results import Findings, Grid, Marks, claim_of_marks, marked
from rstar_mini.types import Step

TITLE = "Self-reflection, and the kinds of steps that the PPM scores high"
TABLES: tuple[int, ...] = ()
KINDS = {ast.Add: "adds", ast.Sub: "subtracts", ast.Mult: "multiplies", ast.Div: "divides", ast.FloorDiv: "divides"}


def reflection(lab: Lab) -> Findings:
    """Whole solutions of every round's trees, and the steps of the last round's by kind."""
    found = {f"round {number}": _abandoning(lab, number) for number in lab.rounds}
    _, dropped, others = found[f"round {lab.rounds[-1]}"]
    claim = claim_of_marks(
        "of the same problem, solutions that drop a line of work are right more often than others",
        "figure 4",
        None,
        dropped,
        others,
        "the paper shows one tree and counts none",
    )
    rows = {name: tuple(map(marked, parts)) for name, parts in found.items()}
    columns = "with an abandoned step", "right, of these", "right, of the others"
    return [Grid("Solutions found by search (%)", columns, rows), _kinds(lab)], [claim]


def _abandoning(lab: Lab, number: int) -> tuple[Marks, Marks, Marks]:
    """Which solutions have an abandoned step, and which of these and of the others are right."""
    dropped, right_dropped, right_others = _nothing(lab), _nothing(lab), _nothing(lab)
    for i, seed in enumerate(lab.seeds):
        for tree in lab.run(seed).trees(number):
            for end in tree.terminals():
                if end.correct is not None:
                    gone = bool(abandoned(end.steps()))
                    dropped[i][tree.problem.id].append(gone)
                    (right_dropped if gone else right_others)[i][tree.problem.id].append(end.correct)
    return dropped, right_dropped, right_others


def _nothing(lab: Lab) -> list[defaultdict[str, list[bool]]]:
    return [defaultdict(list) for _ in lab.seeds]


def _kinds(lab: Lab) -> Grid:
    """Steps of the last round's trees by what they do: how often PPM, and Q after the search, are above 0."""
    scored, good = (defaultdict[str, list[defaultdict[str, list[bool]]]](lambda: _nothing(lab)) for _ in range(2))
    for i, seed in enumerate(lab.seeds):
        for tree in lab.run(seed).trees(lab.rounds[-1]):
            for node in tree.nodes():
                if node.parent and node.prior is not None and node.visits > 1:  # the first visit is the PPM's own score
                    name = kind(node.step)
                    scored[name][i][tree.problem.id].append(node.prior > 0)
                    good[name][i][tree.problem.id].append(node.q > 0)
    rows = {name: (marked(scored[name]), marked(good[name])) for name in sorted(scored)}
    return Grid("Steps by what they do (%)", ("the PPM scores above 0", "Q above 0 after the search"), rows)


def abandoned(steps: Sequence[Step]) -> list[int]:
    """Which steps compute something of which nothing reaches what the program prints; the answer step is none.

    Names are followed backwards from the prints, so a value that is overwritten before it is used counts as abandoned.
    """
    wanted: set[str] = set()
    dropped = []
    for i in reversed(range(len(steps))):
        statements = [] if steps[i].text.endswith(END_ANSWER) else _statements(steps[i])
        used = not statements
        for statement in reversed(statements):
            written, read = _names(statement)
            if not written or written & wanted:
                used = True
                wanted = (wanted - written if isinstance(statement, ast.Assign) else wanted) | read
        if not used:
            dropped.append(i)
    return dropped[::-1]


def kind(step: Step) -> str:
    """What a step does: its arithmetic, or that it prints or answers."""
    if step.answer is not None:
        return "answers"
    statements = _statements(step)
    found = {
        KINDS[type(node.op)] for node in _walk(statements) if isinstance(node, ast.BinOp) and type(node.op) in KINDS
    }
    if len(found) > 1:
        return "several operations"
    if found:
        return found.pop()
    return "prints" if any(isinstance(node, ast.Call) for node in _walk(statements)) else "names a number"


def _statements(step: Step) -> list[ast.stmt]:
    try:
        return ast.parse(program([step])).body
    except SyntaxError:
        return []


def _walk(statements: Iterable[ast.stmt]) -> Iterable[ast.AST]:
    return (node for statement in statements for node in ast.walk(statement))


def _names(statement: ast.stmt) -> tuple[set[str], set[str]]:
    """Names that a statement writes, and those that it reads."""
    names = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
    written = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    written |= {node.name for node in ast.walk(statement) if isinstance(node, ast.FunctionDef)}
    return written, {node.id for node in names if isinstance(node.ctx, ast.Load)}
