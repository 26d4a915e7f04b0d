"""The fork server: imports what programs need once, then forks one child for each program.

It speaks the protocol of `wire` on the descriptors it was started with, has one thread, so that forking is safe, and
ends when its input ends. What programs say and print stays in memory that children do not inherit, so that no program
finds another's traces in its own heap, and none runs differently for what ran before.
"""

from __future__ import annotations

import builtins
import contextlib
import gc
import json
import mmap
import os
import select
import signal
import sys
import time
from typing import Any, NamedTuple

from rstar_mini.sandbox.confine import address_space, apply_limits
from rstar_mini.sandbox.guard import audit_hook, drop_names, guarded_builtins, hidden_modules, python_folders
from rstar_mini.sandbox.kernel import RULESET_FD, Kernel, prepare, set_process
from rstar_mini.sandbox.program import CODE_FD, RECORD_FD, execute, receive
from rstar_mini.sandbox.wire import ENDED, MAX_CODE, MAX_RECORD, REPLY, REQUEST, SECRET_BYTES, Limits

_CHUNK = 65536
_SUBREAPER, _PARENT_DEATH_SIGNAL, _DUMPABLE = 36, 1, 4  # of prctl(2)
_DO_NOT_FORK = 10  # of madvise(2)


class _Child(NamedTuple):
    """What a child is told: bytes of code, limits, descriptors to read code and to write output and record, parent."""

    size: int
    limits: Limits
    code: int
    stdout: int
    record: int
    server: int


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
    task = _serve(layers)
    if task is not None:  # only in a child, with nothing of the server left on its stack
        execute(*task)


def _serve(layers: str) -> tuple[str, dict[str, Any]] | None:
    """Answer requests; returns None at the end of input, and in a confined child its program and builtins."""
    readable, memory, names = python_folders(), address_space(), vars(builtins)
    kernel, missing = _kernel(readable) if "kernel" in layers else (None, "")
    hook = audit_hook(readable)
    own = [name for name in sys.modules if name.partition(".")[0] == "rstar_mini"]
    if "guard" in layers:
        own += hidden_modules()
        drop_names()
        names = guarded_builtins()
    child = _answer({"isolation": "kernel" if kernel else "process", "missing": missing})
    if child is None:
        return None
    try:
        _leave_server(child)
        if "limits" in layers:
            apply_limits(child.limits, memory)
        if kernel:
            kernel.confine()
        for name in own:
            del sys.modules[name]
        if "guard" in layers:
            sys.addaudithook(hook)
        return receive(CODE_FD, child.size).decode("utf-8", "surrogatepass"), names
    except BaseException:
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


def _answer(about: dict[str, str]) -> _Child | None:
    """Say what this server is, then run programs; returns None at the end of input, and in a child its task."""
    requests, replies = _private_channels()
    if sys.platform == "linux":
        set_process(_SUBREAPER, 1)
    os.write(replies, json.dumps(about).encode() + b"\n")
    server = _Server()
    gc.collect()
    gc.freeze()  # keeps the collector from touching, and so copying, the pages shared with the children
    gc.disable()
    while header := receive(requests, REQUEST.size):
        size, *limits = REQUEST.unpack(header)
        _code.fill(requests, size)
        child = server.run(size, Limits(*limits), replies)
        if child is not None:
            return child
    return None


def _private_channels() -> tuple[int, int]:
    """Move the channels to the main process away from descriptors 0-2, which children inherit; empty 0 and 2."""
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 2)
    os.close(null)
    return requests, replies


def _write_all(descriptor: int, parts: list[memoryview]) -> None:
    """Write all parts, in one call where possible: each call wakes the reader."""
    while parts := [part for part in parts if part]:
        count = os.writev(descriptor, parts)
        for i, part in enumerate(parts):
            parts[i], count = part[count:], max(0, count - len(part))


class _Region:
    """Memory for program data, which children do not inherit (on Linux)."""

    def __init__(self, size: int) -> None:
        self.memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if sys.platform == "linux":
            self.memory.madvise(_DO_NOT_FORK)
        self.view, self.used = memoryview(self.memory), 0

    def read(self, descriptor: int) -> int:
        """Append what can be read at once; 0 at the end of the input, or when the region is full."""
        count = os.readv(descriptor, [self.view[self.used : self.used + _CHUNK]])
        self.used += count
        return count

    def drain(self, descriptor: int) -> None:
        """Append all that is there to read: the program is over, and nobody is left to write more."""
        with contextlib.suppress(BlockingIOError):
            while self.read(descriptor):
                pass

    def fill(self, descriptor: int, size: int) -> None:
        """Hold the next `size` bytes of a blocking input instead of what was here."""
        self.used = 0
        while self.used < size:
            count = os.readv(descriptor, [self.view[self.used : size]])
            if not count:
                raise EOFError("the main process has gone")
            self.used += count

    def content(self) -> memoryview:
        """What has been read."""
        return self.view[: self.used]


