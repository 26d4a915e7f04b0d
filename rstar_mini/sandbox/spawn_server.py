"""The server for systems without fork (Windows): a fresh interpreter for each program.

The same protocol as the fork server, and the same guarantee that no state passes from one program to the next;
slower (an interpreter start per program), timed by the wall clock alone, and without limits on memory.
"""

from __future__ import annotations

import builtins
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from typing import IO

from rstar_mini.sandbox.guard import audit_hook, drop_names, guarded_builtins, hidden_modules, python_folders
from rstar_mini.sandbox.program import CODE_FD, RECORD_FD, execute, receive
from rstar_mini.sandbox.wire import ENDED, MAX_RECORD, REPLY, REQUEST, SECRET_BYTES, Limits

_CHUNK = 65536
_PAUSE, _LAST_WORDS = 0.02, 0.5  # seconds between looks at a program, and for what it wrote last to arrive
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
        for name in hidden_modules():
            del sys.modules[name]
        drop_names()
        names = guarded_builtins()
        sys.addaudithook(audit_hook(python_folders()))
    execute(code.decode("utf-8", "surrogatepass"), names)


class _Reader(threading.Thread):
    """Reads a pipe to its end, or to a limit. What a program has left may hold it open: nobody waits for that."""

    def __init__(self, process: subprocess.Popen[bytes], pipe: IO[bytes], limit: int) -> None:
        super().__init__(daemon=True)
        self.process, self.pipe, self.limit, self.data = process, pipe, limit, bytearray()
        self.start()

    def run(self) -> None:
        """Read, then hold the pipe open: a closed one would let a program that floods it end itself with an error."""
        with self.pipe:
            while not self.full and (part := self.pipe.read(_CHUNK)):
                self.data += part
            self.process.wait()

    @property
    def full(self) -> bool:
        """There was more than the limit."""
        return len(self.data) > self.limit


def _run(code: bytes, limits: Limits, layers: str) -> bytes:
    secret = secrets.token_bytes(SECRET_BYTES)
    start = time.monotonic()
    command = [*sys.orig_argv[: sys.orig_argv.index("main")], "child", layers, str(len(code))]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    assert process.stdin and process.stdout and process.stderr
    output = _Reader(process, process.stdout, 4 * limits.output_chars)
    record = _Reader(process, process.stderr, MAX_RECORD - _CHUNK)
    with contextlib.suppress(OSError), process.stdin:  # it has ended already
        process.stdin.write(code + secret)
    ended = _watch(process, output, record, start + limits.wall_seconds)
    for reader in (output, record):
        reader.join(_LAST_WORDS)
    seconds = time.monotonic() - start
    said, noted = bytes(output.data).replace(b"\r\n", b"\n"), bytes(record.data)
    header = REPLY.pack(process.returncode, 0.0, seconds, ENDED.index(ended), len(noted), len(said))
    return header + secret + noted + said


def _watch(process: subprocess.Popen[bytes], output: _Reader, record: _Reader, deadline: float) -> str:
    """Wait for the program's end, or end it with all that it has started; how it was ended."""
    ended = ""
    while process.poll() is None and not ended:
        output.join(_PAUSE)
        ended = "timeout" if time.monotonic() > deadline else "output" if output.full else ""
        if record.full:
            break
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
    process.wait()
    return ended
