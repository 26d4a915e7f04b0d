"""A run in a notebook, in progress or finished: what it does, the time left, its accuracy and coverage so far."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import ipywidgets

from rstar_mini.evolution.status import Status, status
from rstar_mini.show.figures import rounds_figure
from rstar_mini.show.markup import STYLE, facts_table
from rstar_mini.show.status import facts
from rstar_mini.show.widget import Still


def dashboard(run: str | Path, seconds: float = 2.0) -> Dashboard:
    """Show the run at `run`: its files are read every so many `seconds` until its end.

    The run need not have begun: show it in one cell, then start the run in the next one, in a terminal, or on a machine
    that shares the folder. A finished run is shown as it ended, and so are the results that `rstar-mini report --to`
    writes of one.
    """
    return Dashboard(Path(run), seconds)


class Dashboard(Still):
    """The widget that `dashboard` makes; `close()` ends the watching, and the run goes on."""

    def __init__(self, run: Path, seconds: float) -> None:
        self.run = run
        self.now: Status | None = None
        self._drawn, self._ended = 0, threading.Event()
        self.bar = ipywidgets.FloatProgress(max=1.0, layout=ipywidgets.Layout(width="min(100%, 46em)"))
        self.facts, self.figure = ipywidgets.HTML(), ipywidgets.HTML()
        super().__init__([self.bar, self.facts, self.figure])
        self.refresh()
        threading.Thread(target=self._watch, args=(seconds,), daemon=True).start()

    def refresh(self) -> None:
        """Read the run and show it."""
        self.now = status(self.run)
        rounds = self.now.metrics if self.now else []
        searched, shards = self.now.shards if self.now else (0, 0)
        if self.now:
            self.bar.value = (len(rounds) + (searched / shards if shards else 0.0)) / (self.now.rounds + 1)
        self.facts.value = f'<div style="{STYLE}" aria-live="polite">{facts_table(self._told())}</div>'
        if len(rounds) > self._drawn:  # a new round is finished
            self._drawn = len(rounds)
            self.figure.value = rounds_figure(rounds).html()

    def close(self) -> None:
        """Stop watching, and take the widget away."""
        self._ended.set()
        super().close()

    def still(self) -> Mapping[str, str]:
        """The figure as it stands, and the facts."""
        facts = "\n".join(f"{name}: {value}" for name, value in self._told().items())
        if not (self.now and self.now.metrics):
            return {"text/plain": facts}
        shown = rounds_figure(self.now.metrics).bundle()
        return shown | {"text/plain": f"{facts}\n{shown['text/plain']}"}

    def _watch(self, seconds: float) -> None:
        while not (self.now and self.now.finished) and not self._ended.wait(seconds):
            self.refresh()

    def _told(self) -> dict[str, str]:
        return facts(self.now) if self.now else {"run": f"{self.run.name} has not begun"}
