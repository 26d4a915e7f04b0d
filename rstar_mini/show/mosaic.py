"""A mosaic of the training problems: one cell a problem, one panel a round, blue where the round solved the problem."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.colors import ListedColormap

from rstar_mini.show.figures import PALETTE
from rstar_mini.show.picture import WIDEST, Picture
from rstar_mini.show.tables import share

COLOURS = ListedColormap(["#ffffff", "#d9d9d9", PALETTE[0]])  # no problem, not solved, solved


def mosaic_figure(solved: Sequence[Sequence[bool]]) -> Picture:
    """Which problem was solved in which round.

    Args:
        solved: for each round, whether each problem was solved; a problem has the same place in all rounds.
    """
    rounds, n = len(solved), len(solved[0])
    columns = math.ceil(math.sqrt(n))
    figure = Picture(figsize=(WIDEST, 0.5 + WIDEST / max(2, rounds)), layout="constrained")
    words = [f"{n} training problems, one cell each, blue where the round solved it"]
    for number, (ax, row) in enumerate(zip(figure.subplots(1, rounds, squeeze=False)[0], solved, strict=True), 1):
        cells = np.zeros(math.ceil(n / columns) * columns)
        cells[:n] = [1 + bool(right) for right in row]
        ax.pcolormesh(cells.reshape(-1, columns), cmap=COLOURS, vmin=0, vmax=2, edgecolors="white", linewidth=0.3)
        ax.set_title(f"round {number}\n{sum(map(bool, row)) / n:.0%} solved", fontsize=10)
        ax.set_aspect("equal")
        ax.invert_yaxis()
        ax.set_axis_off()
        words.append(f"round {number}: {share({'correct': sum(map(bool, row)), 'n': n})} % solved")
    figure.words = "\n".join(words)
    return figure
