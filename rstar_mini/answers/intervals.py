"""Inequalities in one variable as intervals, so that x < 3 and (-∞, 3) are one answer."""

from __future__ import annotations

import re

from rstar_mini.answers.brackets import is_enclosed
from rstar_mini.answers.normalize import UNION
from rstar_mini.answers.readings import Group

SIGNS = "<>≤≥≠"
_LOW, _HIGH = "-\\infty", "\\infty"
_VARIABLE = re.compile(r"[A-Za-z]|\\[a-z]+")
_LETTER = re.compile(r"(?<![A-Za-z\\])[A-Za-df-z](?![A-Za-z])|\\(?:alpha|beta|gamma|theta|lambda|phi|omega|mu)\b")
_OR = re.compile(r",? or |\) ?\| ?\(")
_AND = re.compile(r",? and | ?& ?|\\(?:land|wedge) ?|∧")
_BUILDER = re.compile(
    r"([A-Za-z])(?: ?\\in ?(?:\\mathbb\{R\}|R))? ?(?:\||:|\\mid(?![a-z])|\\vert(?![a-z])|\\colon(?![a-z])) ?(.*)"
)
_REALS = re.compile(r"\\mathbb\{R\}|all real (?:numbers|values)|all reals|any real number", re.IGNORECASE)


def read_inequality(text: str) -> Group | None:
    """A chain such as 0 < x ≤ 5, always written upwards, or x ≠ 5."""
    signs = re.findall(f"[{SIGNS}]", text)
    if not signs or len(set(signs) & set("<≤")) * len(set(signs) & set(">≥")) or ("≠" in signs and len(signs) > 1):
        return None
    parts = tuple(part.strip() for part in re.split(f"[{SIGNS}]", text))
    if set(signs) & set(">≥"):
        signs, parts = [{">": "<", "≥": "≤"}[sign] for sign in reversed(signs)], parts[::-1]
    return Group("".join(signs), parts) if all(parts) else None


def is_inequality(group: Group) -> bool:
    """True for a chain, and for several that are joined."""
    return group.kind in ("or", "and") or bool(set(group.kind) & set(SIGNS))


def read_combination(text: str) -> Group | None:
    """Inequalities joined by "or" or by "and", or a set of all x with some; None for any other text."""
    if _REALS.fullmatch(text):
        return Group("()", (_LOW, _HIGH))
    if not set(text) & set(SIGNS):
        return None
    if text[0] == "{" and is_enclosed(text) and (built := _BUILDER.fullmatch(text[1:-1].strip())):
        inner = read_combination(built[2]) or read_inequality(built[2])
        found = solutions(inner) if inner else None
        return found[1] if found and found[0] == built[1] else None
    for kind, pattern in ("or", _OR), ("and", _AND):
        parts = [part.strip() for part in pattern.split(text)]
        if len(parts) > 1:
            parts = [part[1:-1] if is_enclosed(part) else part.strip("()") for part in parts]
            return Group(kind, tuple(parts)) if all(set(part) & set(SIGNS) for part in parts) else None
    return None


def solutions(group: Group) -> tuple[str, Group] | None:
    """The variable of an inequality, and the interval or union that it describes; None where that is not clear."""
    if group.kind in ("or", "and"):
        inner = [read_combination(item) or read_inequality(item) for item in group.items]
        found = [solutions(part) if part else None for part in inner]
        sets = [one for one in found if one]
        if len(sets) < len(found) or len({variable for variable, _ in sets}) > 1:
            return None
        joined = _unite([one for _, one in sets]) if group.kind == "or" else _intersect([one for _, one in sets])
        return (sets[0][0], joined) if joined else None
    if len(group.items) > 3 or "|" in "".join(group.items):
        return None
    bare = [i for i, item in enumerate(group.items) if _VARIABLE.fullmatch(item) and item not in ("\\pi", "\\infty")]
    if len(bare) != 1 or any(_LETTER.search(item) for i, item in enumerate(group.items) if i != bare[0]):
        return None
    return _interval(group, bare[0])


def _interval(group: Group, place: int) -> tuple[str, Group] | None:
    """The interval of a chain whose variable stands at a place."""
    variable, others = group.items[place], [item for i, item in enumerate(group.items) if i != place]
    if group.kind == "≠":
        return variable, Group(UNION, (f"({_LOW},{others[0]})", f"({others[0]},{_HIGH})"))
    if len(group.items) == 3 and place != 1:
        return None
    low = group.items[place - 1] if place else _LOW
    high = group.items[place + 1] if place + 1 < len(group.items) else _HIGH
    left = "[" if place and group.kind[place - 1] == "≤" and low != _LOW else "("
    right = "]" if place < len(group.kind) and group.kind[place] == "≤" and high != _HIGH else ")"
    return variable, Group(left + right, (low, high))


def _unite(parts: list[Group]) -> Group:
    items: list[str] = []
    for part in parts:
        items += part.items if part.kind == UNION else [part.kind[0] + ",".join(part.items) + part.kind[1]]
    return Group(UNION, tuple(items))


def _intersect(parts: list[Group]) -> Group | None:
    """What intervals have in common, where at most one of them has an end on each side."""
    lows = {(part.kind[0], part.items[0]) for part in parts if part.kind != UNION and part.items[0] != _LOW}
    highs = {(part.kind[1], part.items[1]) for part in parts if part.kind != UNION and part.items[1] != _HIGH}
    if len(lows) > 1 or len(highs) > 1 or any(part.kind == UNION for part in parts):
        return None
    left, low = next(iter(lows), ("(", _LOW))
    right, high = next(iter(highs), (")", _HIGH))
    return Group(left + right, (low, high))
