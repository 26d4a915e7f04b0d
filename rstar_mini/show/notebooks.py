"""Run the notebooks from top to bottom in fresh kernels: `python -m rstar_mini.show.notebooks --tier TIER [NAME ...]`.

The replay tier stores the new outputs in the notebooks. `--tier live` computes every long step and stores nothing; it
says what each notebook cost. `--tier record` computes the long steps and stores their results in `data/replay/`; run
the replay tier after it.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from rich.table import Table

from rstar_mini.paths import notebooks_dir
from rstar_mini.show.console import PlainConsole
from rstar_mini.show.lesson import Tier

LONGEST_CELL = 3600  # seconds
WIDGET = "application/vnd.jupyter.widget-view+json"
# Linux counts to a process's own peak what the process that started it had; its VmHWM is free of that.
_MEMORY = """
import pathlib as _pathlib, re as _re, resource as _resource
_status = _pathlib.Path("/proc/self/status")
_own = _resource.getrusage(_resource.RUSAGE_SELF).ru_maxrss
if _status.exists():
    _own = int(_re.search("VmHWM:[^0-9]+([0-9]+)", _status.read_text())[1])
print((_own + _resource.getrusage(_resource.RUSAGE_CHILDREN).ru_maxrss) / 1e6)
"""
_CARD = re.compile(r"^\| (replay|rehearsal|live) \| (\d+) (s|min) \| ([\d.]+) GB \| (.+) \|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall-clock seconds and peak memory of a run in one tier."""

    seconds: float
    gigabytes: float


def cost_card(notebook: NotebookNode) -> dict[str, Cost]:
    """What a lesson says that it costs: its table of tiers; a rehearsal runs in the place of the replay tier."""
    return {
        tier.replace("rehearsal", "replay"): Cost(float(time) * (60 if unit == "min" else 1), float(memory))
        for tier, time, unit, memory, _ in _CARD.findall(notebook.cells[0].source)
    }


def execute(notebook: NotebookNode, folder: Path, tier: str = Tier.REPLAY, kernel: str = "python3") -> Cost:
    """Run a notebook in a fresh kernel that works in `folder`; its outputs are replaced by those of the run.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed that is not tagged "raises-exception".
    """
    probe = nbformat.v4.new_code_cell(_MEMORY)
    notebook.cells.append(probe)
    client = NotebookClient(
        notebook,
        kernel_name=kernel,
        resources={"metadata": {"path": str(folder)}},
        timeout=LONGEST_CELL,
        record_timing=False,
        store_widget_state=False,
    )
    start = time.monotonic()
    try:
        client.execute(env=os.environ | {"RSTAR_TIER": str(tier)})
    finally:
        notebook.cells.pop()
    _keep_pictures(notebook)
    return Cost(time.monotonic() - start, float(probe.outputs[0].text.split()[-1]))  # a banner may stand above


def _keep_pictures(notebook: NotebookNode) -> None:
    """Store still pictures alone: a widget shows an error without its kernel, and an <img> is a copy of the image."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            data.pop(WIDGET, None)
            if "image/png" in data:
                data.pop("text/html", None)


def _chosen(names: Sequence[str]) -> list[Path]:
    paths = [*sorted(notebooks_dir().glob("*.ipynb")), *sorted(notebooks_dir().glob("solutions/*.ipynb"))]
    return [path for path in paths if not names or any(path.stem.startswith(name) for name in names)]


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Run the notebooks, all or those whose names begin as given.")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--tier", choices=list(Tier), default=Tier.REPLAY)
    arguments = parser.parse_args(argv)
    table: Any = Table("notebook", "seconds", "said", "GB", "said", title=f"{arguments.tier} tier")
    for path in _chosen(arguments.names):
        notebook = nbformat.read(path, as_version=4)
        spare = arguments.tier == Tier.RECORD and path.parent.name == "solutions"  # the lesson's recordings are enough
        with tempfile.TemporaryDirectory() as folder:
            cost = execute(notebook, Path(folder), Tier.LIVE if spare else arguments.tier)
        said = cost_card(notebook).get("replay" if arguments.tier == Tier.REPLAY else "live")
        cells = (f"{cost.seconds:.0f}", f"{said.seconds:.0f}" if said else "", f"{cost.gigabytes:.1f}")
        table.add_row(f"{path.parent.name}/{path.stem}", *cells, f"{said.gigabytes}" if said else "")
        PlainConsole().print(f"{path.stem}: {cost.seconds:.0f} s")
        if arguments.tier == Tier.REPLAY:
            nbformat.write(notebook, path)
    PlainConsole().print(table)


if __name__ == "__main__":
    main()
