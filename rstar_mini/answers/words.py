"""Answers that are words, and answers that have no value."""

from __future__ import annotations

import re

_LETTERS = r"[^\W\d_]"
_WORDS = re.compile(rf"{_LETTERS}+(?:(?:' ?| '?){_LETTERS}+|-{_LETTERS}{{2,}})*+'?")
# Read like other words in any case; of other short ones, the case may be all that tells them apart: "Aa" and "AA".
_SHORT = frozenset("no ok on in up go we he".split())
_ZERO = r"0+(?:\.0*)?"
_NO_VALUE = re.compile(
    r"(?<![A-Za-z\\])(?:nan|NaN|NAN)(?![A-Za-z])|(?<![A-Za-z ])zoo(?![A-Za-z ])"
    rf"|/ ?(?:\( ?{_ZERO} ?\)|{_ZERO}(?![0-9.]))(?! ?[!^*(A-Za-z\\])"
    rf"|\\frac ?(?:\{{[^{{}}]*\}}|[0-9]) ?(?:\{{ ?{_ZERO} ?\}}|0)"
    r"|(?<![0-9.,A-Za-z)}])0+ ?(?:\^|\*\*) ?[({]* ?-"
)


def is_words(text: str) -> bool:
    """Letters alone, without digits or operators: "May" is no product of three variables."""
    return text[-1:].isalpha() and bool(_WORDS.fullmatch(text))


def same_words(left: str, right: str) -> bool | None:
    """True for the same letters. None where only their case differs and may matter: x and X, Aa and AA."""
    ours, theirs = (re.sub(r"[\s'-]+", "", text) for text in (left, right))
    if ours == theirs:
        return True
    if ours.casefold() != theirs.casefold():
        return False
    return True if len(ours) > 2 or ours.lower() in _SHORT else None


def has_no_value(text: str) -> bool:
    """True for NaN and for what divides by a zero that stands there: such an answer equals nothing, itself included."""
    return ("0" in text or "nan" in text.lower() or "zoo" in text) and bool(_NO_VALUE.search(text))
