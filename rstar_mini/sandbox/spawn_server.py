"""The server for systems without fork (Windows): a fresh interpreter for each program.

The same protocol as the fork server, and the same guarantee that no state passes from one program to the next;
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

from rstar_mini.sandbox.guard import audit_hook, drop_names, guarded_builtins, python_folders
from rstar_mini.sandbox.program import CODE_FD, RECORD_FD, execute, receive
from rstar_mini.sandbox.wire import ENDED, REPLY, REQUEST, SECRET_BYTES, Limits

_MISSING = "this system cannot fork, so programs have no limits but the wall clock and the guard in the interpreter"


def main(layers: str, *_warm_up: str) -> None:
    """Serve until end of input. Nothing that this process imports would be shared with a program, so nothing is."""
    replies = sys.stdout.buffer
    replies.write(json.dumps({"isolation": "spawn", "missing": _MISSING}).encode() + b"\n")
    replies.flush()
    while header := sys.stdin.buffer.read(REQUEST.size):
        size, *limits = REQUEST.unpack(header)
        replies.write(_run(sys.stdin.buffer.read(size), Limits(*limits), layers))
        replies.flush()


def child(layers: str, size: str) -> None:
    """Read a program of `size` bytes from stdin and run it; the secret comes after it, and stderr takes the record."""
    code = receive(0, int(size))
    os.dup2(2, RECORD_FD, inheritable=False)
    os.dup2(0, CODE_FD, inheritable=False)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 2)
    names = vars(builtins)
    if "guard" in layers:
        drop_names()
        names = guarded_builtins()
        sys.addaudithook(audit_hook(python_folders()))
    execute(code.decode("utf-8", "surrogatepass"), names)


def _run(code: bytes, limits: Limits, layers: str) -> bytes:
    secret = secrets.token_bytes(SECRET_BYTES)
    start = time.monotonic()
    command = [*sys.orig_argv[: sys.orig_argv.index("main")], "child", layers, str(len(code))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin and process.stdout and process.stderr
        timer = threading.Timer(limits.wall_seconds, process.kill)
        timer.start()
        process.stdin.write(code + secret)
        process.stdin.close()
        output = process.stdout.read(4 * limits.output_chars + 1)
        ended = "output" if len(output) > 4 * limits.output_chars else ""
        if ended:
            process.kill()
        record = process.stderr.read()
        process.wait()
        ended = ended or ("timeout" if timer.finished.is_set() else "")
        timer.cancel()
    seconds = time.monotonic() - start
    output = output.replace(b"\r\n", b"\n")
    header = REPLY.pack(process.returncode, 0.0, seconds, ENDED.index(ended), len(record), len(output))
    return header + secret + record + output
