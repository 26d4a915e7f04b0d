"""Are two final answers the same? Exact arithmetic first, computer algebra second, and "undecided" where neither knows.

Plain numbers, lists and words are settled here by rational arithmetic in microseconds. The rest (roots, symbols, sets)
goes to a worker process that can be killed, because computer algebra can hang; what it cannot settle stays undecided
instead of being guessed. Text from a model is never evaluated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache

from rstar_mini.answers_worker import same_expression

_MAX_LENGTH = 1000  # characters; nothing longer is a final answer
_CACHED = 2**16


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
    currency count only when both sides have them; differing ones are undecided.

    Raises:
        UserError: computer algebra is needed and math-verify is not installed.
    """
    return _compare(_clean(predicted), _clean(gold))


@lru_cache(maxsize=_CACHED)
def answer_key(text: str) -> str:
    """A canonical form for grouping votes: equal plain numbers have equal keys, other text is normalised."""
    return _key(_read(_split_name(_clean(text))[1]))


def contradicts(answer: str, printed: str) -> bool:
    """True when both are plain numbers and `answer` is not `printed`, even if a printed decimal fraction is rounded.

    Anything else may be the same thing said otherwise, and is no contradiction.
    """
    said, ran = _read(_clean(answer)), _read(_clean(printed))
    if not (isinstance(said, _Number) and isinstance(ran, _Number)) or said.unit or ran.unit:
        return False
    decimals = re.search(r"\.(\d*)", answer)
    last_place = Fraction(1, 10 ** (len(decimals[1]) if decimals else 0))
    return abs(said.value - ran.value) > (last_place / 2 if "." in printed else 0)


@dataclass(frozen=True)
class _Number:
    value: Fraction
    unit: str = ""


@dataclass(frozen=True)
class _Group:
    """A list, tuple, set or interval; `brackets` is "" when there were none."""

    brackets: str
    items: tuple[str, ...]


# ---- comparing ----


def _compare(predicted: str, gold: str) -> Verdict:
    if not predicted or not gold:
        return Verdict.DIFFERENT
    (name, value), (gold_name, gold_value) = _split_name(predicted), _split_name(gold)
    if not (name and gold_name) or name == gold_name:
        predicted, gold = value, gold_value
    left, right = _read(predicted), _read(gold)
    if isinstance(left, _Number) and isinstance(right, _Number):
        return _compare_numbers(left, right)
    if isinstance(left, _Group) and isinstance(right, _Group):
        return _compare_groups(left, right)
    if left == right:
        return Verdict.EQUAL
    for group, other, text in (left, right, gold), (right, left, predicted):
        if isinstance(group, _Group) and group.brackets in ("[]", "{}") and len(group.items) == 1:
            return _compare(group.items[0], text)
        if isinstance(group, _Group) and isinstance(other, _Number):
            return Verdict.DIFFERENT
    if all(isinstance(side, _Number) or _is_word(side) for side in (left, right)):
        return Verdict.DIFFERENT
    return _compare_expressions(predicted, gold)


def _compare_numbers(left: _Number, right: _Number) -> Verdict:
    if left.unit and right.unit and not _unit_words(left) & _unit_words(right):
        return Verdict.UNDECIDED
    return Verdict.EQUAL if left.value == right.value else Verdict.DIFFERENT


def _unit_words(number: _Number) -> set[str]:
    return {word.removesuffix("s") for word in re.findall(r"[a-z]+|\W", number.unit.lower()) if word.strip()}


def _compare_groups(left: _Group, right: _Group) -> Verdict:
    kinds = {left.brackets, right.brackets}
    if len(left.items) != len(right.items) or (len(kinds) == 2 and kinds not in ({"", "[]"}, {"", "{}"})):
        return Verdict.DIFFERENT
    others = list(right.items)
    if kinds <= {"", "{}"}:
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


def _compare_expressions(predicted: str, gold: str) -> Verdict:
    if max(len(predicted), len(gold)) > _MAX_LENGTH:
        return Verdict.UNDECIDED
    same = same_expression(predicted, gold)
    return Verdict.UNDECIDED if same is None else Verdict.EQUAL if same else Verdict.DIFFERENT


# ---- reading ----

_WRAPPED = re.compile(r"(?s)\$+(.*[^$\\])\$+|\\\((.*)\\\)|\\\[(.*)\\\]|\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_REWRITES = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"\\(?:text|textbf|textrm|mathrm|mathbf|mbox)\s*\{([^{}]*)\}", r" \1 "),
        (r"\\[dt]frac(?![a-z])", r"\\frac"),
        (r"\\(?:left|right|displaystyle)(?![A-Za-z])|\\[!,;:]", ""),
        (r"\\ |~|\s+", " "),
        (r"\\([$%])", r"\1"),
        (r"\{,\}", ","),
        ("[\u2212\u2013]", "-"),
        (r"\s*(?:\^\s*\{?\\circ\}?|°)", " degrees"),
    )
)
_NAMED = re.compile(r"(\\?[A-Za-z]+(?:_\w|_\{\w+\})?)\s*=\s*([^=]+)")
_WORDS = re.compile(r"[A-Za-z][A-Za-z' -]+")
_NOT_WORDS = {"sqrt", "infinity", "alpha", "beta", "gamma", "theta", "delta", "lambda", "sigma", "omega"}
_NOT_UNITS = _NOT_WORDS | {"log", "sin", "cos", "tan", "exp", "mod", "and", "plus", "minus", "over", "choose"}
_SHORT_UNITS = {"mm", "cm", "km", "ft", "in", "yd", "mg", "kg", "lb", "lbs", "oz", "ml", "hr", "hrs", "min", "mph"}
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_CURRENCY = {"$": "dollar", "€": "euro", "£": "pound", "¥": "yen"}
_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?|[0-9]+\.?[0-9]*|\.[0-9]+)"
_FRAC = re.compile(rf"\\frac\s*(?:\{{\s*([-+]?{_DIGITS})\s*\}}|([0-9]))\s*(?:\{{\s*([-+]?{_DIGITS})\s*\}}|([0-9]))")
_UNIT = r"[A-Za-z]+(?:\^?\{?[23]\}?|[²³])?"
_NUMBER = re.compile(
    rf"""(?P<sign>[-+]?)\s*(?P<currency>[$€£¥]?)\s*(?P<inner>[-+]?)
    (?: (?:(?P<whole>[0-9]+)\s+)? (?P<top>[-+]?{_DIGITS})\s*/\s*(?P<bottom>[-+]?{_DIGITS})
      | (?P<value>{_DIGITS}) (?:[eE](?P<exponent>[-+]?[0-9]{{1,3}})
        | \s*(?:\\times|\\cdot|×|\*|x)\s*10\s*(?:\^|\*\*)\s*(?P<power>[-+]?[0-9]{{1,3}}|\{{\s*[-+]?[0-9]{{1,3}}\s*\}}))?
    ) (?P<space>\s*) (?P<unit>%|[€£¥$]|{_UNIT}(?:(?:\s+|\s*/\s*|-){_UNIT})*\.?)?""",
    re.VERBOSE,
)


