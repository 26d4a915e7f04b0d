"""Times of day. A time is no division: 6:00 is not 6/0, and 2:30 is not 2/30."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TIME = re.compile(
    r"(?:at )?([0-9]{1,2})(?::([0-5][0-9])(?::([0-5][0-9]))?)? ?(?:([ap]) ?\.? ?m\.?|(o'? ?clock|noon|midnight))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Time:
    """Seconds since midnight, or since noon or midnight where the text does not say which."""

    seconds: int
    half_known: bool


def read_time(text: str) -> Time | None:
    """A time such as 6:00 PM, 18:00, 6 p.m. or 12 noon; None for anything else, a plain number above all."""
    found = _TIME.fullmatch(text)
    if not found or not any(found.group(2, 4, 5)):
        return None
    hour, half, word = int(found[1]), (found[4] or "").lower(), (found[5] or "").lower()
    if word in ("noon", "midnight"):
        half = "p" if word == "noon" else "a"
    if hour > 24 or (half and not 1 <= hour <= 12):
        return None
    known = bool(half) or not 1 <= hour <= 12
    if half or not known:
        hour = hour % 12 + 12 * (half == "p")
    return Time(hour % 24 * 3600 + int(found[2] or 0) * 60 + int(found[3] or 0), known)


def same_time(left: Time, right: Time) -> bool | None:
    """None when one of them does not say which half of the day it means, and may be the other."""
    if left.half_known == right.half_known:
        return left == right
    return None if (left.seconds - right.seconds) % (12 * 3600) == 0 else False
