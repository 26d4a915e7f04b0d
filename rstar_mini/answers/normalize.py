"""Normalise the text of an answer once, before anything reads it: one spelling for each sign, and no dressing.

Every pattern takes time in proportion to the text, since models write what they like.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from rstar_mini.answers.brackets import is_enclosed

PLAIN = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
ROW_END = "⏎"  # stands for the LaTeX line break, which ends a row of a matrix
UNION, EMPTY = "∪", "\\emptyset"
_MAX_WRAPS = 40  # boxes, dollar signs and markdown around one answer

_WRAPS = ("\\", "$", "*", "_", "`")

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ", "0123456789+-ni")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SIGNS = (
    dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63"), "-")
    | dict.fromkeys(map(ord, "\u2044\u2215÷"), "/")
    | dict.fromkeys(map(ord, "º˚"), "°")
    | dict.fromkeys(map(ord, "’‘′"), "'")
    | dict.fromkeys(map(ord, "⋅∙•"), "·")
    | dict.fromkeys(map(ord, "∶ː"), ":")
    | dict.fromkeys(map(ord, "≦⩽"), "≤")
    | dict.fromkeys(map(ord, "≧⩾"), "≥")
    | dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\u2061\u2062\u2063\ufeff"), "")
    | {ord("″"): "''", ord("٫"): ".", ord("٬"): ",", ord("。"): ".", ord("、"): ",", ord("∗"): "*", ord("∨"): " or "}
)
_GREEK = {
    ord(letter): f"\\{name} "
    for letter, name in zip(
        "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
        "omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega".split(),
        strict=True,
    )
}
_UNIT_LETTERS = re.compile(r"μ(?=[A-Za-z])|(?<=[0-9 kMGmu])Ω")  # micro and ohm are units, not variables
_VULGAR = re.compile(r"(?:([0-9]) ?)?([¼-¾⅐-⅞↉])(?=([A-Za-z\\(√])?)")

# LaTeX that changes how its argument looks. What TeX sets as text stands apart from its neighbours.
_TEXT = "text|textbf|textit|textrm|textsf|texttt|textnormal|textup|mathrm|mbox|hbox|operatorname|emph"
_FONT = "mathbf|mathit|mathsf|mathtt|mathnormal|boldsymbol|bm|pmb|ensuremath"
_BRACE = re.compile(
    rf"\\[{{}}]|[{{}}]|\\(?P<text>{_TEXT})\*? ?\{{|\\(?:{_FONT}) ?\{{"
    r"|\\(?:textcolor|color|colorbox) ?(?:\[[^\[\]]*\])?\{[^{}]*\} ?(?P<colored>\{?)"
)
_New = str | Callable[[re.Match[str]], str]
_CHANGES: tuple[tuple[re.Pattern[str], _New], ...] = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"\\\\", ROW_END),
        (r"\\(?:[dtc]frac)(?![a-z])", r"\\frac"),
        (
            r"\\(?:left|right|displaystyle|textstyle|bigl?|bigr|Bigl?|Bigr|biggl?|biggr|tiny|small|large|Large|LARGE|huge"
            r"|bf|it|rm|sf|tt|therefore)(?![A-Za-z])|\\!",
            "",
        ),
        (r"\\[,;: ]|\\q?quad(?![A-Za-z])|~", " "),
        (r"\\([$%&#])", r"\1"),
        (r"\{([,:])\}", r"\1"),
        (r"\\colon(?![A-Za-z])|(?<=[0-9]) ?: ?(?=[0-9])", ":"),
        (r"(?<=[0-9])\"", "''"),
        (r" ?(?:\^ ?\{ ?\\circ ?\}|\^ ?\\circ(?![A-Za-z])|\\degree(?![A-Za-z])|°)", " degrees "),
        (r"√ ?([0-9]+|\([^()]*\)|[a-z])", r"\\sqrt{\1}"),
        (r"∞|\\infin(?![A-Za-z])|(?<![A-Za-z\\])oo(?![A-Za-z])", r"\\infty"),
        (r"∅|\\varnothing|\bEmptySet\b", r"\\emptyset"),
        (r"ℝ|\\(?:mathbb|Bbb) ?(?:\{ ?R ?\}|R(?![A-Za-z]))|\\R(?![A-Za-z])", r"\\mathbb{R}"),
        (r"\\leq?(?:slant|q)?(?![A-Za-z])|<=", "≤"),
        (r"\\geq?(?:slant|q)?(?![A-Za-z])|>=", "≥"),
        (r"\\lt(?![A-Za-z])", "<"),
        (r"\\gt(?![A-Za-z])", ">"),
        (r"\\neq?(?![A-Za-z])|\\not ?=|!=", "≠"),
        (r"\\approx(?![A-Za-z])|≈|≃|≅", "="),
        (r"\\cup(?![A-Za-z])", UNION),
        (r"\\(?:lor|vee)(?![A-Za-z])", " or "),
        (r"∈", r"\\in "),
        (r"±", r"\\pm "),
        (r"\b(?:Fraction|Rational)\( ?(-?[0-9]+) ?, ?([0-9]+) ?\)", r"\1/\2"),
        (r" +", " "),
        (r" \^", "^"),
    )
)
_UNDRESSED = re.compile(r"(?!.*(?:oo|Set))[A-Za-z0-9 ,.$%/+-]*")  # nothing to change, as in most answers
# Digits in groups of three, by spaces or apostrophes, that are one number and no row of them.
_GROUPED = re.compile(
    r"(?<![\w.,/^'])(?<![0-9] )[0-9]{1,3}(?:(?: [0-9]{3})+|(?:'[0-9]{3})+)(?![\w/^']| ?[0-9/]|,[0-9])"
)
_TRIGONOMETRY = re.compile(r"(?<![A-Za-z])(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_DEGREES = re.compile(r"((?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+|\([^()]*\)|\{[^{}]*\}|(?<![A-Za-z])[A-Za-z])) ?degrees?\b ?")


def normalize(text: str) -> str:
    """The text in plain characters, without LaTeX dressing, markdown, maths delimiters and a final full stop."""
    text = text.strip()
    if PLAIN.fullmatch(text):
        return text
    if "\n" in text and "\\" not in text:  # what a program prints on several lines are several answers
        text = ",".join(text.split("\n"))
    text = re.sub(r"\s+", " ", plain_characters(text))
    text = _unwrap(text)
    if not _UNDRESSED.fullmatch(text):
        text = _undress(text)
        for pattern, new in _CHANGES:
            text = pattern.sub(new, text)
    text = join_digits(text)
    if "degree" in text and _TRIGONOMETRY.search(text):
        text = _DEGREES.sub(r"(\1*\\pi/180)", text)
    text = _unwrap(text.strip(" ").removesuffix(".").strip(" "))
    return text[1:].lstrip(" ") if text.startswith("=") and not text.startswith("==") else text


def join_digits(text: str) -> str:
    """Numbers such as 1 234 567 without the spaces or apostrophes between their groups of digits."""
    return _GROUPED.sub(lambda found: re.sub("[ ']", "", found[0]), text)


def plain_characters(text: str) -> str:
    """Digits of every script, fractions, exponents, dashes and spaces as a keyboard has them."""
    if text.isascii():
        return text
    text = re.sub("[⁰¹²³⁴-⁹⁺⁻ⁿⁱ]+", lambda found: f"^{{{found[0].translate(_SUPERSCRIPTS)}}}", text)
    text = re.sub("[₀-₉]+", lambda found: f"_{{{found[0].translate(_SUBSCRIPTS)}}}", text)
    text = _VULGAR.sub(_vulgar_fraction, text.translate(_SIGNS))
    text = unicodedata.normalize("NFKC", text).translate(_SIGNS)
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() and not c.isascii() else c for c in text)
    text = _UNIT_LETTERS.sub(lambda found: "u" if found[0] == "μ" else "ohm", text)
    return text.translate(_GREEK)


def _vulgar_fraction(found: re.Match[str]) -> str:
    fraction = unicodedata.normalize("NFKC", found[2]).replace("\u2044", "/")
    if found[1]:
        return f"{found[1]} {fraction}"  # a mixed number
    return f"({fraction})" if found[3] else fraction


def _unwrap(text: str) -> str:
    """What stands in the maths delimiters, boxes and markdown around the whole text."""
    for _ in range(_MAX_WRAPS):
        if not text.startswith(_WRAPS) and text.count("$") < 2:
            break
        inner = _unwrapped(text)
        if inner == text:
            break
        text = inner
    return text


def _unwrapped(text: str) -> str:
    boxed = re.match(r"\\(?:boxed|fbox|underline) ?", text)
    if boxed and is_enclosed(text[boxed.end() :]):
        return text[boxed.end() + 1 : -1].strip()
    for left, right in ("\\(", "\\)"), ("\\[", "\\]"):
        if text.startswith(left) and text.endswith(right) and text.find(right) == len(text) - 2:
            return text[2:-2].strip()
    for mark in "***", "**", "__", "*", "`":
        inner = text[len(mark) : -len(mark)]
        if text.startswith(mark) and text.endswith(mark) and inner.strip() and mark[0] not in inner:
            return inner.strip()
    inner = text.strip("$")
    if text.startswith("$") and text.endswith("$") and inner and "$" not in inner and not inner.endswith("\\"):
        return inner.strip()
    return re.sub(r"(?<!\\)\$(?=[^\s$])([^$]*[^\s$\\])\$(?![0-9])", r"\1", text) if text.count("$") > 1 else text


def _undress(text: str) -> str:
    """The text without commands for fonts, boxes and colours, whatever is nested in their braces."""
    parts: list[str] = []
    closings: list[str] = []  # what each open brace will be closed with
    position = 0
    for found in _BRACE.finditer(text):
        parts.append(text[position : found.start()])
        position, token = found.end(), found[0]
        if token == "}":
            parts.append(closings.pop() if closings else token)
        elif token[0] == "\\" and len(token) > 2:
            parts.append(" " if found["text"] else "")
            if token[-1] == "{":
                closings.append(parts[-1])
        else:
            parts.append(token)
            if token == "{":
                closings.append("}")
    return "".join([*parts, text[position:]])
