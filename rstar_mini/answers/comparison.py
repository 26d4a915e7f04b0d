"""One comparison of two normalised answers, everything nested in them included, within one budget."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from enum import StrEnum
from fractions import Fraction

from rstar_mini.answers.intervals import is_inequality, solutions
from rstar_mini.answers.maths import Kind, kind
from rstar_mini.answers.normalize import UNION
from rstar_mini.answers.read import MAX_LENGTH, read, read_number, split_name
from rstar_mini.answers.readings import RATIO, Based, Group, Number, Reading
from rstar_mini.answers.times import Time, same_time
from rstar_mini.answers.units import NO_UNIT, Unit, same_unit, split_unit
from rstar_mini.answers.words import has_no_value, is_words, same_words
from rstar_mini.answers.worker import SECONDS, same_expression

UNORDERED = ("", "{}", UNION, "or", "and")  # kinds of groups
_MAX_PAIRS = 2000  # comparisons within one, of lists in lists
_Expression = tuple[str, Unit]  # for computer algebra, and the unit that stood beside it


class Verdict(StrEnum):
    """The outcome of comparing two answers; only "equal" counts as correct."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNDECIDED = "undecided"


class Comparison:
    """Compares two answers and what is in them; undecided once its time or its number of pairs is used up."""

    def __init__(self) -> None:
        self.start = time.thread_time()
        self.algebra = 0.0  # seconds of CPU time that the worker took
        self.seen: dict[tuple[str, str], Verdict] = {}

    def left(self) -> float:
        """Seconds of CPU time that this comparison may still take, in this thread and in the worker together."""
        return SECONDS - (time.thread_time() - self.start) - self.algebra

    def verdict(self, predicted: str, gold: str) -> Verdict:
        """Compare two texts, each pair of them once."""
        pair = predicted, gold
        if pair not in self.seen:
            if self._is_spent():
                return Verdict.UNDECIDED
            self.seen[pair] = self._verdict(predicted, gold)
        return self.seen[pair]

    def _is_spent(self) -> bool:
        # The clock is a system call, so it is read at every 32nd pair only.
        pairs = len(self.seen)
        return pairs >= _MAX_PAIRS or (pairs % 32 == 31 and self.left() <= 0)

    def _verdict(self, predicted: str, gold: str) -> Verdict:
        if not predicted or not gold or has_no_value(predicted) or has_no_value(gold):
            return Verdict.DIFFERENT
        if predicted == gold:
            return Verdict.EQUAL
        if is_words(predicted) and is_words(gold):
            return _decided(same_words(predicted, gold))
        (name, value), (gold_name, gold_value) = split_name(predicted), split_name(gold)
        if name == gold_name or not ("=" in predicted and "=" in gold):
            predicted, gold = value, gold_value
        left, right = read(predicted), read(gold)
        if isinstance(left, Group) and isinstance(right, Group):
            if is_inequality(left) or is_inequality(right):
                return self._inequalities((left, predicted, name), (right, gold, gold_name))
            return self._items(left, right)
        if isinstance(left, Group):
            return self._group_and_other(left, predicted, right, gold)
        if isinstance(right, Group):
            return self._group_and_other(right, gold, left, predicted)
        return self._values(left, predicted, right, gold)

    def _values(self, left: Reading, predicted: str, right: Reading, gold: str) -> Verdict:
        """Compare what is no group."""
        if isinstance(left, Number) and isinstance(right, Number):
            return _compare_numbers(left, right)
        if isinstance(left, Time) and isinstance(right, Time):
            return _decided(same_time(left, right))
        if isinstance(left, Time) or isinstance(right, Time):
            return Verdict.DIFFERENT
        if left == right:
            return Verdict.EQUAL
        if isinstance(left, Based) or isinstance(right, Based):  # without a base on one side, who knows
            return Verdict.DIFFERENT if isinstance(left, Based) and isinstance(right, Based) else Verdict.UNDECIDED
        return self._expressions(_expression(left, predicted), _expression(right, gold))

    def _group_and_other(self, group: Group, group_text: str, other: Reading, text: str) -> Verdict:
        if group.kind in ("[]", "{}") and len(group.items) == 1:
            return self.verdict(group.items[0], text)
        if group.kind == RATIO:
            if isinstance(other, Time) or len(group.items) > 2:
                return Verdict.UNDECIDED
            return self.verdict("({})/({})".format(*group.items), text)
        if not isinstance(other, str) or is_words(text):
            return Verdict.DIFFERENT
        return self._expressions(split_unit(group_text), split_unit(text))

    def _inequalities(self, left: tuple[Group, str, str], right: tuple[Group, str, str]) -> Verdict:
        """Compare the solutions where there is one variable; else the terms, as they stand and by algebra."""
        (ours, predicted, name), (theirs, gold, gold_name) = left, right
        found, gold_found = _solutions(ours, name), _solutions(theirs, gold_name)
        if found and gold_found:
            if found[0] and gold_found[0] and found[0] != gold_found[0]:
                return Verdict.DIFFERENT
            return self._items(found[1], gold_found[1])
        if not (is_inequality(ours) and is_inequality(theirs)):
            return Verdict.UNDECIDED
        verdict = self._items(ours, theirs)
        return verdict if verdict is Verdict.EQUAL else self._expressions((predicted, NO_UNIT), (gold, NO_UNIT))

    def _items(self, left: Group, right: Group) -> Verdict:
        kinds = {left.kind, right.kind}
        if len(left.items) != len(right.items) or (len(kinds) == 2 and kinds not in ({"", "[]"}, {"", "{}"})):
            return Verdict.DIFFERENT
        if kinds <= set(UNORDERED):
            return self._unordered(left.items, right.items)
        verdict = _all(self.verdict(*pair) for pair in zip(left.items, right.items, strict=True))
        if left.kind == RATIO and verdict is Verdict.DIFFERENT:
            return _decided(_proportional([read(item) for item in left.items], [read(item) for item in right.items]))
        return verdict

    def _unordered(self, items: tuple[str, ...], others: tuple[str, ...]) -> Verdict:
        """Match each item with one that is equal to it. Sorted ones are found at once, whatever the order was."""
        rest, alone = sorted(others, key=key_of), []
        for item in sorted(items, key=key_of):
            if self._is_spent():
                return Verdict.UNDECIDED
            match = next((other for other in rest if self.verdict(item, other) is Verdict.EQUAL), None)
            if match is None:
                alone.append(item)
            else:
                rest.remove(match)
        if not alone:
            return Verdict.EQUAL
        certain = any(all(self.verdict(item, other) is Verdict.DIFFERENT for other in rest) for item in alone)
        return Verdict.DIFFERENT if certain else Verdict.UNDECIDED

    def _expressions(self, left: _Expression, right: _Expression) -> Verdict:
        """By computer algebra, when both are maths."""
        (predicted, unit), (gold, gold_unit) = left, right
        if not same_unit(unit, gold_unit):
            return Verdict.UNDECIDED
        kinds = (kind(predicted), kind(gold))
        if Kind.OTHER in kinds:
            return Verdict.UNDECIDED if kinds == (Kind.OTHER, Kind.OTHER) else Verdict.DIFFERENT
        if max(len(predicted), len(gold)) > MAX_LENGTH:
            return Verdict.UNDECIDED
        if "=" in predicted and "=" in gold:
            return self._equations(predicted, gold)
        return self._by_algebra(predicted, gold)

    def _equations(self, predicted: str, gold: str) -> Verdict:
        """Side by side. Algebra's word that they are the same is not enough: of a = b it may have read b alone."""
        sides, gold_sides = predicted.split("="), gold.split("=")
        if len(sides) == len(gold_sides):
            verdicts = sorted(self.verdict(a.strip(), b.strip()) for a, b in zip(sides, gold_sides, strict=True))
            if verdicts[-1] is Verdict.EQUAL or verdicts == [Verdict.DIFFERENT, *[Verdict.EQUAL] * (len(sides) - 1)]:
                return verdicts[0]
        verdict = self._by_algebra(predicted, gold)
        return Verdict.UNDECIDED if verdict is Verdict.EQUAL else verdict

    def _by_algebra(self, predicted: str, gold: str) -> Verdict:
        if self.left() <= 0:
            return Verdict.UNDECIDED
        same, seconds = same_expression(predicted, gold, self.left())
        self.algebra += seconds
        return _decided(same)


