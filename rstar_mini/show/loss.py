"""The loss of a training, smoothed, with held-out accuracy beside it: a loss alone does not say what was learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rstar_mini.show.figures import PALETTE, Counts, draw_shares
from rstar_mini.show.picture import WIDEST, Picture
from rstar_mini.show.tables import share
from rstar_mini.show.tree_plot import plain

WINDOW = 1 / 5  # of all steps: what a smoothed value is the mean of


def loss_figure(
    curve: Sequence[Mapping[str, Any]], held_out: Mapping[str, Counts], levels: Mapping[str, float] | None = None
) -> Picture:
    """The loss over the steps, raw (faint) and smoothed, and beside it the accuracy of each system of `held_out`.

    Args:
        curve: the rows of a training log, each with its step and loss.
        held_out: how many of n held-out problems or pairs are right, by name; its 95 % intervals are drawn.
        levels: losses to compare with, such as that of a model without an opinion, by name; dotted lines.
    """
    figure = Picture(figsize=(WIDEST, 3), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    steps, raw = [row["step"] for row in curve], [row["loss"] for row in curve]
    smooth = moving_mean(raw)
    left.plot(steps, raw, color=PALETTE[0], alpha=0.3, linewidth=0.9, label="one batch")
    left.plot(steps, smooth, color=PALETTE[0], linewidth=2, label="moving mean")
    for name, loss in (levels or {}).items():
        left.axhline(loss, color="black", linewidth=0.8, linestyle=":")
        left.annotate(plain(name), (1, loss), xycoords=("axes fraction", "data"), fontsize=8, ha="right", va="bottom")
    left.set(xlabel="optimiser step", ylabel="loss", title="Training")
    left.legend(frameon=False, fontsize=8)
    draw_shares(right, held_out)
    right.set_title("Held-out accuracy")
    ends = f"loss, moving mean over {len(curve)} steps: {smooth[0]:.4f} at first, {smooth[-1]:.4f} at last"
    compared = [f"{name}: {loss:.4f}" for name, loss in (levels or {}).items()]
    accuracy = [f"held-out, {name}: {share(counts)} %" for name, counts in held_out.items()]
    figure.words = "\n".join([ends, *compared, *accuracy])
    return figure


def moving_mean(values: Sequence[float]) -> list[float]:
    """Each value's mean with its neighbours on both sides, a fifth of all values together; fewer at the ends."""
    reach = round(WINDOW * len(values) / 2)
    return [float(np.mean(values[max(0, i - reach) : i + reach + 1])) for i in range(len(values))]
