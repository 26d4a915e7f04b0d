"""The server for systems without fork (Windows): a fresh interpreter for each program.

The same lines in and out as the fork server, and the same guarantee that no state passes from one program to the next;
slower (an interpreter start per program), timed by the wall clock alone, and without limits on memory.
"""

from __future__ import annotations

import builtins
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from typing import Any

from rstar_mini.sandbox.guard import audit_hook, guarded_builtins, python_folders
from rstar_mini.sandbox.program import RECORD_FD, SECRET_BYTES, Limits, execute, read_record

_SECRET_FD = RECORD_FD + 1
_MISSING = "this system cannot fork, so programs have no limits but the wall clock and the guard in the interpreter"


def main(layers: str, *_warm_up: str) -> None:
    """Serve until end of input. Nothing that this process imports would be shared with a program, so nothing is."""
    for line in sys.stdin.buffer:
        code, *limits = json.loads(line)
        facts = _run(code, Limits(*limits), layers) | {"isolation": "spawn", "missing": _MISSING}
        sys.stdout.buffer.write(json.dumps(facts).encode() + b"\n")
        sys.stdout.buffer.flush()


def child(layers: str, size: str) -> None:
    """Read a program of `size` bytes from stdin and run it; the secret comes after it, and stderr takes the record."""
    code = b""
    while len(code) < int(size):
        code += os.read(0, int(size) - len(code))
    os.dup2(2, RECORD_FD, inheritable=False)
    os.dup2(0, _SECRET_FD, inheritable=False)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 2)
    names = vars(builtins)
    if "guard" in layers:
        names = guarded_builtins()
        sys.addaudithook(audit_hook(python_folders()))
    execute(code.decode("utf-8", "surrogatepass"), names, _SECRET_FD)


def _run(code: str, limits: Limits, layers: str) -> dict[str, Any]:
    secret = secrets.token_bytes(SECRET_BYTES)
    start = time.monotonic()
    text = code.encode("utf-8", "surrogatepass")
    command = [*sys.orig_argv[: sys.orig_argv.index("main")], "child", layers, str(len(text))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin and process.stdout and process.stderr
        timer = threading.Timer(limits.wall_seconds, process.kill)
        timer.start()
        process.stdin.write(text + secret)
        process.stdin.close()
        output = process.stdout.read(4 * limits.output_chars + 1)
        ended = "output" if len(output) > 4 * limits.output_chars else ""
        if ended:
            process.kill()
        record = read_record(process.stderr.read(), secret)
        process.wait()
        timed_out = timer.finished.is_set()
        timer.cancel()
    seconds = time.monotonic() - start
    stdout = output.decode("utf-8", "replace").replace("\r\n", "\n")
    ended = ended or ("timeout" if timed_out else "")
    return {"exit": process.returncode, "record": record, "stdout": stdout, "cpu": 0.0, "wall": seconds, "ended": ended}
