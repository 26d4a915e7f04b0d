"""Compare two expressions by computer algebra in one worker process, which is killed when it takes too long."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from rstar_mini.errors import UserError

# CPU time of one comparison, in this process and the worker together; with the worker's start it stays below 5 s.
SECONDS = 3.0
CPU_CLOCK = hasattr(signal, "setitimer")
_WALL = 20.0 if CPU_CLOCK else 1.0  # seconds by the clock on the wall for each of CPU time, on a busy machine
_START_SECONDS = 120.0  # importing computer algebra on a busy machine


def same_expression(predicted: str, gold: str, seconds: float = SECONDS) -> tuple[bool | None, float]:
    """True or False, or None when a text cannot be parsed or it takes too long; and the CPU time that it took.

    Any thread may ask.

    Raises:
        UserError: math-verify is not installed.
    """
    return _WORKER.ask(predicted, gold, seconds)


class _Worker:
    """The process, started at the first question and again after it was killed."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.lock = threading.Lock()

    def ask(self, predicted: str, gold: str, seconds: float) -> tuple[bool | None, float]:
        with self.lock:
            process = self.process or self._start()
            message = json.dumps([predicted, gold, seconds]).encode() + b"\n"
            answer = self._exchange(process, message, _WALL * seconds)
            if not answer:
                self._stop()
                return None, seconds
            same, taken = json.loads(answer)
            return same, taken

    def _start(self) -> subprocess.Popen[bytes]:
        kept = {name: os.environ[name] for name in ("SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
        path = [str(Path(__file__).parents[2]), *filter(None, sys.path)]
        self.process = subprocess.Popen(
            [sys.executable, "-s", "-P", "-m", "rstar_mini.answers.algebra"],
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