def key_of(item: str) -> str:
    """A key that is the same for equal numbers, to sort by."""
    number = read_number(item)
    return str(number.value) if number else item


def _decided(same: bool | None) -> Verdict:
    return Verdict.UNDECIDED if same is None else Verdict.EQUAL if same else Verdict.DIFFERENT


def _all(verdicts: Iterable[Verdict]) -> Verdict:
    """Different if one is, or else undecided if one is."""
    found = set(verdicts)
    return next((verdict for verdict in (Verdict.DIFFERENT, Verdict.UNDECIDED) if verdict in found), Verdict.EQUAL)


def _compare_numbers(left: Number, right: Number) -> Verdict:
    if not same_unit(left.unit, right.unit):
        return Verdict.UNDECIDED
    if left.value != right.value:
        return Verdict.DIFFERENT
    sure = left.unit.sure and right.unit.sure or (left.unit and right.unit)
    return Verdict.EQUAL if sure else Verdict.UNDECIDED  # 5m and 5: a length, or a product


def _proportional(left: list[Reading], right: list[Reading]) -> bool | None:
    """Whether two ratios of numbers are the same, as 6:8 and 3:4 are."""
    ours = [side.value for side in left if isinstance(side, Number) and not side.unit]
    theirs = [side.value for side in right if isinstance(side, Number) and not side.unit]
    if len(ours) < len(left) or len(theirs) < len(right):
        return False
    return any(ours) and any(theirs) and all(a * theirs[0] == b * ours[0] for a, b in zip(ours, theirs, strict=True))


def _solutions(group: Group, name: str) -> tuple[str, Group] | None:
    """The variable, "" without one, and the interval or union of them that a group is."""
    if is_inequality(group):
        return solutions(group)
    return (name, group) if group.kind == UNION or group.kind in ("()", "[]", "(]", "[)") else None


def _expression(side: Reading, text: str) -> _Expression:
    """The text for computer algebra: a mixed number or the like as a fraction, a decimal as it is, digits and all."""
    if not isinstance(side, Number):
        return split_unit(text)
    if not side.unit.sure:
        return text, NO_UNIT
    decimal = re.search(r"[0-9]*\.[0-9]+", text)
    if decimal and Fraction(decimal[0]) == abs(side.value):
        return "-" * (side.value < 0) + decimal[0], side.unit
    return str(side.value), side.unit
