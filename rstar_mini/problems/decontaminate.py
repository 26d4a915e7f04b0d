"""Decontamination: what stands in a test set is not trained on, or the test would measure memory.

A training problem is contaminated when its text is a test problem's, but for case, spacing and punctuation, or when the
two have a 13-gram in common, 13 words in a row, as GPT-3's authors counted. Shorter ones ("what is the value of x") are
common property, so a test problem of fewer words counts as a whole only. Some innocent problems go too, those with a
long stock phrase in common. That is the cheaper mistake: there are many training problems, and the test scores stand on
few.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from rstar_mini.types import Problem

WORDS = 13
SAME_TEXT, SAME_NGRAM = "same text", f"{WORDS}-gram"

_DRAWING = re.compile(r"(?s)\[asy\].*?\[/asy\]")
_DRESSING = re.compile(r"\\(?:left|right|quad|qquad|displaystyle|text|mathrm|mbox)(?![a-z])|\\[,;:! ]")
_THOUSANDS = re.compile(r"(?<=\d)(?:,(?:\\!)?|\{,\})(?=\d{3}(?!\d))")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+|[-+*/^=<>]")
_WORD = re.compile(r"\w")


def normalised(text: str) -> str:
    """The words, numbers and signs of a text: case, spacing, punctuation and LaTeX's dressing do not matter.

    Signs stay: 3 + 4 is not 3 - 4.
    """
    plain = _DRESSING.sub(" ", _THOUSANDS.sub("", text)).replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    return " ".join(_TOKEN.findall(plain.lower()))


def ngrams(text: str) -> list[str]:
    """Every `WORDS` words in a row, numbers among them; no drawings, whose code is much the same everywhere."""
    words = [token for token in normalised(_DRAWING.sub(" ", text)).split() if _WORD.match(token)]
    return [" ".join(words[i : i + WORDS]) for i in range(len(words) - WORDS + 1)]


class Contamination:
    """Looks questions up in test sets; both building and asking take time in proportion to the text.

    Args:
        tests: the problems of each test set by its name.
        as_wholes: the names of those in which only whole texts count.
    """

    def __init__(self, tests: Mapping[str, Sequence[Problem]], as_wholes: Collection[str] = ()) -> None:
        self.sizes = {name: len(problems) for name, problems in tests.items()}
        self._texts: dict[str, tuple[str, str]] = {}
        self._ngrams: dict[str, tuple[str, str]] = {}
        for name, problems in tests.items():
            for problem in problems:
                place = name, problem.id
                self._texts.setdefault(normalised(problem.question), place)
                for ngram in () if name in as_wholes else ngrams(problem.question):
                    self._ngrams.setdefault(ngram, place)

    def find(self, question: str) -> dict[str, str] | None:
        """The test set and test problem with which a question clashes, and why; None for a clean one."""
        if place := self._texts.get(normalised(question)):
            return _clash(place, SAME_TEXT)
        own = ngrams(question) if self._ngrams else []
        place = next((self._ngrams[ngram] for ngram in own if ngram in self._ngrams), None)
        return _clash(place, SAME_NGRAM) if place else None


def _clash(place: tuple[str, str], why: str) -> dict[str, str]:
    return {"test_set": place[0], "test_problem": place[1], "why": why}


def decontaminate(
    problems: Sequence[Problem], contamination: Contamination
) -> tuple[list[Problem], list[dict[str, str]]]:
    """The clean problems, in order, and a row for each of the others: problem, test set, test problem, why."""
    clean: list[Problem] = []
    report: list[dict[str, str]] = []
    for problem in problems:
        if clash := contamination.find(problem.question):
            report.append({"problem": problem.id} | clash)
        else:
            clean.append(problem)
    return clean, report
