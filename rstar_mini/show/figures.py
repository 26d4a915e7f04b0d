"""Accuracy and coverage by round, with 95 % intervals, and the PPM's scores along solutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from rstar_mini.evaluation.statistics import interval
from rstar_mini.show.picture import SMALL, WIDEST, Picture
from rstar_mini.show.tables import share
from rstar_mini.show.tree_plot import COLOURS, colour, ink, plain
from rstar_mini.show.view import label, wrapped
from rstar_mini.types import Trajectory

# Okabe and Ito's palette: told apart with any colour vision.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
MARKERS = "os^Dv<>"
STRIP_CHARACTER = 0.062  # inches of a character in a strip of scores, and of the room around it

Counts = Mapping[str, int]
Panel = tuple[str, str, Sequence[tuple[int, Mapping[str, Counts]]]]
"""Title, what the y axis shows, and for each round the counts of each series."""


def accuracy_figure(metrics: Sequence[Mapping[str, Any]]) -> Picture:
    """Held-out accuracy of each system by round; round 0 is the base model."""
    return _figure([_accuracy(metrics)])


def coverage_figure(metrics: Sequence[Mapping[str, Any]]) -> Picture:
    """Share of the training problems with a right trajectory by round, for each level and for all."""
    return _figure([_coverage(metrics)])


def rounds_figure(metrics: Sequence[Mapping[str, Any]]) -> Picture:
    """Accuracy and coverage beside each other."""
    return _figure([_accuracy(metrics), _coverage(metrics)])


def score_strip(trajectories: Sequence[Trajectory], scores: Sequence[Sequence[float]]) -> Picture:
    """One row for each solution, one cell for each of its steps, coloured by the PPM's score from -1 to 1."""
    longest = max(len(row) for row in scores)
    width = min(WIDEST, 1.5 + 1.9 * longest)
    figure = Picture(figsize=(width, 0.5 + 0.8 * len(scores)), layout="constrained")
    ax = figure.add_subplot()
    words, characters = ["PPM scores along solutions"], int((width - 1.5) / longest / STRIP_CHARACTER)
    for y, (trajectory, row) in enumerate(zip(trajectories, scores, strict=True)):
        labels = [label(step) for step in trajectory.steps]
        for x, (text, score) in enumerate(zip(labels, row, strict=True)):
            ax.add_patch(Rectangle((x, y + 0.05), 0.97, 0.9, facecolor=colour(score), edgecolor="none"))
            cell = plain("\n".join([*wrapped(text, characters, 3), f"{score:+.2f}"]))
            ax.text(x + 0.485, y + 0.5, cell, ha="center", va="center", fontsize=SMALL, color=ink(score))
        verdict = {True: "right", False: "wrong", None: "unjudged"}[trajectory.correct]
        ax.text(-0.05, y + 0.5, verdict, ha="right", va="center", fontsize=8)
        scored = (f"{text} {score:+.2f}" for text, score in zip(labels, row, strict=True))
        words.append(f"{verdict}: {'; '.join(scored)}")
    ax.set(xlim=(-0.4, longest), ylim=(len(scores), 0))
    ax.set_axis_off()
    figure.colorbar(COLOURS, ax=ax, fraction=0.03, label="PPM", pad=0.01, ticks=[-1, 0, 1])
    figure.words = "\n".join(words)
    return figure


def draw_shares(ax: Axes, series: Mapping[str, Counts]) -> None:
    """How many of n are right, in percent: one row for each series, with its 95 % interval."""
    for y, counts in enumerate(series.values()):
        low, high = (100 * end for end in interval(counts["correct"], counts["n"]))
        ax.plot([low, high], [y, y], color=PALETTE[y % len(PALETTE)])
        ax.plot(100 * counts["correct"] / counts["n"], y, "o", color=PALETTE[y % len(PALETTE)])
    ax.set(yticks=range(len(series)), yticklabels=map(plain, series), xlim=(0, 100))
    ax.set(ylim=(len(series) - 0.5, -0.5), xlabel="right (%), 95 % intervals")
    ax.grid(axis="x", color="0.9")


def _accuracy(metrics: Sequence[Mapping[str, Any]]) -> Panel:
    rows = [(row["round"], row.get("evaluation", {}).get("systems", {})) for row in metrics]
    return "Held-out accuracy, 95 % intervals", "problems right (%)", rows


def _coverage(metrics: Sequence[Mapping[str, Any]]) -> Panel:
    rows = [(row["round"], {_level(name): c for name, c in row.get("coverage", {}).items()}) for row in metrics]
    return "Coverage of the training problems, 95 % intervals", "problems solved (%)", rows


def _level(name: str) -> str:
    return f"level {name}" if name.isdigit() else name


def _figure(panels: Sequence[Panel]) -> Picture:
    figure = Picture(figsize=(6.4 if len(panels) == 1 else WIDEST, 3.8), layout="constrained")
    words: list[str] = []
    for k, (title, what, rows) in enumerate(panels, 1):
        ax = figure.add_subplot(1, len(panels), k)
        names = list(dict.fromkeys(name for _, series in rows for name in series))
        for i, name in enumerate(names):
            points = [(number, series[name]) for number, series in rows if series.get(name, {}).get("n")]
            if points:
                _draw_series(ax, i, len(names), name, points)
        ax.set(xlabel="round (0: base model)", ylabel=what, ylim=(-2, 102))
        ax.set_title(title.replace(", ", ",\n"), fontsize=10)
        ax.set_xticks([number for number, _ in rows])
        ax.grid(axis="y", color="0.9")
        if ax.get_legend_handles_labels()[0]:
            beside, below = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}, {"loc": "best", "fontsize": 8}
            ax.legend(frameon=False, **(beside if len(panels) == 1 else below))
        words += [title, *(_in_words(name, rows) for name in names)]
    figure.words = "\n".join(words)
    return figure


def _in_words(name: str, rows: Sequence[tuple[int, Mapping[str, Counts]]]) -> str:
    """A line: what the series is at each round."""
    points = [f"round {number}: {share(series[name])}" for number, series in rows if series.get(name, {}).get("n")]
    return f"{name}: {'; '.join(points)}"


def _draw_series(ax: Axes, i: int, of: int, name: str, points: Sequence[tuple[int, Counts]]) -> None:
    """One line with its error bars, moved sideways a little so that the bars of several lines stay apart."""
    xs = [number + 0.05 * (i - (of - 1) / 2) for number, _ in points]
    shares = [100 * c["correct"] / c["n"] for _, c in points]
    ends = [interval(c["correct"], c["n"]) for _, c in points]
    below = [max(0.0, share - 100 * low) for share, (low, _) in zip(shares, ends, strict=True)]
    above = [max(0.0, 100 * high - share) for share, (_, high) in zip(shares, ends, strict=True)]
    colour, marker = PALETTE[i % len(PALETTE)], MARKERS[i % len(MARKERS)]
    ax.errorbar(xs, shares, [below, above], color=colour, marker=marker, markersize=5, capsize=2, label=plain(name))
