"""Rates and their ratios: two ways of doing the same thing, timed in turn in one run, because machines are noisy."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, median, stdev

# 97.5 % points of Student's t for 1, 2, ... degrees of freedom; more repeats than these nobody waits for.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the bench: `value` in `unit`, what the other way gives, and the ratio with its 95 % interval.

    Values are medians of `n` repeats. Without another way, or with one repeat, what cannot be known is None.
    """

    what: str
    unit: str
    value: float
    n: int = 1
    against: str | None = None
    other: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of a piece of work."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def row(what: str, unit: str, values: Sequence[float], against: str | None = None, others: Sequence[float] = ()) -> Row:
    """A line from repeats that were taken in pairs; the interval is Student's, of the pairs' log ratios."""
    if against is None:
        return Row(what, unit, median(values), len(values))
    logs = [math.log(a / b) for a, b in zip(values, others, strict=True)]
    n, middle = len(logs), mean(logs)
    spread = _T[min(n - 2, len(_T) - 1)] * stdev(logs) / math.sqrt(n) if n > 1 else None
    low, high = (None, None) if spread is None else (math.exp(middle - spread), math.exp(middle + spread))
    return Row(what, unit, median(values), n, against, median(others), math.exp(middle), low, high)


def in_turn(ways: Sequence[Callable[[], float]], repeats: int) -> list[list[float]]:
    """The rates that each way gives, [ways][repeats], taken in turn."""
    taken = [[way() for way in ways] for _ in range(repeats)]
    return [list(column) for column in zip(*taken, strict=True)]
