"""What a final answer can be read as."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from rstar_mini.answers.times import Time
from rstar_mini.answers.units import NO_UNIT, Unit

MATRIX, RATIO = "matrix", ":"


@dataclass(frozen=True)
class Number:
    """An exact rational number with the unit that stood beside it."""

    value: Fraction
    unit: Unit = NO_UNIT


@dataclass(frozen=True)
class Based:
    """Digits in a stated base, as in 101_2."""

    digits: str
    base: int


@dataclass(frozen=True)
class Group:
    """Several in one: `kind` is the brackets, "" without any, UNION, MATRIX, RATIO, or the signs of an inequality."""

    kind: str
    items: tuple[str, ...]


Reading = Number | Based | Time | Group | str
