"""A solution run step by step: what each step adds, what it prints, and what the variables hold after it."""

from __future__ import annotations

import ast
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ipywidgets

from rstar_mini.code_cot import program
from rstar_mini.show.markup import STYLE, code, facts_table
from rstar_mini.show.view import count, shorten
from rstar_mini.show.widget import Still
from rstar_mini.types import Execution, Step

if TYPE_CHECKING:
    from rstar_mini.sandbox import Sandbox

BEFORE_VARIABLES = "\x1e"  # a character that programs do not print


@dataclass(frozen=True, slots=True)
class State:
    """After a step: its code, how the program so far ended, and the variables that it has set, as text."""

    code: str
    execution: Execution
    variables: dict[str, str]

    @property
    def verdict(self) -> str:
        """How the program ended, and why."""
        return str(self.execution.status) + (f": {self.execution.error}" if self.execution.error else "")


def run_steps(steps: Sequence[Step], box: Sandbox) -> list[State]:
    """Run the program as it stands after each step, as search does, and look at its variables. Answers are no code."""
    steps = [step for step in steps if step.answer is None]
    codes = [program(steps[: k + 1]) for k in range(len(steps))]
    ended = box.run_many(codes)
    looked = box.run_many([text + _look(_assigned(text)) for text in codes])
    return [
        State(program([step]).strip(), execution, _variables(look))
        for step, execution, look in zip(steps, ended, looked, strict=True)
    ]


def step_through(steps: Sequence[Step], box: Sandbox) -> Stepper:
    """A slider over the steps of a solution (Tab to reach it, arrow keys to move it); all are run at once, in `box`."""
    return Stepper(run_steps(steps, box))


class Stepper(Still):
    """The widget that `step_through` makes."""

    def __init__(self, states: Sequence[State]) -> None:
        self.states = states
        self.step = ipywidgets.IntSlider(1, 1, max(1, len(states)), description="step")
        self.panel = ipywidgets.HTML()
        super().__init__([self.step, self.panel])
        self.step.observe(self._go, "value")
        self._go()

    def still(self) -> Mapping[str, str]:
        """All steps, one after the other."""
        page = "".join(f"<h4>step {k}</h4>{self._about(k)}" for k in range(1, len(self.states) + 1))
        lines = [
            f"step {k}\n{state.code}\n-> {state.verdict}; prints: {state.execution.stdout.strip() or 'nothing'}; "
            f"variables: {', '.join(f'{name} = {value}' for name, value in state.variables.items()) or 'none'}"
            for k, state in enumerate(self.states, 1)
        ]
        return {"text/html": page, "text/plain": "\n".join(lines)}

    def _go(self, *_: Any) -> None:
        self.panel.value = f'<div style="{STYLE}">{self._about(self.step.value)}</div>' if self.states else "no code"

    def _about(self, number: int) -> str:
        state, before = self.states[number - 1], self.states[number - 2].variables if number > 1 else {}
        changed = {n: v for n, v in state.variables.items() if before.get(n) != v}
        facts = {"ends with": state.verdict, "prints": state.execution.stdout.strip() or "nothing"}
        facts |= {f"sets {name}": value for name, value in changed.items()}
        kept = count(len(state.variables) - len(changed), "variable")
        return f"{code(state.code)}{facts_table(facts)}{html.escape(kept)} as before"


def _assigned(text: str) -> list[str]:
    """The names that a program sets on its outermost level; none when it is not Python."""
    try:
        nodes = ast.walk(ast.parse(text))
    except (SyntaxError, ValueError):
        return []
    names = (node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    return list(dict.fromkeys(names))


def _look(names: Sequence[str]) -> str:
    """Code that prints the variables as JSON, after a mark."""
    held = f"{{name: repr(globals()[name]) for name in {list(names)!r} if name in globals()}}"
    return f"\nimport json\nprint({BEFORE_VARIABLES!r} + json.dumps({held}))\n"


def _variables(look: Execution) -> dict[str, str]:
    _, mark, printed = look.stdout.rpartition(BEFORE_VARIABLES)
    if not (look.ok and mark):
        return {}
    try:
        found = json.loads(printed)
    except ValueError:
        return {}
    return {str(name): shorten(str(value), 60) for name, value in dict(found).items()}
