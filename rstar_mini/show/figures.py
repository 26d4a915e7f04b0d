"""Accuracy and coverage by round, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rstar_mini.evaluation.statistics import interval

# Okabe and Ito's palette: told apart with any colour vision.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
MARKERS = "os^Dv<>"

Counts = Mapping[str, int]


def accuracy_figure(metrics: Sequence[Mapping[str, Any]]) -> Figure:
    """Held-out accuracy of each system by round; round 0 is the base model."""
    rows = [(row["round"], row.get("evaluation", {}).get("systems", {})) for row in metrics]
    return _figure(rows, "problems right (%)", "Held-out accuracy, 95 % intervals")


def coverage_figure(metrics: Sequence[Mapping[str, Any]]) -> Figure:
    """Share of the training problems with a right trajectory by round, for each level and for all."""
    rows = [(row["round"], {_level(name): c for name, c in row.get("coverage", {}).items()}) for row in metrics]
    return _figure(rows, "problems solved (%)", "Coverage of the training problems, 95 % intervals")


def _level(name: str) -> str:
    return name if name == "all" else f"level {name}"


def _figure(rows: Sequence[tuple[int, Mapping[str, Counts]]], what: str, title: str) -> Figure:
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    ax = figure.add_subplot()
    names = list(dict.fromkeys(name for _, series in rows for name in series))
    for i, name in enumerate(names):
        points = [(number, series[name]) for number, series in rows if series.get(name, {}).get("n")]
        if points:
            _draw_series(ax, i, len(names), name, points)
    ax.set(xlabel="round (0: base model)", ylabel=what, title=title, ylim=(-2, 102))
    ax.set_xticks([number for number, _ in rows])
    ax.grid(axis="y", color="0.9")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _draw_series(ax: Axes, i: int, of: int, name: str, points: Sequence[tuple[int, Counts]]) -> None:
    """One line with its error bars, moved sideways a little so that the bars of several lines stay apart."""
    xs = [number + 0.05 * (i - (of - 1) / 2) for number, _ in points]
    shares = [100 * c["correct"] / c["n"] for _, c in points]
    ends = [interval(c["correct"], c["n"]) for _, c in points]
    below = [max(0.0, share - 100 * low) for share, (low, _) in zip(shares, ends, strict=True)]
    above = [max(0.0, 100 * high - share) for share, (_, high) in zip(shares, ends, strict=True)]
    colour, marker = PALETTE[i % len(PALETTE)], MARKERS[i % len(MARKERS)]
    ax.errorbar(xs, shares, [below, above], color=colour, marker=marker, markersize=5, capsize=2, label=name)
