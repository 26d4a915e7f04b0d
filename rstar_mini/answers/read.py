"""Read a normalised answer as a number, a time, a group (list, set, interval, matrix, inequality, ratio) or plain text.

Nothing is evaluated: these are patterns over text, all of which take time in proportion to its length.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from rstar_mini.answers.brackets import is_balanced, is_enclosed, split_items
from rstar_mini.answers.intervals import read_combination, read_inequality
from rstar_mini.answers.normalize import EMPTY, PLAIN, ROW_END, UNION
from rstar_mini.answers.readings import MATRIX, RATIO, Based, Group, Number, Reading
from rstar_mini.answers.times import read_time
from rstar_mini.answers.units import known_unit, read_unit

MAX_LENGTH = 1000  # characters; no longer text is an expression
_MAX_DIGITS = 4000  # of a plain number; Python reads longer ones slowly or not at all

# Each alternative keeps what it has matched (possessive), so that no digits are tried twice.
DIGITS = (
    r"(?>(?>[0-9]{1,3}(?:,[0-9]{3})++(?![0-9,])|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}(?![0-9,])|[0-9]++)(?:\.[0-9]*+)?"
    r"|\.[0-9]++)"
)
_FRAC = re.compile(rf"\\frac ?(?:\{{ ?([-+]?{DIGITS}) ?\}}|([0-9])) ?(?:\{{ ?([-+]?{DIGITS}) ?\}}|([0-9]))")
_NUMBER = re.compile(
    rf"""(?P<sign>[-+]?)[ ]?
    (?P<currency>(?:US)?\$|[€£¥₹₩₽]|(?:USD|EUR|GBP|INR|CHF|Rs\.?)(?=[ ]?[-+.0-9]))?[ ]?(?P<inner>[-+]?)[ ]?
    (?: (?:(?P<whole>[0-9]++)[ ])? (?P<top>[-+]?{DIGITS})[ ]?/[ ]?(?P<bottom>[-+]?{DIGITS})
      | (?P<value>{DIGITS}) (?:[eE](?P<exponent>[-+]?[0-9]{{1,3}})(?![0-9])
        | [ ]?(?:\\times(?![A-Za-z])|\\cdot(?![A-Za-z])|×|·|\*|x)[ ]?10[ ]?(?:\^|\*\*)[ ]?
          (?P<power>[-+]?[0-9]{{1,3}}(?![0-9])|\{{[ ]?[-+]?[0-9]{{1,3}}[ ]?\}}))?
    )""",
    re.VERBOSE,
)
_ORDINAL = re.compile(r"^(?:st|nd|rd|th)(?![A-Za-z])")
_POWER = re.compile(r"([-+]?)([0-9]{1,4}) ?(?:\^|\*\*) ?\{? ?(-?[0-9]{1,3}) ?\}?")
_BASED = re.compile(r"([0-9][0-9A-Za-z]*)_\{?([0-9]{1,2})\}?")
_NAMED = re.compile(r"(\\?[A-Za-z]+(?:_\w|_\{\w+\})?) ?(?:=|\\in(?![A-Za-z])) ?([^=]+)")
_MATRIX = re.compile(r"(?s)\\begin\{([pbvBV]?matrix|array)\}(?:\{[clr|]*\})?(.*)\\end\{\1\}")
_CALL = re.compile(r"(FiniteSet|Interval(?:\.open|\.Lopen|\.Ropen)?|Union|Matrix)(\(.*\))")
_INTERVALS = {"Interval": "[]", "Interval.open": "()", "Interval.Lopen": "(]", "Interval.Ropen": "[)"}


def split_name(text: str) -> tuple[str, str]:
    """("x", "5") for "x = 5", and ("", text) when it does not start so."""
    named = _NAMED.fullmatch(text)
    return (named[1], named[2].strip()) if named else ("", text)


def read(text: str) -> Reading:
    """What a normalised text is. Other text comes back without spaces around its signs."""
    if time := read_time(text):
        return time
    number = read_number(text)
    if number is not None:
        return number
    if not is_balanced(text):
        return text
    if based := _BASED.fullmatch(text):
        return Based(based[1].lstrip("0") or "0", int(based[2]))
    group = _read_group(text)
    if isinstance(group, Group):
        return group
    return read(group) if group is not None else re.sub(r" ?([^\w\s]) ?", r"\1", text)


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
    plain = text.replace("\\{", "{").replace("\\}", "}")
    if inequality := read_combination(plain) or read_inequality(text):
        return inequality
    if is_enclosed(plain):
        items = split_items(plain[1:-1])
        if plain[0] == "{":
            items = _both_signs(items)
        if plain[0] + plain[-1] == "()" and len(items) == 1:
            return items[0]
        return Group(plain[0] + plain[-1], items)
    return _read_row(plain)


def _read_row(text: str) -> Group | None:
    """Items without brackets around them: a list, or a ratio."""
    items = _both_signs(split_items(re.sub(r",? (?:and|or) ", ",", text) if re.search("[0-9]", text) else text))
    if len(items) > 1:
        return Group("", items)
    terms = split_items(text, ":")
    return Group(RATIO, terms) if len(terms) > 1 and all(terms) else None


def _both_signs(items: tuple[str, ...]) -> tuple[str, ...]:
    """3 ± 1 as two answers."""
    signs = [item.count("\\pm") == 1 for item in items]
    return tuple(
        item.replace("\\pm", new).strip().removeprefix("+").strip()
        for item, both in zip(items, signs, strict=True)
        for new in (("+", "-") if both else ("\\pm",))
    )


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


@lru_cache(maxsize=1024)
def read_number(text: str) -> Number | None:
    """An exact number with its unit, however it is written, or None."""
    if len(text) > MAX_LENGTH and not (len(text) <= 2 * _MAX_DIGITS and max(map(len, text.split("/"))) <= _MAX_DIGITS):
        return None
    if PLAIN.fullmatch(text):
        return Number(Fraction(text))
    if power := _POWER.fullmatch(text):
        return _read_power(power[1], int(power[2]), int(power[3]))
    if "\\frac" in text:
        text = re.sub(" +", " ", _FRAC.sub(lambda m: f" {m[1] or m[2]}/{m[3] or m[4]}", text)).strip()
    found = _NUMBER.match(text)
    if not found or (found["sign"] and found["inner"]):
        return None
    rest = _ORDINAL.sub("", text[found.end() :].removesuffix("."))
    unit = read_unit(rest.strip(), rest.startswith(" "))
    value = _value(found)
    if unit is None or value is None:
        return None
    return _with_currency(Number(value * unit[1], unit[0]), found["currency"])


def _value(found: re.Match[str]) -> Fraction | None:
    """The value of a number, None where its denominator is zero."""
    if found["value"]:
        value = _fraction(found["value"]) * Fraction(10) ** int(
            (found["exponent"] or found["power"] or "0").strip("{} ")
        )
    else:
        bottom = _fraction(found["bottom"])
        if not bottom or (found["whole"] and found["top"][0] in "+-"):
            return None
        value = int(found["whole"] or 0) + _fraction(found["top"]) / bottom
    return -value if "-" in (found["sign"], found["inner"]) else value


def _with_currency(number: Number, sign: str | None) -> Number:
    name = known_unit(sign.removeprefix("US").strip(".")) if sign else None
    if name is None or name in dict(number.unit.factors):
        return number
    return replace(number, unit=replace(number.unit, factors=number.unit.factors | {(name, 1)}))


def _read_power(sign: str, base: int, exponent: int) -> Number | None:
    """base^exponent, which binds stronger than the sign."""
    if base == 0 and exponent <= 0:
        return None
    value = Fraction(base) ** exponent
    return Number(-value if sign == "-" else value)


def _fraction(digits: str) -> Fraction:
    return Fraction(digits.replace(",", "").removesuffix("."))
