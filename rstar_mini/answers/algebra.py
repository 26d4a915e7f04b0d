"""The worker's side of comparing expressions: JSON lines in and out, run as a module in a process that can be killed.

What Python and sympy print, and simple LaTeX, is parsed by Python's own parser and built from the few nodes below;
other LaTeX by math-verify's grammar. Texts are never evaluated.
"""

from __future__ import annotations

import ast
import json
import logging
import operator
import re
import signal
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any

import sympy
from math_verify import LatexExtractionConfig, parse, verify

from rstar_mini.answers.worker import CPU_CLOCK

_MEMORY = 2 * 2**30  # bytes of address space; computer algebra itself takes a tenth of it
_DIGITS = 60  # of numbers compared numerically
_TOLERANCE = sympy.Float("1e-40", _DIGITS)  # relative
_MIN_DIGITS = 4  # significant digits a decimal needs to stand for an irrational number
_SAMPLES = (
    (37, 17),
    (53, 29),
    (97, 41),
    (31, 23),
    (71, 43),
    (83, 59),
    (101, 67),
)  # values of the symbols, as fractions
_TURNS = ((0, 1), (3, 1), (1, -1))  # where in the samples to begin, and the sign: the last tells x from |x|
_LATEX = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"\\frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"((\1)/(\2))"),
        (r"\\frac\s*([0-9])\s*([0-9])", r"(\1/\2)"),
        (r"\\sqrt\s*\[\s*([0-9]+)\s*\]\s*\{([^{}]*)\}", r"((\2)**(1/\1))"),
        (r"\\?sqrt\s*(?:\{([^{}]*)\}|([0-9]))", lambda found: f"sqrt({found[1] or found[2]})"),
        (r"\^\s*(?:\{([^{}]*)\}|([0-9A-Za-z]))", lambda found: f"**({found[1] or found[2]})"),
        (r"\\(?:cdot|times)(?![A-Za-z])|[·×]", "*"),
        (r"\\pi(?![A-Za-z])", " pi "),
    )
)
_TOKEN = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+|[A-Za-z]{2,}|[A-Za-z]|\*\*|[-+*/(),]")
_CONSTANTS = {"pi": sympy.pi, "e": sympy.E, "E": sympy.E, "I": sympy.I, "i": sympy.I, "oo": sympy.oo}
_LETTERS = {"i": sympy.I, "e": sympy.E}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(sympy, name)
    for name in "sqrt cbrt exp log sin cos tan cot sec csc asin acos atan sinh cosh tanh factorial binomial Abs floor "
    "ceiling".split()
} | {"ln": sympy.log, "abs": sympy.Abs}
_KNOWN = {*_CONSTANTS, *_FUNCTIONS}  # other letters are a product of variables
_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


def main() -> None:
    """Answer one pair of texts a line: true, false, or null when it cannot be told."""
    logging.disable()  # math-verify warns that its own time limits are off; this process has a better one
    sys.setrecursionlimit(5000)
    _limit_memory()
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.process_time()
        predicted, gold, seconds = json.loads(line)
        _limit_cpu(seconds)
        try:
            same = _same(predicted, gold)
        except Exception:  # what memory runs out for is undecided too
            same = None
        print(json.dumps([same, time.process_time() - start]), flush=True)


def _same(predicted: str, gold: str) -> bool | None:
    left, right = _parse(predicted), _parse(gold)
    if left is None or right is None:
        return None
    for decimal, other in (predicted, right), (gold, left):
        if _rounds(decimal, other):
            return True
    if isinstance(left, sympy.Expr) and isinstance(right, sympy.Expr):
        return _same_value(left, right)
    return bool(verify(right, left, timeout_seconds=None, raise_on_error=True))


def _same_value(left: sympy.Expr, right: sympy.Expr) -> bool | None:
    """Equal expressions have equal values wherever one looks; rational numbers are compared exactly.

    Those that agree for positive values only (x and |x|) are left open, since a problem may or may not say so.
    """
    symbols = sorted(left.free_symbols | right.free_symbols, key=str)
    if not symbols:
        return _same_number(left, right)
    if left == right:
        return True
    if len(symbols) > len(_SAMPLES):
        return None
    seen: list[bool] = []
    for start, sign in _TURNS:
        numbers = [sign * sympy.Rational(*_SAMPLES[(i + start) % len(_SAMPLES)]) for i in range(len(symbols))]
        values = dict(zip(symbols, numbers, strict=True))
        a, b = (side.subs(values).evalf(_DIGITS) for side in (left, right))
        if a.is_number and b.is_number and a.is_finite and b.is_finite:
            seen.append(bool(abs(a - b) <= _TOLERANCE * max(abs(a), abs(b))))
            if sign > 0 and not seen[-1]:
                return False
    return True if seen and all(seen) else None


