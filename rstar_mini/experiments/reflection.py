"""Figure 4 and the theorem steps: how often a solution drops a line of work and recovers, and what the PPM scores high.

The paper shows single trees. Here both are counted: a step is abandoned when nothing that it computes reaches what is
printed in the end.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Sequence

from rstar_mini.code_cot import END_ANSWER, program
from rstar_mini.evaluation.claims import Claim
from rstar_mini.evaluation.statistics import unpaired_difference
from rstar_mini.experiments.lab import Lab
from rstar_mini.experiments.results import Cell, Findings, Grid, counted
from rstar_mini.types import Step

TITLE = "Self-reflection, and the kinds of steps that the PPM scores high"
TABLES: tuple[int, ...] = ()
KINDS = {ast.Add: "adds", ast.Sub: "subtracts", ast.Mult: "multiplies", ast.Div: "divides", ast.FloorDiv: "divides"}


def reflection(lab: Lab) -> Findings:
    """Whole solutions of every round's trees, and the steps of the last round's by kind."""
    rows = {f"round {number}": _abandoning(lab, number) for number in lab.rounds}
    dropped, others = rows[f"round {lab.rounds[-1]}"][1:]
    claims = []
    if dropped and others:
        ours = unpaired_difference(*((cell.percent / 100 * cell.n, cell.n) for cell in (dropped, others)))
        text = "solutions that drop a line of work are right more often than others"
        claims.append(Claim(text, "figure 4", None, ours, "the paper shows one tree and counts none"))
    columns = "with an abandoned step", "right, of these", "right, of the others"
    return [Grid("Solutions found by search (%)", columns, rows), _kinds(lab)], claims


def _abandoning(lab: Lab, number: int) -> tuple[Cell | None, ...]:
    """How many solutions have an abandoned step, and how many of these and of the others are right."""
    dropped, right_dropped, right_others = [], [], []
    for seed in lab.seeds:
        ends = [end for tree in lab.run(seed).trees(number) for end in tree.terminals() if end.correct is not None]
        marked = [(bool(abandoned(end.steps())), bool(end.correct)) for end in ends]
        dropped.append([gone for gone, _ in marked])
        right_dropped.append([right for gone, right in marked if gone])
        right_others.append([right for gone, right in marked if not gone])
    return _share(dropped), _share(right_dropped), _share(right_others)


def _kinds(lab: Lab) -> Grid:
    """Steps of the last round's trees by what they do: how often PPM, and Q after the search, are above 0."""
    scored: defaultdict[str, list[list[bool]]] = defaultdict(lambda: [[] for _ in lab.seeds])
    good: defaultdict[str, list[list[bool]]] = defaultdict(lambda: [[] for _ in lab.seeds])
    for i, seed in enumerate(lab.seeds):
        nodes = [node for tree in lab.run(seed).trees(lab.rounds[-1]) for node in tree.nodes() if node.parent]
        for node in nodes:
            if node.prior is not None and node.visits > 1:  # the first visit is the PPM's own score
                name = kind(node.step)
                scored[name][i].append(node.prior > 0)
                good[name][i].append(node.q > 0)
    rows = {name: (_share(scored[name]), _share(good[name])) for name in sorted(scored)}
    return Grid("Steps by what they do (%)", ("the PPM scores above 0", "Q above 0 after the search"), rows)


def _share(marks: Sequence[Sequence[bool]]) -> Cell | None:
    """The share of all marks, those of each seed apart; None without any."""
    n = sum(map(len, marks))
    by_seed = [n * sum(each) / len(each) if each else 0.0 for each in marks]
    return counted(sum(map(sum, marks)), n, by_seed) if n else None


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
