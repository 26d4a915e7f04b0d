"""Code against plain text, and loss on the interpreter's output: policies of the same solutions, written otherwise."""

from __future__ import annotations

import ast
import operator
from collections.abc import Sequence
from functools import partial

from rstar_mini.answers import Verdict, compare
from rstar_mini.code_cot import ANSWER, END_ANSWER, boxed_answer, program
from rstar_mini.evaluation.systems import MakeExpander, Outcome, greedily
from rstar_mini.evolution.models import Models
from rstar_mini.experiments.lab import AS_IT_IS, Lab
from rstar_mini.experiments.results import Findings, Grid, claim_of, measured
from rstar_mini.policy import Request
from rstar_mini.policy.base import Propose
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.types import Problem, Step, Trajectory

TITLE = "Writing: code or plain text, loss on outputs or not"
TABLES: tuple[int, ...] = ()
ON_OUTPUT, IN_WORDS = "with loss on the interpreter's output", "in plain text, nothing is run"
TOKENS = 160  # of a solution in plain text at most
OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


def writing(lab: Lab) -> Findings:
    """Greedy accuracy of policies trained from the base on the last round's trajectories that can be told in words."""
    found = {name: _greedy(lab, name) for name in (AS_IT_IS, ON_OUTPUT, IN_WORDS)}
    rows = {name: (measured(outcomes),) for name, outcomes in found.items()}
    claim = claim_of("code over plain text", "section 3.1", None, found[AS_IT_IS], found[IN_WORDS])
    return [Grid("Held-out problems right (%), greedy", ("greedy",), rows)], [claim]


def in_words(trajectory: Trajectory) -> Trajectory | None:
    """The same solution as plain text: each comment with its sum worked out. None when it does more than arithmetic.

    "# Count the pens", "pens = 4 * 3" becomes "Count the pens: 4 * 3 = 12."
    """
    known: dict[str, float] = {}
    lines: list[str] = []
    printed = None
    for step in trajectory.steps[:-1]:
        code = program([step])
        comment = " ".join(line.lstrip("# ") for line in code.splitlines() if line.startswith("#"))
        for statement in _statements(code):
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    told = _Numbers(known).visit(value)
                    found = _value(told)
                    if found is None:
                        return None
                    known[name] = found
                    lines.append(f"{comment}: {ast.unparse(told)} = {_short(found):g}.")
                case ast.Expr(value=ast.Call(func=ast.Name(id="print"), args=[ast.Name(id=name)])):
                    printed = known.get(name)
                case _:
                    return None
    if printed is None or compare(f"{_short(printed)}", trajectory.answer or "") is not Verdict.EQUAL:
        return None
    text = "\n".join(lines) + f"\n{ANSWER}The answer is \\boxed{{{trajectory.answer}}}{END_ANSWER}"
    whole = Step(text, answer=trajectory.answer)
    return Trajectory(trajectory.problem, (whole,), trajectory.qs[-1:], trajectory.correct)


def _statements(code: str) -> list[ast.stmt]:
    """Of a step; one that goes on with a block of the step before has none of its own, and is told as such."""
    try:
        return ast.parse(code).body
    except SyntaxError:
        return [ast.Pass()]


class _Numbers(ast.NodeTransformer):
    """Puts numbers in place of the names that are known."""

    def __init__(self, known: dict[str, float]) -> None:
        self.known = known

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(_short(self.known[node.id])) if node.id in self.known else node


def _value(node: ast.expr) -> float | None:
    """What arithmetic on numbers gives; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
        left, right = _value(node.left), _value(node.right)
        by_zero = right == 0 and isinstance(node.op, ast.Div | ast.FloorDiv)
        if left is not None and right is not None and not by_zero:
            return float(OPERATIONS[type(node.op)](left, right))
    return None


def _short(value: float) -> float:
    """12 in place of 12.0."""
    return int(value) if value == int(value) else value


def _greedy(lab: Lab, name: str) -> list[Outcome]:
    settings = lab.recipe.sft.model_copy(update={"mask_output": name != ON_OUTPUT})

    def models(seed: int) -> Models:
        return lab.policy_from(seed, f"policy {name}", lambda: _trajectories(lab, seed, name == IN_WORDS), settings)

    ask = _answers if name == IN_WORDS else partial(_steps, lab)
    return lab.measure(f"policy {name}", models, 1, ask, words=TOKENS if name == IN_WORDS else None)["greedy"]


def _trajectories(lab: Lab, seed: int, words: bool) -> list[Trajectory]:
    """Those of the last round that can be told in words, as they are or so told: the same ones for every policy."""
    both = [(trajectory, in_words(trajectory)) for trajectory in lab.trajectories(seed)]
    return [told if words else trajectory for trajectory, told in both if told]


def _steps(lab: Lab, problems: Sequence[Problem], expander: MakeExpander, _: PPMScorer | None) -> dict[str, Outcome]:
    return {"greedy": greedily(problems, expander("greedy"), lab.recipe)}


def _answers(problems: Sequence[Problem], expander: MakeExpander, _: PPMScorer | None) -> dict[str, Outcome]:
    """The boxed answer of one text for each problem; nothing is run."""
    asked = [Request(problem, (), 1, 0) for problem in problems]
    texts = [step for [step] in Propose.propose(expander("words").policy, asked, 0.0)]
    said = [compare(boxed_answer(step.text) or "", p.answer) for step, p in zip(texts, problems, strict=True)]
    return {
        "greedy": Outcome([float(verdict is Verdict.EQUAL) for verdict in said], sum(step.tokens for step in texts))
    }