def _clean(text: str) -> str:
    """The text without LaTeX dressing, outer maths delimiters and a final full stop."""
    text = text[: 2 * _MAX_LENGTH].strip()
    while wrapped := _WRAPPED.fullmatch(text):
        text = next(part for part in wrapped.groups() if part is not None).strip()
    for pattern, new in _REWRITES:
        text = pattern.sub(new, text)
    return text.strip().removesuffix(".").strip()


def _split_name(text: str) -> tuple[str, str]:
    """("x", "5") for "x = 5", and ("", text) when it does not start so."""
    named = _NAMED.fullmatch(text)
    return (named[1], named[2].strip()) if named else ("", text)


def _read(text: str) -> _Number | _Group | str:
    if len(text) > _MAX_LENGTH:
        return text
    number = _read_number(text)
    if number is not None:
        return number
    plain = text.replace("\\{", "{").replace("\\}", "}")
    if _is_enclosed(plain):
        items = _items(plain[1:-1])
        if plain[0] == "(" and plain[-1] == ")" and len(items) == 1:
            return _read(items[0])
        return _Group(plain[0] + plain[-1], items)
    items = _items(plain)
    if len(items) > 1:
        return _Group("", items)
    if _WORDS.fullmatch(text):
        return " ".join(text.lower().split())
    return re.sub(r"\s*([^\w\s])\s*", r"\1", text)


def _read_number(text: str) -> _Number | None:
    found = _NUMBER.fullmatch(_FRAC.sub(lambda m: f" {m[1] or m[2]}/{m[3] or m[4]}", text).strip())
    if not found or (found["sign"] and found["inner"]):
        return None
    unit, scale = _read_unit(found["unit"] or "", bool(found["space"]))
    if unit is None:
        return None
    if found["value"]:
        value = _fraction(found["value"])
        exponent = int((found["exponent"] or found["power"] or "0").strip("{} "))
        value *= Fraction(10) ** exponent
    else:
        bottom = _fraction(found["bottom"])
        if not bottom or (found["whole"] and found["top"][0] in "+-"):
            return None
        value = int(found["whole"] or 0) + _fraction(found["top"]) / bottom
    negative = "-" in (found["sign"], found["inner"])
    return _Number((-value if negative else value) * scale, unit or _CURRENCY.get(found["currency"], ""))


def _fraction(digits: str) -> Fraction:
    return Fraction(digits.replace(",", "").removesuffix("."))


def _read_unit(unit: str, spaced: bool) -> tuple[str | None, int]:
    """The unit without a leading scale word, and that word's factor; (None, 1) when this looks like algebra instead."""
    if unit in _CURRENCY or unit in ("", "%"):
        return _CURRENCY.get(unit, unit), 1
    first, _, rest = unit.partition(" ")
    if first.lower() in _SCALES:
        return rest, _SCALES[first.lower()]
    letters = re.match("[A-Za-z]+", unit)[0].lower()  # type: ignore[index]  # a unit starts with letters
    is_unit = letters in _SHORT_UNITS or (spaced and len(letters) > 2 and letters not in _NOT_UNITS)
    return ("%" if letters == "percent" else unit) if is_unit else None, 1


def _is_enclosed(text: str) -> bool:
    """True when the first bracket of the text is closed by its last character."""
    if len(text) < 2 or text[0] not in "([{" or text[-1] not in ")]}":
        return False
    depth = 0
    for position, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            return position == len(text) - 1
    return False


def _items(text: str) -> tuple[str, ...]:
    """The text cut at the commas that stand outside all brackets."""
    items, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            items.append("")
        else:
            items[-1] += character
    return tuple(item.strip() for item in items)


def _is_word(side: _Number | _Group | str) -> bool:
    """True for text that is a word for certain, not a product of one-letter variables."""
    if not isinstance(side, str) or not _WORDS.fullmatch(side) or side in _NOT_WORDS:
        return False
    return side in ("yes", "no", "odd") or any(len(word) > 3 for word in side.split())


def _key(answer: _Number | _Group | str) -> str:
    if isinstance(answer, _Number):
        return str(answer.value)
    if isinstance(answer, _Group):
        keys = [_key(_read(item)) for item in answer.items]
        keys = sorted(keys) if answer.brackets in ("", "{}") else keys
        return answer.brackets[:1] + ",".join(keys) + answer.brackets[1:]
    return answer