# Never freed: in a child, freeing would unmap whatever has come to lie there.
_code, _record = _Region(MAX_CODE), _Region(MAX_RECORD)
_outputs: dict[int, _Region] = {}


class _Server:
    """Forks children one after the other and watches each one's output, CPU time and end."""

    def __init__(self) -> None:
        self.wake, wake = os.pipe()  # SIGCHLD writes here, so one poll waits for output and for the end
        os.set_blocking(self.wake, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.poller = select.poll()
        self.poller.register(self.wake, select.POLLIN)

    def run(self, size: int, limits: Limits, replies: int) -> _Child | None:
        """Fork a child for the program in `_code` and reply with what was observed of it.

        In the child, returns its task. The secret is made after the fork, so that the child has it nowhere in its
        memory until it reads it.
        """
        stdout, stdout_child = os.pipe()
        os.set_blocking(stdout, False)  # the program may steal what it has written, between our poll and our read
        code_child, code = os.pipe()
        record, record_child = os.pipe()
        start, server = time.monotonic(), os.getpid()
        pid = os.fork()
        if pid == 0:
            return _Child(size, limits, code_child, stdout_child, record_child, server)
        for descriptor in (code_child, stdout_child, record_child):
            os.close(descriptor)
        secret, output = os.urandom(SECRET_BYTES), _output(limits)
        with contextlib.suppress(BrokenPipeError):  # it has ended already
            _write_all(code, [_code.content(), memoryview(secret)])
        os.close(code)
        status, cpu, ended = self._watch(pid, stdout, output, limits, start)
        _end_tree(pid)
        output.drain(stdout)
        _record.used = 0
        os.set_blocking(record, False)
        _record.drain(record)
        os.close(record)
        os.close(stdout)
        exit_code, wall = os.waitstatus_to_exitcode(status), time.monotonic() - start
        header = REPLY.pack(exit_code, cpu, wall, ENDED.index(ended), _record.used, output.used) + secret
        _write_all(replies, [memoryview(header), _record.content(), output.content()])
        return None

    def _watch(self, pid: int, stdout: int, output: _Region, limits: Limits, start: float) -> tuple[int, float, str]:
        """Read the program's output until it ends by itself or has to be ended."""
        ended = ""
        self.poller.register(stdout, select.POLLIN)
        while True:
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done:
                break
            left = min(limits.cpu_seconds - _cpu_seconds(pid), start + limits.wall_seconds - time.monotonic())
            # A character takes four bytes at most, so beyond this there are too many characters for certain.
            if left <= 0 or output.used > 4 * limits.output_chars:
                ended = "timeout" if left <= 0 else "output"
                _kill_group(pid)
                _, status, usage = os.wait4(pid, 0)
                break
            for descriptor, _ in self.poller.poll(max(1.0, left * 1000)):
                with contextlib.suppress(BlockingIOError):
                    if descriptor == self.wake:
                        os.read(self.wake, _CHUNK)
                    elif not output.read(stdout):
                        self.poller.unregister(stdout)
        with contextlib.suppress(KeyError):
            self.poller.unregister(stdout)
        return status, usage.ru_utime + usage.ru_stime, ended


def _output(limits: Limits) -> _Region:
    """An empty region for the output, with room for the first read beyond the limit."""
    size = 4 * limits.output_chars + 2 * _CHUNK
    if size not in _outputs:
        _outputs[size] = _Region(size)
    _outputs[size].used = 0
    return _outputs[size]


def _leave_server(child: _Child) -> None:
    """In a child: leave nothing of the server within reach, and end with it."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    if sys.platform == "linux":
        set_process(_DUMPABLE, 0)  # no core file, not even to a program that the system pipes it to
        set_process(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != child.server:
            os._exit(1)
    os.dup2(child.stdout, 1)
    os.dup2(child.record, RECORD_FD, inheritable=False)  # 3 and 4 have been the server's two channels until now
    os.dup2(child.code, CODE_FD, inheritable=False)
    os.closerange(max(CODE_FD, RECORD_FD) + 1, RULESET_FD)  # the server never has that many open


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
