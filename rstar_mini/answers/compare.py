"""Compare a predicted answer with the right one.

Plain numbers, groups and words are settled here by rational arithmetic in microseconds. The rest (roots, symbols) goes
to a worker process that can be killed, because computer algebra can hang; what it cannot settle stays undecided instead
of being guessed. Text from a model is never evaluated.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from rstar_mini.answers.comparison import UNORDERED, Comparison, Verdict
from rstar_mini.answers.normalize import normalize
from rstar_mini.answers.read import read, split_name
from rstar_mini.answers.readings import MATRIX, Based, Group, Number, Reading
from rstar_mini.answers.times import Time

_CACHED = 2**16
_MAX_TEXT = 20_000  # characters; longer texts are only compared as they stand
_FRACTION = re.compile(r"-?[0-9]{1,300}(?:\.[0-9]{1,300}|/0{0,9}[1-9][0-9]{0,300})?")


@lru_cache(maxsize=_CACHED)
def compare(predicted: str, gold: str) -> Verdict:
    """Compare a predicted answer with the right one; both orders give the same verdict.

    Rational numbers must be exactly equal (0.3333 is not 1/3). A decimal of four or more significant digits equals an
    irrational number that it correctly rounds. A percentage equals a plain number of the same digits. Units and
    currency count only when both sides have them; differing ones are undecided. Brackets keep their kinds: a tuple is
    no list, and no set. Letters alone are words. What has no value, such as 1/0, equals nothing, itself included. Text
    that is not maths (code, a remark) is different from maths, whatever it would give.

    Raises:
        UserError: computer algebra is needed and math-verify is not installed.
    """
    if _FRACTION.fullmatch(predicted) and _FRACTION.fullmatch(gold):
        same = predicted == gold or Fraction(predicted) == Fraction(gold)  # in microseconds, as most answers are
        return Verdict.EQUAL if same else Verdict.DIFFERENT
    if max(len(predicted), len(gold)) > _MAX_TEXT:
        return Verdict.EQUAL if predicted.strip() == gold.strip() else Verdict.UNDECIDED
    return Comparison().verdict(normalize(predicted), normalize(gold))


@lru_cache(maxsize=_CACHED)
def answer_key(text: str) -> str:
    """A canonical form for grouping votes: equal plain numbers have equal keys, other text is normalised."""
    return _key(read(split_name(normalize(text))[1])) if len(text) <= _MAX_TEXT else text


def contradicts(answer: str, printed: str) -> bool:
    """True when both are plain numbers and `answer` is not `printed`, even if a printed decimal fraction is rounded.

    Anything else may be the same thing said otherwise, and is no contradiction.
    """
    if max(len(answer), len(printed)) > _MAX_TEXT or " " in printed.strip():  # several numbers in a row
        return False
    said, ran = read(normalize(answer)), read(normalize(printed))
    if not (isinstance(said, Number) and isinstance(ran, Number)) or said.unit or ran.unit:
        return False
    decimals = re.search(r"\.(\d*)", answer)
    last_place = Fraction(1, 10 ** (len(decimals[1]) if decimals else 0))
    return abs(said.value - ran.value) > (last_place / 2 if "." in printed else 0)


def _key(answer: Reading) -> str:
    match answer:
        case Number():
            return str(answer.value)
        case Based():
            return f"{answer.digits}_{answer.base}"
        case Time():
            return f"{answer.seconds} s {'of the day' if answer.half_known else 'of its half'}"
        case Group():
            keys = [_key(read(item)) for item in answer.items]
            keys = sorted(keys) if answer.kind in UNORDERED else keys
            if answer.kind == MATRIX:
                return "[" + ",".join(keys) + "]"
            return answer.kind[:1] + ",".join(keys) + answer.kind[1:]
    return " ".join(answer.lower().split()) if re.fullmatch(r"[A-Za-z][A-Za-z' -]+", answer) else answer
