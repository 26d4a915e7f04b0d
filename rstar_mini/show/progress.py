"""Progress with the time left: a bar in a terminal or a notebook, plain lines anywhere else."""

from __future__ import annotations

import html
import sys
import time
from abc import ABC, abstractmethod
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from rstar_mini.redact import redact
from rstar_mini.show.console import PlainConsole
from rstar_mini.show.tree_text import tree_text
from rstar_mini.types import Tree


class _Showing(ABC):
    """What both have in common: they print lines, and show the first solved tree once."""

    def __init__(self) -> None:
        self._start, self._shown = time.monotonic(), False

    @abstractmethod
    def say(self, text: str) -> None:
        """A line worth keeping."""

    def solved(self, tree: Tree) -> None:
        """Print the first solved tree, and when it came."""
        if not self._shown:
            self._shown = True
            self.say(f"first solved tree after {time.monotonic() - self._start:.0f} s:\n{tree_text(tree)}")


class TerminalProgress(_Showing):
    """A bar with done / total, time so far and time left; without a terminal one line for each stage.

    Use it in a `with` block, so that the bar is taken down at the end.
    """

    def __init__(self, console: Console | None = None) -> None:
        super().__init__()
        self.console = console or PlainConsole()
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        left = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        self._bar = Bar(
            *columns,
            *left,
            console=self.console,
            refresh_per_second=2,
            speed_estimate_period=600,  # seconds; waves of a search come far apart
            disable=not self.console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if not self._bar.disable:  # else rich would print an empty line
            self._bar.stop()

    def stage(self, name: str, total: int) -> None:
        """Put a new bar in the place of the last one."""
        for task in self._bar.task_ids:
            self._bar.remove_task(task)
        self._bar.add_task(redact(name), total=total)
        if self._bar.disable:
            self.say(f"{name} ({total})")

    def advance(self, amount: int = 1) -> None:
        """Move the bar."""
        for task in self._bar.task_ids:
            self._bar.advance(task, amount)

    def say(self, text: str) -> None:
        """Print above the bar."""
        self.console.print(redact(text), markup=False, highlight=False, soft_wrap=True)


class NotebookProgress(_Showing):
    """The same with widgets, for Jupyter; needs `ipywidgets`."""

    def __init__(self) -> None:
        import ipywidgets

        super().__init__()
        self._bar = ipywidgets.IntProgress(min=0)
        self._text = ipywidgets.HTML()
        self.widget = ipywidgets.HBox([self._bar, self._text])
        self._stage, self._stage_start = "", self._start

    def __enter__(self) -> Self:
        from IPython.display import display

        display(self.widget)  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: object) -> None:
        self.widget.close()

    def stage(self, name: str, total: int) -> None:
        """Start the bar again."""
        self._stage, self._stage_start = name, time.monotonic()
        self._bar.value, self._bar.max = 0, total
        self._describe()

    def advance(self, amount: int = 1) -> None:
        """Move the bar."""
        self._bar.value += amount
        self._describe()

    def say(self, text: str) -> None:
        """Print below the bar."""
        print(redact(text))

    def _describe(self) -> None:
        spent, done, total = time.monotonic() - self._stage_start, self._bar.value, self._bar.max
        left = f", {clock(spent * (total - done) / done)} left" if done else ""
        self._text.value = html.escape(f"{redact(self._stage)} {done}/{total}, {clock(spent)}{left}")


def best_progress() -> TerminalProgress | NotebookProgress:
    """Widgets inside a Jupyter kernel that has ipywidgets, otherwise the terminal's bar or plain lines."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if not hasattr(shell, "kernel"):
        return TerminalProgress()
    try:
        return NotebookProgress()
    except ImportError:
        return TerminalProgress()


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
