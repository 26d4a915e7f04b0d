"""Read a final answer as a number, a group (list, tuple, set, interval, union, matrix, inequality) or plain text.

Nothing is evaluated: these are patterns over text, all of which take time in proportion to its length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from rstar_mini.answers.units import CURRENCY, read_unit

MAX_LENGTH = 1000  # characters; no longer text is an expression
_MAX_DIGITS = 4000  # of a plain number; Python reads longer ones slowly or not at all
_MAX_GROUP = 20_000  # characters of a list and the like
_MAX_DEPTH = 40  # brackets within brackets
ROW_END = "⏎"  # stands for the LaTeX line break, which ends a row of a matrix
UNION, MATRIX, EMPTY = "∪", "matrix", "\\emptyset"


@dataclass(frozen=True)
class Number:
    """An exact rational number with the unit that stood beside it, "" without one."""

    value: Fraction
    unit: str = ""


@dataclass(frozen=True)
class Based:
    """Digits in a stated base, as in 101_2."""

    digits: str
    base: int


@dataclass(frozen=True)
class Group:
    """Several answers in one: `kind` is the brackets, "" without any, UNION, MATRIX, or the signs of an inequality."""

    kind: str
    items: tuple[str, ...]


Reading = Number | Based | Group | str

_WRAPPED = re.compile(r"(?s)\$+(.*[^$\\])\$+|\\\((.*)\\\)|\\\[(.*)\\\]")
_DRESSING = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"\\\\", ROW_END),
        (r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}", r" \1 "),
        (r"\\[dt]frac(?![a-z])", r"\\frac"),
        (r"\\(?:left|right|displaystyle|bigl?|bigr|Bigl?|Bigr)(?![A-Za-z])|\\[!,;:]", ""),
        (r"\\ |~|\s+", " "),
        (r"\\([$%])", r"\1"),
        (r"\{,\}", ","),
        ("[\u2212\u2013]", "-"),
        (r"\s*(?:\^\s*\{?\\circ\}?|°)", " degrees"),
        (r"\s+\^", "^"),
        (r"[²³]", lambda found: "^2" if found[0] == "²" else "^3"),
        (r"√\s*(\d+|\([^()]*\)|[a-z])", r"\\sqrt{\1}"),
        (r"π", r"\\pi "),
        (r"∞|\\infin(?![A-Za-z])|(?<![A-Za-z\\])oo(?![A-Za-z])", r"\\infty"),
        (r"∅|\\varnothing|\bEmptySet\b", r"\\emptyset"),
        (r"\\leq?(?:slant)?(?![A-Za-z])|<=", "≤"),
        (r"\\geq?(?:slant)?(?![A-Za-z])|>=", "≥"),
        (r"\\lt(?![A-Za-z])", "<"),
        (r"\\approx(?![A-Za-z])|≈", "="),
        (r"\\gt(?![A-Za-z])", ">"),
        (r"\\cup(?![A-Za-z])", UNION),
        (r"\b(?:Fraction|Rational)\(\s*(-?\d+)\s*,\s*(\d+)\s*\)", r"\1/\2"),
    )
)
_PLAIN = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_LONG = re.compile(r"-?[0-9]+(?:\.[0-9]+|/[0-9]*[1-9][0-9]*)?")
_NAMED = re.compile(r"(\\?[A-Za-z]+(?:_\w|_\{\w+\})?)\s*(?:=|\\in(?![A-Za-z]))\s*([^=]+)")
_WORDS = re.compile(r"[A-Za-z][A-Za-z' -]+")
_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?|[0-9]+\.?[0-9]*|\.[0-9]+)"
_FRAC = re.compile(rf"\\frac\s*(?:\{{\s*([-+]?{_DIGITS})\s*\}}|([0-9]))\s*(?:\{{\s*([-+]?{_DIGITS})\s*\}}|([0-9]))")
_UNIT = r"[A-Za-z]+(?:\^?\{?[23]\}?)?"
_NUMBER = re.compile(
    rf"""(?P<sign>[-+]?)\s*(?P<currency>[$€£¥]?)\s*(?P<inner>[-+]?)
    (?: (?:(?P<whole>[0-9]+)\s+)? (?P<top>[-+]?{_DIGITS})\s*/\s*(?P<bottom>[-+]?{_DIGITS})
      | (?P<value>{_DIGITS}) (?:[eE](?P<exponent>[-+]?[0-9]{{1,3}})
        | \s*(?:\\times|\\cdot|×|·|\*|x)\s*10\s*(?:\^|\*\*)\s*
          (?P<power>[-+]?[0-9]{{1,3}}|\{{\s*[-+]?[0-9]{{1,3}}\s*\}}))?
    ) (?P<space>\s*) (?P<unit>%|[€£¥$]|{_UNIT}(?:(?:\s+|\s*/\s*|-){_UNIT})*\.?)?""",
    re.VERBOSE,
)
_POWER = re.compile(r"([-+]?)([0-9]{1,4})\s*(?:\^|\*\*)\s*\{?\s*(-?[0-9]{1,3})\s*\}?")
_BASED = re.compile(r"([0-9][0-9A-Za-z]*)_\{?([0-9]{1,2})\}?")
_MATRIX = re.compile(r"(?s)\\begin\{([pbvBV]?matrix|array)\}(?:\{[clr|]*\})?(.*)\\end\{\1\}")
_CALL = re.compile(r"(FiniteSet|Interval(?:\.open|\.Lopen|\.Ropen)?|Union|Matrix)(\(.*\))")
_INTERVALS = {"Interval": "[]", "Interval.open": "()", "Interval.Lopen": "(]", "Interval.Ropen": "[)"}


def clean(text: str) -> str:
    """The text without LaTeX dressing, outer maths delimiters and a final full stop, with one name for each symbol."""
    text = text.strip()
    if _PLAIN.fullmatch(text):
        return text
    if "\n" in text and "\\" not in text:  # what a program prints on several lines are several answers
        text = ",".join(text.split("\n"))
    while (inner := _unwrapped(text)) is not None:
        text = inner
    for pattern, new in _DRESSING:
        text = pattern.sub(new, text)
    return text.strip(" ").removesuffix(".").strip(" ")


def _unwrapped(text: str) -> str | None:
    """What stands in the maths delimiters or the box around the whole text, None without any."""
    rest = text.removeprefix("\\boxed").strip()
    if rest != text and rest[:1] == "{" and is_enclosed(rest):
        return rest[1:-1].strip()
    wrapped = _WRAPPED.fullmatch(text)
    return next(part for part in wrapped.groups() if part is not None).strip() if wrapped else None


def split_name(text: str) -> tuple[str, str]:
    """("x", "5") for "x = 5", and ("", text) when it does not start so."""
    named = _NAMED.fullmatch(text)
    return (named[1], named[2].strip()) if named else ("", text)


def read(text: str) -> Reading:
    """What a cleaned text is; see the classes above. Text comes back normalised: words in small letters, no spaces."""
    number = read_number(text)
    if number is not None:
        return number
    if len(text) > _MAX_GROUP or not is_balanced(text):
        return text
    if based := _BASED.fullmatch(text):
        return Based(based[1].lstrip("0") or "0", int(based[2]))
    group = _read_group(text)
    if isinstance(group, Group):
        return group
    if group is not None:
        return read(group)
    if _WORDS.fullmatch(text):
        return " ".join(text.lower().split())
    return re.sub(r"\s*([^\w\s])\s*", r"\1", text)


def _read_group(text: str) -> Group | str | None:
    """The group that the text is, or what stands in its single pair of parentheses, or None."""
    if text == EMPTY:
        return Group("{}", ())
    if matrix := _MATRIX.fullmatch(text):
        rows = (row.strip() for row in matrix[2].split(ROW_END))
        return Group(MATRIX, tuple(f"[{','.join(cell.strip() for cell in row.split('&'))}]" for row in rows if row))
    if (call := _CALL.fullmatch(text)) and is_enclosed(call[2]):
        return _read_printed(call[1], split_items(call[2][1:-1]))
    parts = split_items(text, UNION)
    if len(parts) > 1:
        return Group(UNION, parts)
    if inequality := _read_inequality(text):
        return inequality
    plain = text.replace("\\{", "{").replace("\\}", "}")
    if is_enclosed(plain):
        items = split_items(plain[1:-1])
        if plain[0] + plain[-1] == "()" and len(items) == 1:
            return items[0]
        return Group(plain[0] + plain[-1], items)
    items = split_items(re.sub(r",?\s+(?:and|or)\s+", ",", plain) if re.search(r"\d", plain) else plain)
    return Group("", items) if len(items) > 1 else None


def _read_printed(name: str, items: tuple[str, ...]) -> Group | None:
    """What sympy prints for sets, intervals, unions and matrices."""
    if name in _INTERVALS:
        return _read_interval(_INTERVALS[name], items)
    if name != "Matrix":
        return Group("{}" if name == "FiniteSet" else UNION, items)
    if len(items) != 1 or not is_enclosed(items[0]):
        return None
    rows = split_items(items[0][1:-1])
    return Group(MATRIX, tuple(row if is_enclosed(row) else f"[{row}]" for row in rows))


def _read_interval(brackets: str, items: tuple[str, ...]) -> Group | None:
    """An interval, which is open where it is infinite, whatever sympy prints."""
    if len(items) != 2:
        return None
    left = "(" if items[0] == "-\\infty" else brackets[0]
    right = ")" if items[1] == "\\infty" else brackets[1]
    return Group(left + right, items)


def _read_inequality(text: str) -> Group | None:
    """A chain such as 0 < x ≤ 5, always written upwards."""
    signs = re.findall("[<>≤≥]", text)
    if not signs or len(set(signs) & set("<≤")) * len(set(signs) & set(">≥")):
        return None
    parts = tuple(part.strip() for part in re.split("[<>≤≥]", text))
    if set(signs) & set(">≥"):
        signs, parts = [{">": "<", "≥": "≤"}[sign] for sign in reversed(signs)], parts[::-1]
    return Group("".join(signs), parts) if all(parts) else None


def read_number(text: str) -> Number | None:
    """An exact number, however it is written, or None."""
    if len(text) > MAX_LENGTH:
        digits = text.replace(",", "")
        plain = len(text) <= 2 * _MAX_DIGITS and _LONG.fullmatch(digits)
        return Number(Fraction(digits)) if plain and max(map(len, digits.split("/"))) <= _MAX_DIGITS else None
    if _PLAIN.fullmatch(text):
        return Number(Fraction(text))
    if power := _POWER.fullmatch(text):
        return _read_power(power[1], int(power[2]), int(power[3]))
    found = _NUMBER.fullmatch(_FRAC.sub(lambda m: f" {m[1] or m[2]}/{m[3] or m[4]}", text).strip())
    if not found or (found["sign"] and found["inner"]):
        return None
    unit, scale = read_unit(found["unit"] or "", bool(found["space"]))
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
    return Number((-value if negative else value) * scale, unit or CURRENCY.get(found["currency"], ""))


def _read_power(sign: str, base: int, exponent: int) -> Number | None:
    """base^exponent, which binds stronger than the sign."""
    if base == 0 and exponent <= 0:
        return None
    value = Fraction(base) ** exponent
    return Number(-value if sign == "-" else value)


def _fraction(digits: str) -> Fraction:
    return Fraction(digits.replace(",", "").removesuffix("."))


def is_balanced(text: str) -> bool:
    """Every bracket is closed, whatever its kind (half-open intervals mix them), and none lies too deep in others."""
    depth = 0
    for character in text:
        if character in "([{)]}":
            depth += 1 if character in "([{" else -1
            if not 0 <= depth <= _MAX_DEPTH:
                return False
    return depth == 0


def is_enclosed(text: str) -> bool:
    """True when the first bracket of the text is closed by its last character."""
    if len(text) < 2 or text[0] not in "([{" or text[-1] not in ")]}":
        return False
    depth = 0
    for position, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            return position == len(text) - 1
    return False


def split_items(text: str, separator: str = ",") -> tuple[str, ...]:
    """The text cut at the separators that stand outside all brackets; nothing for an empty text."""
    if not text.strip():
        return ()
    items, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == separator and depth == 0:
            items.append("")
        else:
            items[-1] += character
    return tuple(item.strip() for item in items)
