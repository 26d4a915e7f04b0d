"""Units, currencies and scale words that stand beside numbers."""

from __future__ import annotations

import re

CURRENCY = {"$": "dollar", "€": "euro", "£": "pound", "¥": "yen"}
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SHORT = frozenset("mm cm km ft in yd mg kg lb lbs oz ml hr hrs min mph sec".split())
_LETTERS = frozenset("m g s h L l N J W V".split())  # units only after a space: 5 m, but 5m is a product
_LONG = (
    "inch|inches|foot|feet|yard|mile|met(?:er|re)|(?:centi|kilo|milli)met(?:er|re)|(?:kilo)?gram|pound|ounce|ton|lit(?:er|re)|"
    "gallon|second|minute|hour|day|week|month|year|degree|dollar|cent|euro|percent|unit|point|radian|square|cubic|sq|per"
)
_NOT_UNITS = frozenset(
    "sqrt infinity alpha beta gamma theta delta lambda sigma omega log sin cos tan exp mod and plus minus over choose "
    "not".split()
)
_IRREGULAR = {"feet": "foot", "hrs": "hr", "lbs": "lb"}
_MEASURES = frozenset(("square", "sq", "cubic", "per", "/", "2", "3"))  # words that make another unit of one
_TRAILING = re.compile(rf"(.*\S)\s+((?:(?:{_LONG}|{'|'.join(sorted(_SHORT))})s?(?:\^?\{{?[23]\}}?)?[\s/]*)+)")


def read_unit(unit: str, spaced: bool) -> tuple[str | None, int]:
    """The unit without a leading scale word, and that word's factor; (None, 1) when this looks like algebra instead."""
    if unit in CURRENCY or unit in ("", "%"):
        return CURRENCY.get(unit, unit), 1
    first, _, rest = unit.partition(" ")
    if first.lower() in _SCALES:
        return rest, _SCALES[first.lower()]
    letters = re.match("[A-Za-z]+", unit)[0]  # type: ignore[index]  # a unit starts with letters
    word = letters.lower()
    is_unit = word in _SHORT or (spaced and (letters in _LETTERS or (len(word) > 2 and word not in _NOT_UNITS)))
    return ("%" if word == "percent" else unit) if is_unit else None, 1


def split_unit(text: str) -> tuple[str, str]:
    """An expression and the unit that trails it, "" without one, as in 36π cm^3."""
    found = _TRAILING.fullmatch(text)
    return (found[1], found[2]) if found else (text, "")


def same_unit(left: str, right: str) -> bool:
    """True when the units do not contradict each other: one may say more than the other ("apples", "red apples")."""
    ours, theirs = _words(left), _words(right)
    return not ours or not theirs or bool(ours & theirs and not (ours ^ theirs) & _MEASURES)


def _words(unit: str) -> set[str]:
    words = re.findall(r"[a-z]+|[0-9]|[^\s\w^{}.-]", unit.lower())
    return {_IRREGULAR.get(word) or re.sub(r"(?<=x|s|h)es$|(?<!s)s$", "", word) for word in words}
