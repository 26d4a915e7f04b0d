"""Is a text maths at all? What is not cannot equal what is, and need not be given to computer algebra."""

from __future__ import annotations

import re
from enum import StrEnum

from rstar_mini.answers.brackets import is_balanced


class Kind(StrEnum):
    """MATHS may go to computer algebra, OTHER is no answer in maths for certain, UNKNOWN has unknown LaTeX commands."""

    MATHS = "maths"
    OTHER = "other"
    UNKNOWN = "unknown"


_COMMANDS = frozenset(
    """
    frac sqrt pi infty cdot times div pm mp alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa
    lambda mu nu xi rho sigma tau phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega sin cos
    tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp binom tbinom dbinom choose emptyset cap in notin
    neq ne approx equiv circ prime angle overline underline bar hat vec lfloor rfloor lceil rceil lvert rvert vert mid
    mathbb mathcal mathsf setminus backslash ldots cdots dots sum prod int lim to rightarrow min max gcd deg det begin
    end quad qquad forall exists perp parallel triangle sim cong limits left right over ell
    """.split()
)
# TeX that programs instead of writing.
_PRIMITIVES = frozenset(
    "write input def edef let newcommand renewcommand loop immediate csname expandafter catcode".split()
)
_NAMES = frozenset(
    """
    sqrt cbrt ln lg sin cos tan cot sec csc asin acos atan sinh cosh tanh arcsin arccos arctan log exp factorial
    binomial floor ceiling Abs conjugate alpha beta gamma theta delta lambda sigma omega matrix pmatrix bmatrix vmatrix
    cases infinity
    """.split()
)
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_OTHER = re.compile(
    r"^[^A-Za-z0-9]*$|\$\$|!!!|__|//|\(\s*\)|[-+]\s*[-+]\s*[-+]|[*/^_]\s*[*/^_]\s*[*/^_]|/\s*0(?![.\d])"
    r"|(?<![_0-9])[0-9]++ [0-9]|\\(?:frac|sqrt)\s*\{\s*\}|\\frac\s*\{[^{}]*\}$|[A-Za-z]\s*\.\s*[A-Za-z]|%[A-Za-z]"
)
_STARTS = tuple("*/^_&=)]}!")
_ENDS = tuple("-+*/^_=<>≤≥(&[{,")
_CHARACTERS = re.compile(r"[\sA-Za-z0-9\\{}()\[\]|^_=<>≤≥∪⏎·×+\-*/!.,'%&;$]*")


# Words are no products of variables: a capital before small letters, and letters before a digit, as in B2 or day 5.
_WORD = re.compile(r"(?<![A-Za-z\\])[A-Z][a-z]{2,}(?![A-Za-z])")
_NUMBERED = re.compile(r"(?<![A-Za-z\\])(?!(?<=[0-9.])[eE][0-9])([A-Za-z]+) ?[0-9]")
_SHORT_WORDS = frozenset("yes no odd all any one two six ten".split())


def kind(text: str) -> Kind:
    """What a cleaned text is, judged by its characters, names and brackets."""
    commands = set(_COMMAND.findall(text))
    names = re.findall("[A-Za-z]{4,}", _COMMAND.sub(" ", text))
    if (
        not text
        or commands & _PRIMITIVES
        or not _CHARACTERS.fullmatch(text)
        or _OTHER.search(text)
        or re.findall(r"\\(begin|end)", text) != ["begin", "end"] * text.count("\\begin")
        or text.startswith(_STARTS)
        or text.endswith(_ENDS)
        or any(name not in _NAMES for name in names)
        or text.lower() in _SHORT_WORDS
        or any(word not in _NAMES for word in _WORD.findall(text))
        or any(word not in _NAMES for word in _NUMBERED.findall(text))
        or not is_balanced(text)
    ):
        return Kind.OTHER
    return Kind.MATHS if commands <= _COMMANDS else Kind.UNKNOWN
