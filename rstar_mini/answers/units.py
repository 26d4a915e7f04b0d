"""Read the unit beside a number. Two units are the same only when all their factors and exponents are the same."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from rstar_mini.answers.unit_table import (
    COMPOUND,
    FILLERS,
    GLUED_DOUBTS,
    NAMES,
    NO_UNITS,
    SCALES,
    SHORT_NOUNS,
    SPACED_LETTERS,
    TEMPERATURES,
    TWO_MEANINGS,
)

_TOKEN = re.compile(r"(?P<word>[^\W\d_]+)(?P<digit>[23](?![0-9]))?|\^ ?(?:\{ ?(-?[0-9]) ?\}|(-?[0-9]))|''|[^\s\w^]")
_FRACTION = re.compile(r"\\frac ?\{ ?([A-Za-z]+) ?\} ?\{ ?([A-Za-z]+) ?\}")
_MAX_UNIT = 120  # characters
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_POWERS_AFTER = {"squared": 2, "cubed": 3}
_PER = frozenset(("per", "/", "a", "an", "each", "every"))
_PRODUCT = frozenset(".·*-()")
_VARIABLE = re.compile(r"(?<![\\A-Za-z])[A-Za-z](?![A-Za-z])")
_EXPRESSION_END = re.compile(r"(?:[0-9)}\]]|\\pi|(?<![A-Za-z])[A-Za-z])$")


@dataclass(frozen=True)
class Unit:
    """Factors with exponents, and words that are no known unit ("red apples"). An unsure one may be a variable."""

    factors: frozenset[tuple[str, int]] = frozenset()
    words: frozenset[str] = frozenset()
    sure: bool = True

    def __bool__(self) -> bool:
        return bool(self.factors or self.words)


NO_UNIT = Unit()


@lru_cache(maxsize=1024)
def read_unit(text: str, spaced: bool) -> tuple[Unit, int] | None:
    """The unit that the text after a number is, and the factor of its scale words; None when it may be algebra."""
    if len(text) > _MAX_UNIT:
        return None
    text, scale = _FRACTION.sub(r"\1/\2", re.sub(r"(?<=\w)'(?=\w)", "", text.replace("per cent", "percent"))), 1
    while (parts := text.split(" ", 1))[0].lower().removesuffix("s") in SCALES:
        scale *= SCALES[parts[0].lower().removesuffix("s")]
        text = parts[1] if len(parts) > 1 else ""
    if not text:
        return NO_UNIT, scale
    reader = _Reader()
    if not all(map(reader.take, _TOKEN.finditer(text))) or len(_TOKEN.sub("", text).strip()) or not reader.complete:
        return None
    if not spaced and reader.words and scale == 1:
        return None  # what touches the number is a known unit, or else a product
    return reader.unit(_is_sure(text, spaced or scale > 1)), scale


def split_unit(text: str) -> tuple[str, Unit]:
    """An expression and the known unit that trails it, as in 36π cm^3."""
    words = text.split(" ")
    for start in range(max(1, len(words) - 6), len(words)):
        expression, trailing = " ".join(words[:start]), " ".join(words[start:])
        found = read_unit(trailing, spaced=True) if _EXPRESSION_END.search(expression) else None
        known = found and found[0] and not found[0].words and found[0].sure and found[1] == 1
        if found and known and (len(trailing) > 1 or not _VARIABLE.search(expression)):
            return expression, found[0]
    return text, NO_UNIT


def same_unit(left: Unit, right: Unit) -> bool:
    """True when the units do not contradict each other: one may say more than the other ("apples", "red apples")."""
    if not left or not right:
        return True
    if not (left.words <= right.words or left.words >= right.words):
        return False
    return left.factors == right.factors or any(
        _meaning(left, word, meaning) == _meaning(right, word, meaning)
        for word, meanings in TWO_MEANINGS.items()
        for meaning in meanings
    )


def _meaning(unit: Unit, word: str, meaning: str) -> frozenset[tuple[str, int]]:
    return frozenset((meaning if name == word else name, exponent) for name, exponent in unit.factors)


def known_unit(word: str) -> str | None:
    """The symbol of a unit by any of its names, None for another word. Symbols keep their case, words need not."""
    for name in (word, word.removesuffix("s") if len(word) > 3 else word):
        if name in NAMES:
            return NAMES[name]
    lower = word.lower()
    if len(word) < 3 and not word.isupper():
        return None
    return next((NAMES[name] for name in (lower, lower.removesuffix("s")) if len(name) > 1 and name in NAMES), None)


def _is_sure(text: str, spaced: bool) -> bool:
    """Whether this can be no product of variables."""
    bare = re.sub(r"\^ ?\{?-?[0-9]\}?|[23]$", "", text).strip()
    if len(bare) == 1:
        return not bare.isalpha() or (spaced and bare in SPACED_LETTERS)
    return spaced or bare not in GLUED_DOUBTS


class _Reader:
    """Reads a unit token by token."""

    def __init__(self) -> None:
        self.factors: Counter[str] = Counter()
        self.words: set[str] = set()
        self.sign, self.power = 1, 1  # of the next factor
        self.last: tuple[str, int] | None = None  # the factor that an exponent would belong to
        self.complete = False  # false where another factor must follow

    def unit(self, sure: bool) -> Unit:
        factors = frozenset((name, exponent) for name, exponent in self.factors.items() if exponent)
        return Unit(factors, frozenset(self.words), sure)

    def take(self, token: re.Match[str]) -> bool:
        """Read one more token; False when it has no place in a unit."""
        word, lower = token["word"] or token[0], (token["word"] or token[0]).lower()
        if word[0] == "^" or lower in _POWERS_AFTER:
            return self._raise(_POWERS_AFTER.get(lower) or int(token[3] or token[4]))
        if word in _PRODUCT:
            return True
        if lower in _POWERS:
            self.power, self.complete = _POWERS[lower], False
            return True
        if lower in _PER:
            return self._divide(lower)
        return self._add(word) and (not token["digit"] or self._raise(int(token["digit"])))

    def _raise(self, power: int) -> bool:
        """Raise the last factor to a power."""
        if self.last is None:
            return False
        name, exponent = self.last
        self.factors[name] += exponent * (power - 1)
        self.last = None
        return True

    def _divide(self, word: str) -> bool:
        if not (self.factors or self.words):
            return word not in ("/", "per")
        self.sign = -1
        self.complete = word not in ("/", "per")  # "5 dollars each" has said it all
        return True

    def _add(self, word: str) -> bool:
        lower = word.lower()
        if lower in FILLERS and (self.factors or self.words) and self.complete and self.sign > 0:
            return True
        if lower in COMPOUND:
            for name, exponent in COMPOUND[lower]:
                self._multiply(name, exponent)
            self.last = None
            return True
        if word in TEMPERATURES and (self.factors["degree"] or len(word) > 1):
            self.factors["degree"] -= bool(self.factors["degree"])
            self._multiply(TEMPERATURES[word], 1)
            return True
        known = known_unit(word)
        if known is None:
            return self._add_word(lower, word)
        self._multiply(known, self.sign * self.power)
        return True

    def _add_word(self, lower: str, word: str) -> bool:
        """A word that is no known unit, such as "apples"; what may be a product of variables is refused."""
        singular = re.sub(r"(?<=x|s|h)es$|(?<!s)s$", "", lower)
        mixed = len(word) > 2 and not (word.islower() or word.isupper() or word.istitle())  # "kVA"
        if {lower, singular} & NO_UNITS or singular in SCALES or word in FILLERS:
            return False
        if len(lower) < 4 and not mixed and not {lower, singular} & SHORT_NOUNS:
            return False
        if self.sign < 0 or self.power > 1:
            self._multiply(singular, self.sign * self.power)
        else:
            self.words.add(singular)
            self.last, self.complete = None, True
        return True

    def _multiply(self, name: str, exponent: int) -> None:
        self.factors[name] += exponent
        self.last = (name, exponent)
        self.power, self.complete = 1, True
