"""Brackets of an answer: are they balanced, how deep are they, and what stands between the separators outside them?"""

from __future__ import annotations

MAX_DEPTH = 40  # brackets within brackets
_OPEN, _CLOSED = "([{", ")]}"


def is_balanced(text: str) -> bool:
    """Every bracket is closed, whatever its kind (half-open intervals mix them), and none lies too deep in others."""
    depth = 0
    for character in text:
        if character in "([{)]}":
            depth += 1 if character in _OPEN else -1
            if not 0 <= depth <= MAX_DEPTH:
                return False
    return depth == 0


def is_enclosed(text: str) -> bool:
    """True when the first bracket of the text is closed by its last character."""
    if len(text) < 2 or text[0] not in _OPEN or text[-1] not in _CLOSED:
        return False
    depth = 0
    for position, character in enumerate(text):
        depth += (character in _OPEN) - (character in _CLOSED)
        if depth == 0:
            return position == len(text) - 1
    return False


def split_items(text: str, separator: str = ",") -> tuple[str, ...]:
    """The text cut at the separators that stand outside all brackets; nothing for an empty text."""
    if not text.strip():
        return ()
    items, start, depth = [], 0, 0
    for position, character in enumerate(text):
        depth += (character in _OPEN) - (character in _CLOSED)
        if character == separator and depth == 0:
            items.append(text[start:position].strip())
            start = position + 1
    return (*items, text[start:].strip())
