"""How sure a measured accuracy is: Wilson intervals, and those of differences between two systems."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Z95 = 1.959963984540054  # the normal distribution's 97.5 % point


def interval(k: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval for `k` right of `n`, as shares in [0, 1]; (0, 1) when nothing was measured.

    Raises:
        ValueError: `k` is not between 0 and `n`.
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} right of {n} is impossible")
    if n == 0:
        return 0.0, 1.0
    spread = Z95 * math.sqrt(k * (n - k) / n + Z95**2 / 4)
    low, high = ((k + Z95**2 / 2 + sign * spread) / (n + Z95**2) for sign in (-1, 1))
    return max(0.0, low), min(1.0, high)


def unpaired_difference(a: tuple[float, int], b: tuple[float, int]) -> tuple[float, float, float]:
    """Difference in accuracy of `a` over `b`, each (right, of how many), with its 95 % interval: (mean, low, high).

    Newcombe's interval from the two of Wilson. It takes the two for independent, so on the same problems, where they
    are not, it is wider than `paired_bootstrap`, which needs every single result.

    Raises:
        ValueError: one of the two counts nothing, or more right than there are.
    """
    if not a[1] or not b[1]:
        raise ValueError("a difference needs at least one problem on each side")
    (low_a, high_a), (low_b, high_b), p, q = interval(*a), interval(*b), a[0] / a[1], b[0] / b[1]
    below = math.hypot(p - low_a, high_b - q)
    above = math.hypot(high_a - p, q - low_b)
    return p - q, p - q - below, p - q + above


def bootstrap(values: Sequence[float], seed: int, draws: int = 10_000) -> tuple[float, float, float]:
    """Mean of one value a problem with its 95 % percentile interval: (mean, low, high).

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("a mean needs at least one value")
    return float(np.mean(values)), *_percentiles(np.asarray(values, dtype=float), seed, draws)


def paired_bootstrap(
    a: Sequence[float], b: Sequence[float], seed: int, draws: int = 10_000
) -> tuple[float, float, float]:
    """Difference in accuracy of `a` over `b` on the same problems with its 95 % interval: (mean, low, high).

    An entry is right (1), wrong (0), or the share of seeds under which the problem was right. One problem won and one
    lost are added to those drawn from, as Bonett and Price (2012) add them to their interval of a paired difference:
    percentiles alone would call four wins to none settled, which by a sign test is luck once in eight times. Six are.

    Raises:
        ValueError: the lists are empty or of different lengths.
    """
    if len(a) != len(b) or not a:
        raise ValueError(f"paired lists must be of one length and not empty, not {len(a)} and {len(b)}")
    won = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    return float(won.mean()), *_percentiles(np.append(won, [1.0, -1.0]), seed, draws)


def _percentiles(values: np.ndarray, seed: int, draws: int) -> tuple[float, float]:
    """Where 95 % of the means of resamples lie.

    There are few distinct values, so a resample is a multinomial draw of how often each occurs: the same distribution
    as drawing value by value, for much less work.
    """
    distinct, counts = np.unique(values, return_counts=True)
    n = len(values)
    means = np.random.default_rng(seed).multinomial(n, counts / n, size=draws) @ distinct / n
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
