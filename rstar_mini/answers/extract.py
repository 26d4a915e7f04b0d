"""Find the final answer in a text: a prediction, a worked solution with its mark, or a reply in a model's own words."""

from __future__ import annotations

import re

from rstar_mini.answers.brackets import is_balanced
from rstar_mini.answers.normalize import join_digits, plain_characters
from rstar_mini.answers.read import DIGITS, read_number
from rstar_mini.answers.units import read_unit

_BOX = re.compile(r"\\(?:boxed|fbox|framebox)(?![A-Za-z]) ?")
_BRACE = re.compile(r"\\[{}]|[{}]")
_BETWEEN = re.compile(r"(?:[\s,;&$~]|\\[()\[\],;: ]|\\q?quad|\\text\{|\}|and\b|or\b)*")  # between boxes of one answer
_UNBRACED = re.compile(r"[^$\n]{0,200}?(?=\$|\\\)|\\\])|[^$\s]+")
_NUMBER = rf"[-+]?{DIGITS}(?:/{DIGITS})?"
_ROW = re.compile(rf"{_NUMBER}(?:(?:, ?|,? (?:and|or) ){_NUMBER})*")
_MEASURE = re.compile(rf"[$€£¥]?({_NUMBER})(.*)")
_SCALES = re.compile(r"(?:hundred|thousand|million|billion|trillion|dozen)s?\b", re.IGNORECASE)
_WORD = re.compile(r"(?<![A-Za-z\\])(?:[A-Za-z]{2,}|[aI](?![A-Za-z]))")


def boxed_answer(text: str) -> str | None:
    """What the last box holds; neighbouring boxes hold the items of one answer. None without a box, or an open one.

    An empty box is a remark on boxes, and counts for nothing.
    """
    answers: list[str] = []
    end, closings = 0, _closings(text)
    for found in _BOX.finditer(text):
        if found.start() < end:  # within the last box
            continue
        content, after = _content(text, found.end(), closings)
        if content == "":
            continue
        if content is None or not _BETWEEN.fullmatch(text, end, found.start()):
            answers.clear()
        answers += [content] if content else []
        end = after
    return ", ".join(dict.fromkeys(answers)) or None


def _closings(text: str) -> dict[int, int]:
    """Where each brace that is closed is closed."""
    opened: list[int] = []
    closings: dict[int, int] = {}
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            opened.append(brace.start())
        elif brace[0] == "}" and opened:
            closings[opened.pop()] = brace.start()
    return closings


def _content(text: str, start: int, closings: dict[int, int]) -> tuple[str | None, int]:
    """What a box holds and where it ends: in braces, or else to the end of the formula, or the next word."""
    if text.startswith("{", start):
        end = closings.get(start)
        return (None, start) if end is None else (text[start + 1 : end].strip(), end + 1)
    found = _UNBRACED.match(text, start)
    return (found[0].strip().rstrip(".,;"), found.end()) if found else ("", start)


def marked_answer(text: str, mark: str) -> str:
    """The first line after the last mark such as "####", "" without one. A number loses the commas between digits."""
    lines = text.rpartition(mark)[2].strip().splitlines() if mark in text else []
    answer = re.split(r"(?<=[0-9])\. +(?=[A-Z])", lines[0])[0].strip() if lines else ""
    return answer.replace(",", "") if re.fullmatch(rf"[-+]?\$?[-+]?{DIGITS}", answer) else answer


def said_answer(text: str) -> str:
    """What the text boxes last; else its last number, or several in a row, without their unit; "" without any.

    Where the last number is part of a formula, it is the formula: of "x = 2\\sqrt{3}" not 3.
    """
    boxed = boxed_answer(text)
    if boxed is not None:
        return boxed
    lines = [line for line in plain_characters(text).splitlines() if re.search("[0-9]", line)]
    tokens = join_digits(" ".join(lines[-1].split())).split(" ") if lines else []
    last = max((i for i, token in enumerate(tokens) if re.search("[0-9]", token)), default=-1)
    if last < 0:
        return ""
    first = last
    while first and _goes_on(tokens, first - 1):
        first -= 1
    after = last + 1
    while (
        after < len(tokens) and not tokens[after - 1].endswith((".", ",", ";", ":")) and not _WORD.search(tokens[after])
    ):
        after += 1
    scale = _SCALES.match(tokens[after]) if after < len(tokens) else None
    return _stripped(" ".join(tokens[first:after])) + (f" {scale[0]}" if scale else "")


def _goes_on(tokens: list[str], place: int) -> bool:
    """Whether a token belongs to the formula, or to the row of numbers, that the next token is in."""
    token = tokens[place]
    if token in ("and", "or"):
        return place > 0 and bool(re.search(r"[0-9]\$?,?$", tokens[place - 1]))
    if token.endswith(","):
        return bool(re.fullmatch(rf"[($\[]*{_NUMBER}\$?,", token))
    return not token.endswith((".", ";", ":", "?")) and not _WORD.search(token)


def _stripped(phrase: str) -> str:
    """The right side of a formula, or a number without currency and unit, without what is no part of either."""
    _, equals, phrase = phrase.replace("≈", "=").rpartition("=")
    phrase = re.sub(r"^.*\\(?:boxed|fbox) ?\{|\\[()\[\]]", "", phrase).strip(' *`#$"')
    if not equals:
        phrase = re.sub(r"^[-+] ", "", phrase)  # the mark of a list
    phrase = phrase.rstrip('.,;:?!*`$" ')
    for bracket in "()":
        phrase = phrase if is_balanced(phrase) else phrase.strip(bracket)
    if _ROW.fullmatch(phrase):
        return ", ".join(number.replace(",", "").removesuffix(".") for number in re.findall(_NUMBER, phrase))
    measure = _MEASURE.fullmatch(phrase)
    unit = read_unit(measure[2].strip(), spaced=False) if measure else None
    return measure[1].replace(",", "") if measure and unit and unit[0].sure and read_number(phrase) else phrase
