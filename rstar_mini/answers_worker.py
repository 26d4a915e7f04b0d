"""Compare two expressions by computer algebra (math-verify) in one worker process, killed when it takes too long.

Run as a module, this file is the worker: JSON lines in and out. Texts are parsed by a LaTeX grammar, never evaluated.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from rstar_mini.errors import UserError

_SECONDS = 3.0  # wall clock for one comparison
_START_SECONDS = 120.0  # importing computer algebra on a busy machine
_TOLERANCE = 1e-12  # relative; numbers further apart are different, whatever their size
_MIN_DIGITS = 4  # significant digits a decimal needs to stand for an irrational number


def same_expression(predicted: str, gold: str) -> bool | None:
    """True or False, or None when the texts cannot be parsed or the comparison takes more than 3 s. Any thread may ask.

    Raises:
        UserError: math-verify is not installed.
    """
    return _WORKER.ask(predicted, gold)


class _Worker:
    """The process, started at the first question and again after it was killed."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.lock = threading.Lock()

    def ask(self, predicted: str, gold: str) -> bool | None:
        with self.lock:
            process = self.process or self._start()
            answer = self._exchange(process, json.dumps([predicted, gold]).encode() + b"\n", _SECONDS)
            if not answer:
                self._stop()
                return None
            same: bool | None = json.loads(answer)
            return same

    def _start(self) -> subprocess.Popen[bytes]:
        kept = {name: os.environ[name] for name in ("SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
        path = [str(Path(__file__).parents[1]), *filter(None, sys.path)]
        self.process = subprocess.Popen(
            [sys.executable, "-s", "-P", "-m", "rstar_mini.answers_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept | {"PYTHONPATH": os.pathsep.join(path), "PYTHONHASHSEED": "0", "PYTHONUTF8": "1"},
            start_new_session=True,
        )
        if not self._exchange(self.process, b"", _START_SECONDS):
            self._stop()
            raise UserError("math-verify, which compares answers, is missing: pip install 'math-verify[antlr4_13_2]'")
        return self.process

    def _exchange(self, process: subprocess.Popen[bytes], message: bytes, seconds: float) -> bytes:
        """The worker's next line, or nothing when it ended or had to be killed."""
        assert process.stdin and process.stdout
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        try:
            process.stdin.write(message)
            process.stdin.flush()
            return process.stdout.readline()
        except OSError:
            return b""
        except BaseException:  # Ctrl-C: the late answer must not be taken for that of the next question
            self._stop()
            raise
        finally:
            timer.cancel()

    def _stop(self) -> None:
        process, self.process = self.process, None
        if process and process.stdin and process.stdout:
            process.kill()
            process.wait()
            process.stdout.close()
            with contextlib.suppress(OSError):
                process.stdin.close()

    def close(self) -> None:
        with self.lock:
            self._stop()


_WORKER = _Worker()
atexit.register(_WORKER.close)


# ---- the worker's side ----


def _serve() -> None:
    import logging

    import math_verify  # noqa: F401  # so that a missing package shows at start

    logging.disable()  # math-verify warns that its own time limits are off; this process has a better one
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            same = _same(*json.loads(line))
        except Exception:
            same = None
        print(json.dumps(same), flush=True)


def _same(predicted: str, gold: str) -> bool | None:
    from math_verify import verify

    left, right = _parse(predicted), _parse(gold)
    if left is None or right is None:
        return None
    for decimal, other in (predicted, right), (gold, left):
        if _rounds(decimal, other):
            return True
    same = bool(verify(right, left, timeout_seconds=None, raise_on_error=True))
    return same and not _far_apart(left, right)


def _parse(text: str) -> Any:
    """The expression of a text, or None."""
    from math_verify import LatexExtractionConfig, parse

    text = re.sub(r"(?<![A-Za-z\\])pi(?![A-Za-z])", r"\\pi ", text.replace("**", "^"))
    found = parse(f"$\\boxed{{{text}}}$", [LatexExtractionConfig()], parsing_timeout=None, raise_on_error=True)
    return next((item for item in found if not isinstance(item, str)), None)


def _rounds(text: str, other: Any) -> bool:
    """True when the text is a decimal of enough digits that correctly rounds an irrational number."""
    import sympy

    decimal = re.fullmatch(r"-?([0-9]*)\.([0-9]+)", text)
    if not decimal or len((decimal[1] + decimal[2]).lstrip("0")) < _MIN_DIGITS:
        return False
    irrational = isinstance(other, sympy.Expr) and other.is_real and other.is_rational is False
    if not irrational or other.has(sympy.Float):
        return False
    return bool(abs(other - sympy.Rational(text)) <= sympy.Rational(1, 2 * 10 ** len(decimal[2])))


def _far_apart(left: Any, right: Any) -> bool:
    """True for two numbers that differ, even where both are too small for a comparison to six decimals."""
    import sympy

    if not all(isinstance(side, sympy.Expr) and side.is_number for side in (left, right)):
        return False
    return bool(abs(sympy.N(left - right, 30)) > _TOLERANCE * abs(sympy.N(right, 30)))


if __name__ == "__main__":
    _serve()
