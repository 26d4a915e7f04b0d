"""The systems of one evaluation side by side: accuracy, tokens, and the paired differences, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from rstar_mini.show.figures import draw_shares
from rstar_mini.show.picture import WIDEST, Picture
from rstar_mini.show.tables import difference, share


def systems_figure(evaluation: Mapping[str, Any]) -> Picture:
    """Accuracy of each system at the left, differences problem by problem at the right.

    Args:
        evaluation: that of one round, as `metrics.json` stores it.
    """
    systems, paired = evaluation["systems"], evaluation["paired"]
    figure = Picture(figsize=(WIDEST, 1.3 + 0.5 * max(len(systems), len(paired))), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_shares(left, {f"{name}\n{each['tokens']:,.0f} tokens": each for name, each in systems.items()})
    _draw_differences(right, paired)
    size = f"n = {evaluation['n']} held-out problems, seed {evaluation['seed']}"
    figure.suptitle(size, fontsize=10)
    accuracy = [f"{name}: {share(each)} %, {each['tokens']:,.0f} tokens a problem" for name, each in systems.items()]
    gaps = [f"{name}: {difference(each)} points" for name, each in paired.items()]
    figure.words = "\n".join([f"{size}, 95 % intervals", *accuracy, *gaps])
    return figure


def _draw_differences(ax: Axes, paired: Mapping[str, Sequence[float]]) -> None:
    for y, each in enumerate(paired.values()):
        mean, low, high = (100 * value for value in each)
        ax.plot([low, high], [y, y], color="black")
        ax.plot(mean, y, "o", color="black")
    ax.axvline(0, color="black", linewidth=0.8, linestyle=":")
    ax.set(yticks=range(len(paired)), yticklabels=paired, ylim=(len(paired) - 0.5, -0.5))
    ax.set_xlabel("difference (points), 95 % intervals")
    ax.grid(axis="x", color="0.9")
