"""Compare a predicted answer with the right one.

Plain numbers, groups and words are settled here by rational arithmetic in microseconds. The rest (roots, symbols) goes
to a worker process that can be killed, because computer algebra can hang; what it cannot settle stays undecided instead
of being guessed. Text from a model is never evaluated.
"""

from __future__ import annotations

import re
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache

from rstar_mini.answers.maths import Kind, kind
from rstar_mini.answers.read import MATRIX, MAX_LENGTH, UNION, Based, Group, Number, Reading, clean, read, split_name
from rstar_mini.answers.units import same_unit, split_unit
from rstar_mini.answers.worker import same_expression

_CACHED = 2**16
_UNORDERED = ("", "{}", UNION)
_SHORT_WORDS = ("yes", "no", "odd")


class Verdict(StrEnum):
    """The outcome of comparing two answers; only "equal" counts as correct."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNDECIDED = "undecided"


@lru_cache(maxsize=_CACHED)
def compare(predicted: str, gold: str) -> Verdict:
    """Compare a predicted answer with the right one; symmetric for numbers.

    Rational numbers must be exactly equal (0.3333 is not 1/3). A decimal of four or more significant digits equals an
    irrational number that it correctly rounds. A percentage equals a plain number of the same digits. Units and
    currency count only when both sides have them; differing ones are undecided. Brackets keep their kinds: a tuple is
    no list, and no set. Text that is not maths (code, a remark) is different from maths, whatever it would give.

    Raises:
        UserError: computer algebra is needed and math-verify is not installed.
    """
    return _compare(clean(predicted), clean(gold))


@lru_cache(maxsize=_CACHED)
def answer_key(text: str) -> str:
    """A canonical form for grouping votes: equal plain numbers have equal keys, other text is normalised."""
    return _key(read(split_name(clean(text))[1]))


def contradicts(answer: str, printed: str) -> bool:
    """True when both are plain numbers and `answer` is not `printed`, even if a printed decimal fraction is rounded.

    Anything else may be the same thing said otherwise, and is no contradiction.
    """
    said, ran = read(clean(answer)), read(clean(printed))
    if not (isinstance(said, Number) and isinstance(ran, Number)) or said.unit or ran.unit:
        return False
    decimals = re.search(r"\.(\d*)", answer)
    last_place = Fraction(1, 10 ** (len(decimals[1]) if decimals else 0))
    return abs(said.value - ran.value) > (last_place / 2 if "." in printed else 0)


def _compare(predicted: str, gold: str) -> Verdict:
    if not predicted or not gold:
        return Verdict.DIFFERENT
    if predicted == gold:
        return Verdict.EQUAL
    (name, value), (gold_name, gold_value) = split_name(predicted), split_name(gold)
    if name == gold_name or not ("=" in predicted and "=" in gold):
        predicted, gold = value, gold_value
    left, right = read(predicted), read(gold)
    if isinstance(left, Number) and isinstance(right, Number):
        return _compare_numbers(left, right)
    if isinstance(left, Based) or isinstance(right, Based):
        return _compare_based(left, right)
    if isinstance(left, Group) and isinstance(right, Group):
        verdict = _compare_groups(left, right)
        # Inequalities may be the same without being written with the same terms.
        return _compare_texts(predicted, gold) if "<" in left.kind + right.kind and verdict != "equal" else verdict
    if left == right:
        return Verdict.EQUAL
    for group, other, text in (left, right, gold), (right, left, predicted):
        if isinstance(group, Group) and group.kind in ("[]", "{}") and len(group.items) == 1:
            return _compare(group.items[0], text)
        if isinstance(group, Group) and isinstance(other, Number):
            return Verdict.DIFFERENT
    if all(isinstance(side, Number) or _is_word(side) for side in (left, right)):
        same = str(left).replace(" ", "") == str(right).replace(" ", "")
        return Verdict.EQUAL if same else Verdict.DIFFERENT
    return _compare_texts(_exact(left, predicted), _exact(right, gold))


def _exact(side: Reading, text: str) -> str:
    """The text for computer algebra: a mixed number or the like as a fraction, a decimal as it is, digits and all."""
    return str(side.value) if isinstance(side, Number) and "." not in text else text


def _compare_numbers(left: Number, right: Number) -> Verdict:
    if not same_unit(left.unit, right.unit):
        return Verdict.UNDECIDED
    return Verdict.EQUAL if left.value == right.value else Verdict.DIFFERENT


def _compare_based(left: Reading, right: Reading) -> Verdict:
    """Numbers in stated bases are the same when they are written alike; without a base on one side, who knows."""
    if left == right:
        return Verdict.EQUAL
    return Verdict.DIFFERENT if isinstance(left, Based) and isinstance(right, Based) else Verdict.UNDECIDED


def _compare_groups(left: Group, right: Group) -> Verdict:
    kinds = {left.kind, right.kind}
    if len(left.items) != len(right.items) or (len(kinds) == 2 and kinds not in ({"", "[]"}, {"", "{}"})):
        return Verdict.DIFFERENT
    others = list(right.items)
    if kinds <= set(_UNORDERED):
        others = _aligned(left.items, others)
    verdicts = {_compare(*pair) for pair in zip(left.items, others, strict=True)}
    if Verdict.DIFFERENT in verdicts:
        return Verdict.DIFFERENT
    return Verdict.UNDECIDED if Verdict.UNDECIDED in verdicts else Verdict.EQUAL


def _aligned(items: tuple[str, ...], others: list[str]) -> list[str]:
    """`others` reordered so that each stands where its equal is in `items`; order does not matter in a set."""
    rest, found = list(others), []
    for item in items:
        match = next((other for other in rest if _compare(item, other) is Verdict.EQUAL), None)
        found.append(match)
        if match is not None:
            rest.remove(match)
    return [rest.pop() if match is None else match for match in found]


def _compare_texts(predicted: str, gold: str) -> Verdict:
    """By computer algebra, when both are maths."""
    (predicted, unit), (gold, gold_unit) = split_unit(predicted), split_unit(gold)
    if not same_unit(unit, gold_unit):
        return Verdict.UNDECIDED
    kinds = (kind(predicted), kind(gold))
    if Kind.OTHER in kinds:
        return Verdict.UNDECIDED if kinds == (Kind.OTHER, Kind.OTHER) else Verdict.DIFFERENT
    if max(len(predicted), len(gold)) > MAX_LENGTH:
        return Verdict.UNDECIDED
    if "=" in predicted and "=" in gold:
        return _compare_equations(predicted, gold)
    return _by_algebra(predicted, gold)


def _compare_equations(predicted: str, gold: str) -> Verdict:
    """Side by side. Algebra's word that they are the same is not enough: of a = b it may have read b alone."""
    sides, gold_sides = predicted.split("="), gold.split("=")
    if len(sides) == len(gold_sides):
        verdicts = sorted(_compare(a.strip(), b.strip()) for a, b in zip(sides, gold_sides, strict=True))
        if verdicts[-1] is Verdict.EQUAL or verdicts == [Verdict.DIFFERENT, *[Verdict.EQUAL] * (len(sides) - 1)]:
            return verdicts[0]
    verdict = _by_algebra(predicted, gold)
    return Verdict.UNDECIDED if verdict is Verdict.EQUAL else verdict


def _by_algebra(predicted: str, gold: str) -> Verdict:
    same = same_expression(predicted, gold)
    return Verdict.UNDECIDED if same is None else Verdict.EQUAL if same else Verdict.DIFFERENT


def _is_word(side: Reading) -> bool:
    """True for text that is a word for certain, not a product of one-letter variables."""
    if not isinstance(side, str) or not re.fullmatch(r"[a-z][a-z' -]+", side) or kind(side) is Kind.MATHS:
        return side in _SHORT_WORDS
    return any(len(word) > 3 for word in side.split())


def _key(answer: Reading) -> str:
    if isinstance(answer, Number):
        return str(answer.value)
    if isinstance(answer, Based):
        return f"{answer.digits}_{answer.base}"
    if isinstance(answer, Group):
        keys = [_key(read(item)) for item in answer.items]
        keys = sorted(keys) if answer.kind in _UNORDERED else keys
        if answer.kind == MATRIX:
            return "[" + ",".join(keys) + "]"
        return answer.kind[:1] + ",".join(keys) + answer.kind[1:]
    return answer
