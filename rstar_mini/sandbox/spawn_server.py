"""The server for systems without fork (Windows): a fresh interpreter for each program.

The same lines in and out as the fork server, and the same guarantee that no state passes from one program to the next;
slower (an interpreter start per program), timed by the wall clock alone, and without limits on memory.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
import time
from typing import Any

from rstar_mini.sandbox.program import RECORD_FD, Limits, execute


def main(*_warm_up: str) -> None:
    """Serve until end of input. Nothing that this process imports would be shared with a program, so nothing is."""
    for line in sys.stdin.buffer:
        code, *limits = json.loads(line)
        sys.stdout.buffer.write(json.dumps(_run(code, Limits(*limits))).encode() + b"\n")
        sys.stdout.buffer.flush()


def child() -> None:
    """Read one program from stdin and run it; stderr is the private channel, out of the program's usual reach."""
    secret, code = json.loads(sys.stdin.buffer.read())
    os.dup2(2, RECORD_FD, inheritable=False)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 2)
    execute(code, bytes.fromhex(secret))


def _run(code: str, limits: Limits) -> dict[str, Any]:
    secret = secrets.token_bytes(16)
    start = time.monotonic()
    command = [*sys.orig_argv[: sys.orig_argv.index("main")], "child"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin and process.stdout and process.stderr
        timer = threading.Timer(limits.wall_seconds, process.kill)
        timer.start()
        process.stdin.write(json.dumps([secret.hex(), code]).encode())
        process.stdin.close()
        output = process.stdout.read(4 * limits.output_chars + 1)
        ended = "output" if len(output) > 4 * limits.output_chars else ""
        if ended:
            process.kill()
        record = process.stderr.read().partition(secret)[2].decode("utf-8", "replace")
        process.wait()
        timed_out = timer.finished.is_set()
        timer.cancel()
    seconds = time.monotonic() - start
    stdout = output.decode("utf-8", "replace").replace("\r\n", "\n")
    ended = ended or ("timeout" if timed_out else "")
    return {"exit": process.returncode, "record": record, "stdout": stdout, "cpu": 0.0, "wall": seconds, "ended": ended}