def _same_number(left: sympy.Expr, right: sympy.Expr) -> bool | None:
    if any(side.has(sympy.zoo, sympy.nan) for side in (left, right)):
        return False  # what has no value equals nothing
    a, b = left.evalf(_DIGITS), right.evalf(_DIGITS)
    if any(side.has(sympy.zoo, sympy.nan) for side in (a, b)):
        return False
    if not (a.is_finite and b.is_finite):  # infinity, or what has no value
        return bool(a == b) if a.is_number and b.is_number else None
    size, rational = max(abs(a), abs(b)), left.is_rational and right.is_rational
    if rational and size < 10**100:  # larger ones may take for ever, but differ at a glance
        return bool(left.doit() == right.doit())
    if abs(a - b) > _TOLERANCE * size:
        return False
    return bool(left.doit() == right.doit()) if rational else True


@lru_cache(maxsize=1024)
def _parse(text: str) -> Any:
    """The expression of a text, or None. Gold answers come again with every candidate, so it remembers."""
    expression = _parse_simple(text)
    return _parse_latex(text) if expression is None else expression


def _parse_simple(text: str) -> Any:
    """What Python and sympy print, and LaTeX with fractions, roots and powers alone; None when there is more in it.

    Some ten times as fast as a LaTeX grammar.
    """
    before = ""
    while before != text:  # from the innermost braces outwards
        before = text
        for pattern, new in _LATEX:
            text = pattern.sub(new, text)
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text.replace(" ", ""):
        return None
    tokens = [part for token in tokens for part in ([token] if token in _KNOWN or not token.isalpha() else token)]
    joined = tokens[:1]
    for last, token in pairwise(tokens):
        if (last == ")" or last[-1].isalnum()) and (token == "(" or token[0].isalpha()) and last not in _FUNCTIONS:
            joined.append("*")
        joined.append(token)
    try:
        return _build(ast.parse(" ".join(joined), mode="eval").body)
    except (SyntaxError, ValueError, KeyError, TypeError, RecursionError, ZeroDivisionError):
        return None


def _build(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=int() as value) if not isinstance(value, bool):
            return sympy.Integer(value)
        case ast.Constant(value=float() as value):
            return sympy.Rational(repr(value))
        case ast.Name(id=name) if name in _CONSTANTS or len(name) == 1:
            return _CONSTANTS.get(name, sympy.Symbol(name))
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_build(left), _build(right))
        case ast.UnaryOp(op=op, operand=operand):
            return _OPERATORS[type(op)](_build(operand))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if arguments:
            return _FUNCTIONS[name](*map(_build, arguments))
    raise ValueError(f"{type(node).__name__} has no place in a printed expression")


def _parse_latex(text: str) -> Any:
    """By math-verify; i and e are the constants, decimals are exact, symbols are just symbols."""
    text = re.sub(r"(?<![A-Za-z\\])(pi|sqrt)(?![A-Za-z])", r"\\\1 ", text.replace("**", "^").replace("⏎", r"\\"))
    text = re.sub(r"(\d*)\.(\d+)", lambda found: rf"\frac{{{found[1]}{found[2]}}}{{1{len(found[2]) * '0'}}}", text)
    text = text.replace("≤", r"\le ").replace("≥", r"\ge ").replace("∪", r"\cup ")
    found = parse(f"$\\boxed{{{text}}}$", [LatexExtractionConfig()], parsing_timeout=None, raise_on_error=True)
    expression = next((item for item in found if not isinstance(item, str)), None)
    if not isinstance(expression, sympy.Expr):
        return expression
    names = {symbol: symbol.name for symbol in expression.free_symbols}
    return expression.xreplace({symbol: _LETTERS.get(name, sympy.Symbol(name)) for symbol, name in names.items()})


def _rounds(text: str, other: Any) -> bool:
    """True when the text is a decimal of enough digits that correctly rounds an irrational number."""
    decimal = re.fullmatch(r"-?([0-9]*)\.([0-9]+)", text)
    if not decimal or len((decimal[1] + decimal[2]).lstrip("0")) < _MIN_DIGITS:
        return False
    if not (isinstance(other, sympy.Expr) and other.is_real and other.is_rational is False):
        return False
    return bool(abs(other - sympy.Rational(text)) <= sympy.Rational(1, 2 * 10 ** len(decimal[2])))


def _limit_memory() -> None:
    """Bound what a number such as 9^9^9 may take; without effect where the system has no such limit."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    except (ImportError, ValueError, OSError):  # Windows; macOS; or a lower limit stands already
        return


def _limit_cpu(seconds: float) -> None:
    """Let the system end this process after so much CPU time, which does not depend on how busy the machine is."""
    if CPU_CLOCK:
        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main()
