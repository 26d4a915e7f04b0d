"""The main process's side: start server processes, keep them all busy, and replace those that die."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import deque
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from rstar_mini.errors import UserError
from rstar_mini.sandbox.wire import ENDED, MAX_MORE, MAX_RECORD, REPLY, REQUEST, SECRET_BYTES, Limits, read_record

Facts = dict[str, Any]  # what a server saw of one program: exit, record, stdout, cpu, wall, ended, isolation, missing

_SERVER = "fork_server" if hasattr(os, "fork") else "spawn_server"
_LOST = {"ended": "killed", "stdout": "", "wall": 0.0, "cpu": 0.0, "isolation": "", "missing": ""}
_IN_FLIGHT = 2  # programs given to a server at once, so that it never waits for the main process
_PATIENCE = 60.0  # seconds without any reply, on top of a program's own time, before servers count as hung

# A server must not load the real packages: what they import would make every fork slower. So empty ones stand in.
# And its addresses must not be random: the order of a set of objects, and so what a program prints, hangs on them.
_BOOT = """
import importlib, sys, types
if sys.platform == "linux":
    import ctypes, os
    libc, no_random = ctypes.CDLL(None), 0x0040000
    now = libc.personality(0xFFFFFFFF)  # asks only
    fixed = now >= 0 and libc.personality(now | no_random) >= 0 and libc.personality(0xFFFFFFFF) & no_random
    if fixed and not now & no_random:
        os.execv(sys.executable, sys.orig_argv)
package, sandbox, server, function = sys.argv[1:5]
for name, folder in ("rstar_mini", package), ("rstar_mini.sandbox", sandbox):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
getattr(importlib.import_module("rstar_mini.sandbox." + server), function)(*sys.argv[5:])
"""


class Server:
    """One server process, the programs it was given and has not answered, and the thread that reads its replies."""

    def __init__(self, layers: str, warm_up: tuple[str, ...], inbox: SimpleQueue[tuple[Server, Facts | None]]) -> None:
        self.pending: deque[int] = deque()
        self.about: dict[str, str] = {}
        self.most_output = 0  # bytes, of the programs it was given
        self.folder = tempfile.mkdtemp(prefix="rstar-mini-")
        here = Path(__file__).parent
        # Not -I: it would ignore PYTHONHASHSEED too. These flags with a bare environment isolate just as well.
        command = [sys.executable, "-s", "-S", "-P", "-B", "-c", _BOOT]
        try:
            self.process = subprocess.Popen(
                [*command, str(here.parent), str(here), _SERVER, "main", layers, *warm_up],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self.folder,
                env=_environment(),
                start_new_session=True,
            )
            self.reader = threading.Thread(target=self._read, args=(inbox,), daemon=True)
            self.reader.start()
        except BaseException:  # Ctrl-C: a process that has been started ends with its input
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _read(self, inbox: SimpleQueue[tuple[Server, Facts | None]]) -> None:
        """Put the facts of each reply into the inbox, and None at the end."""
        assert self.process.stdout
        with contextlib.suppress(ValueError, EOFError):  # a reply that was cut off
            self.about = json.loads(self.process.stdout.readline())
            while True:
                code, cpu, wall, ended, record, stdout = REPLY.unpack(self._receive(REPLY.size))
                if record > MAX_RECORD or stdout > self.most_output:
                    raise ValueError("a server that has lost its senses")
                secret = self._receive(SECRET_BYTES)
                found = read_record(self._receive(record), secret)
                text = self._receive(stdout).decode("utf-8", "replace")
                facts = {"exit": code, "cpu": cpu, "wall": wall, "ended": ENDED[ended], "record": found, "stdout": text}
                inbox.put((self, facts | self.about))
        inbox.put((self, None))

    def _receive(self, size: int) -> bytes:
        assert self.process.stdout
        data = self.process.stdout.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def send(self, index: int, code: str, limits: Limits) -> None:
        """Queue a program. If the server is dead, its end of output, which follows, brings the program back."""
        assert self.process.stdin
        self.pending.append(index)
        self.most_output = 4 * limits.output_chars + MAX_MORE  # a character takes four bytes at most
        try:
            data = code.encode("utf-8", "surrogatepass")
            self.process.stdin.write(REQUEST.pack(len(data), *limits) + data)
            self.process.stdin.flush()
        except OSError:
            self.process.kill()

    def stop(self) -> None:
        """Kill the process and free all that belongs to it."""
        assert self.process.stdin and self.process.stdout
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        with contextlib.suppress(OSError):  # raised when it still held a program for the dead server
            self.process.stdin.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Servers:
    """Up to `size` servers of one kind, each running the `warm_up` statements once, started when there is work."""

    def __init__(self, size: int, layers: str, warm_up: tuple[str, ...]) -> None:
        self.size, self.layers, self.warm_up = size, layers, warm_up
        self.alive: list[Server] = []
        self.inbox: SimpleQueue[tuple[Server, Facts | None]] = SimpleQueue()

    def run(self, codes: list[str], limits: Limits) -> list[Facts]:
        """Run every program once and return the facts in the same order.

        Raises:
            UserError: a server process cannot start.
        """
        facts: dict[int, Facts] = {}
        waiting = deque(range(len(codes)))
        try:
            while len(facts) < len(codes):
                self._feed(waiting, codes, limits)
                self._collect(waiting, facts, limits.wall_seconds + _PATIENCE)
        except BaseException:  # Ctrl-C included: late replies must not be taken for those of the next call
            self.close()
            raise
        return [facts[index] for index in range(len(codes))]

    def _feed(self, waiting: deque[int], codes: list[str], limits: Limits) -> None:
        while len(self.alive) < min(self.size, len(waiting)):
            self.alive.append(Server(self.layers, self.warm_up, self.inbox))
        for _ in range(_IN_FLIGHT):
            for server in self.alive:
                if waiting and len(server.pending) < _IN_FLIGHT:
                    index = waiting.popleft()
                    server.send(index, codes[index], limits)

    def _collect(self, waiting: deque[int], facts: dict[int, Facts], patience: float) -> None:
        try:
            server, found = self.inbox.get(timeout=patience)
        except Empty:  # a program stopped its server; killing it brings the end of output that is handled below
            for server in self.alive:
                if server.pending:
                    server.process.kill()
            return
        if server not in self.alive:
            return
        if found is not None:
            facts[server.pending.popleft()] = found
            return
        self.alive.remove(server)
        server.stop()
        if not server.about and server.process.returncode > 0:
            code = server.process.returncode
            raise UserError(f"the sandbox's Python, {sys.executable}, ended with code {code} at start: does it run?")
        if server.pending:
            facts[server.pending.popleft()] = _LOST
        waiting.extendleft(reversed(server.pending))

    def close(self) -> None:
        """Stop all servers; the next `run` starts new ones, which late replies of these do not reach."""
        old = self.alive
        self.forget()
        with contextlib.ExitStack() as stack:  # which goes on to the next when Ctrl-C comes in one
            for server in old:
                server.process.kill()
                stack.callback(server.stop)

    def forget(self) -> None:
        """Have no servers any more, without touching those there are."""
        self.alive, self.inbox = [], SimpleQueue()


def _environment() -> dict[str, str]:
    """Nothing of the user's environment, except what some systems need to start a Python at all."""
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
    packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    return kept | {
        "PYTHONPATH": os.pathsep.join(packages),
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
