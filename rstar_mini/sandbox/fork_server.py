"""The fork server: imports what programs need once, then forks one child for each program.

Speaks JSON lines on the descriptors it was started with: a program and its limits in, what was observed out. It has one
thread, so that forking is safe, and it ends when its input ends.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any, NamedTuple

from rstar_mini.sandbox.confine import address_space, apply_limits
from rstar_mini.sandbox.guard import audit_hook, guarded_builtins, python_folders
from rstar_mini.sandbox.kernel import RULESET_FD, Kernel, prepare
from rstar_mini.sandbox.program import RECORD_FD, SECRET_BYTES, Limits, execute, read_record

_CHUNK = 65536
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of <sys/prctl.h>


class _Child(NamedTuple):
    """What a child is to run, and the descriptors for its output and for its private channel."""

    code: str
    limits: Limits
    stdout: int
    record: int


def main(layers: str, *warm_up: str) -> None:
    """Serve until end of input.

    Args:
        layers: names of the layers to apply, separated by commas: "limits", "guard", "kernel".
        warm_up: statements that run first; those whose packages are missing have no effect.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for statement in warm_up:
        with contextlib.suppress(ImportError):
            exec(statement, {})
    # In a removed folder nothing can be created, so nothing can leak to the next program.
    os.rmdir(os.getcwd())  # noqa: PTH106, PTH109  # servers stay light, without pathlib
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1)
    readable = python_folders()
    kernel, missing = _kernel(readable) if "kernel" in layers else (None, "")
    hook, memory = audit_hook(readable), address_space()
    names = guarded_builtins() if "guard" in layers else vars(builtins)
    child = _serve({"isolation": "kernel" if kernel else "process", "missing": missing})
    if child is None:
        return
    # Only a child comes here, and nothing of the server is left on its stack.
    try:
        _leave_server(child)
        if "limits" in layers:
            apply_limits(child.limits, memory)
        if kernel:
            kernel.confine()
        if "guard" in layers:
            sys.addaudithook(hook)
        execute(child.code, names)
    finally:
        os._exit(1)


def _kernel(readable: list[str]) -> tuple[Kernel | None, str]:
    """The kernel's confinement and "", or None and the reason why this machine has none; a child tries it."""
    try:
        kernel = prepare(readable)
    except OSError as error:
        return None, str(error)
    pid = os.fork()
    if pid == 0:
        try:
            kernel.confine()
            os._exit(0)
        finally:
            os._exit(1)
    refused = os.waitpid(pid, 0)[1]
    return (None, "seccomp or Landlock is there, but may not be used here") if refused else (kernel, "")


def _serve(about: dict[str, str]) -> _Child | None:
    """Answer requests, adding `about` to each answer; returns None at the end of input, and in a child its task."""
    requests, replies = _private_channels()
    server = _Server()
    gc.collect()
    gc.freeze()  # keeps the collector from touching, and so copying, the pages shared with the children
    gc.disable()
    for line in requests:
        code, *limits = json.loads(line)
        facts = server.run(code, Limits(*limits))
        if isinstance(facts, _Child):
            return facts
        _write_all(replies, json.dumps(facts | about).encode() + b"\n")
    return None


def _private_channels() -> tuple[Any, int]:
    """Move the channels to the main process away from descriptors 0-2, which children inherit; empty 0 and 2."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 2)
    os.close(null)
    return requests, replies


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


class _Server:
    """Forks children one after the other and watches each one's output, CPU time and end."""

    def __init__(self) -> None:
        self.wake, wake = os.pipe()  # SIGCHLD writes here, so one poll waits for output and for the end
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.poller = select.poll()
        self.poller.register(self.wake, select.POLLIN)

    def run(self, code: str, limits: Limits) -> dict[str, Any] | _Child:
        """Fork a child and return what was observed of it: exit code, record, stdout, times, forced end.

        In the child, returns its task. The secret is made after the fork, so that the child has it nowhere in its
        memory until it reads it.
        """
        stdout, stdout_child = os.pipe()
        record, record_child = socket.socketpair()
        start = time.monotonic()
        pid = os.fork()
        if pid == 0:
            return _Child(code, limits, stdout_child, record_child.detach())
        os.close(stdout_child)
        record_child.close()
        secret = os.urandom(SECRET_BYTES)
        with record:
            record.send(secret)
            status, cpu, output, ended = self._watch(pid, stdout, limits, start)
            _end_tree(pid)
            output += _available(stdout)
            found = read_record(_available(record.fileno()), secret)
        os.close(stdout)
        return {
            "exit": os.waitstatus_to_exitcode(status),
            "record": found,
            "stdout": bytes(output).decode("utf-8", "replace"),
            "cpu": cpu,
            "wall": time.monotonic() - start,
            "ended": ended,
        }

    def _watch(self, pid: int, stdout: int, limits: Limits, start: float) -> tuple[int, float, bytearray, str]:
        """Read the program's output until it ends by itself or has to be ended."""
        output, ended = bytearray(), ""
        self.poller.register(stdout, select.POLLIN)
        while True:
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done:
                break
            left = min(limits.cpu_seconds - _cpu_seconds(pid), start + limits.wall_seconds - time.monotonic())
            # A character takes four bytes at most, so beyond this there are too many characters for certain.
            if left <= 0 or len(output) > 4 * limits.output_chars:
                ended = "timeout" if left <= 0 else "output"
                _kill_group(pid)
                _, status, usage = os.wait4(pid, 0)
                break
            for descriptor, _ in self.poller.poll(max(1.0, left * 1000)):
                data = os.read(descriptor, _CHUNK)
                if descriptor == stdout:
                    output += data
                    if not data:
                        self.poller.unregister(stdout)
        with contextlib.suppress(KeyError):
            self.poller.unregister(stdout)
        return status, usage.ru_utime + usage.ru_stime, output, ended


def _leave_server(child: _Child) -> None:
    """In a child: leave nothing of the server within reach."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    os.dup2(child.stdout, 1)
    os.dup2(child.record, RECORD_FD, inheritable=False)
    os.closerange(RECORD_FD + 1, RULESET_FD)  # the server never has that many open


def _cpu_seconds(pid: int) -> float:
    """CPU time of a running child. Only Linux has this clock; elsewhere RLIMIT_CPU ends the program a little later."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except (OSError, OverflowError):
        return 0.0


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):  # the group does not exist yet if the child never came to setsid
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _end_tree(pid: int) -> None:
    """Kill and reap all that the program left behind; on Linux also what left its group, which became our child."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError, FileNotFoundError):
        while True:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                with open(f"/proc/self/task/{os.getpid()}/children") as file:  # noqa: PTH123  # as above
                    for child in file.read().split():
                        os.kill(int(child), signal.SIGKILL)
                time.sleep(0.001)


def _available(descriptor: int) -> bytes:
    """What can be read at once: the program is over, and nobody is left to write more."""
    os.set_blocking(descriptor, False)
    try:
        return os.read(descriptor, 16 * _CHUNK)
    except (BlockingIOError, ConnectionResetError):  # reset: it ended before it read its secret
        return b""
