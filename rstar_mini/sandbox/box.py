"""`Sandbox`: the one door through which model-written programs are run, and the place where their status is decided."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Sequence
from typing import Self

from rstar_mini.errors import UserError
from rstar_mini.sandbox.isolation import LAYERS, Isolation
from rstar_mini.sandbox.servers import Facts, Servers
from rstar_mini.sandbox.wire import MAX_CODE, Limits
from rstar_mini.types import Execution, Status

_ATTEMPTS = 3  # to see how programs are isolated
_WALL_FACTOR = 1.5  # wall-clock seconds allowed for each CPU second: ends programs that sleep
_MARGIN = 0.3  # CPU times this near the limit, as a share of it, may be noise and are measured again
_KINDS = (Status.OK, Status.ERROR, Status.MEMORY, Status.FORBIDDEN)  # what a program's own record may say
_SIGSYS, _SIGXCPU = 31, 24  # on Linux (the second on macOS too); Windows lacks the names
_MAX_ERROR = 400  # characters; the rest of a longer message is the program's own doing
_REMEMBERED = 10**8  # characters of programs and their output that are kept
_MAX_CODE = MAX_CODE // 4  # characters, which take four bytes at most
_TOO_LONG = Execution(Status.ERROR, "", f"a program of more than {_MAX_CODE} characters")
_NEEDS_HEAVY, _NEEDS_RARE = re.compile(r"\b(sympy|numpy)\b"), re.compile(r"\b(networkx|scipy)\b")
# Cheap modules that programs use; whatever else they import is loaded in their own process.
_LEAN = (
    "import bisect, cmath, collections, datetime, decimal, fractions, functools",
    "import heapq, itertools, math, operator, random, re, statistics, string",
)
# Both are seeded, so that programs give one result, and a first equation makes sympy load what it loads late.
_HEAVY = (
    "import random; random.seed(0)",  # sympy draws a number when it is imported
    *_LEAN,
    "import numpy; numpy.random.seed(0)",
    "import sympy, sympy.core.random; sympy.core.random.seed(0); sympy.Dummy._base_dummy_index = 10**6",
    "import sympy; x = sympy.Symbol('x'); sympy.simplify(sympy.solve(x**2 - 3 * x + 1, x)[0])",
    "import sympy; sympy.lambdify(sympy.Symbol('x'), 1)(0)",
)
# These load modules that the guard refuses to programs, so a server loads them before it has a guard.
_RARE = (
    *_HEAVY,
    "import networkx",
    "import scipy.fft, scipy.integrate, scipy.interpolate, scipy.linalg, scipy.ndimage, scipy.optimize, scipy.signal",
    "import scipy.sparse.csgraph, scipy.sparse.linalg, scipy.spatial, scipy.special, scipy.stats",
)


class Sandbox:
    """Runs untrusted Python programs in processes of their own, with limits, many a second.

    A program that is asked for again is answered from memory. `requests` counts the programs asked for, `programs`
    those really run. Time is CPU time, so a status does not depend on how busy the machine is; a wall clock of 1.5
    times the limit ends programs that sleep.

    Args:
        cpu_seconds: CPU time of one program.
        memory_mb: megabytes that a program may use on top of the interpreter and its modules.
        output_chars: characters of stdout; a program that prints more has the status "output".
        require_isolation: the weakest isolation that will do (see rstar_mini/sandbox/README.md).
        layers: what confines a program; all that the machine has, unless a test or a measurement asks for less.

    Raises:
        UserError: this machine's isolation is weaker than `require_isolation`, or no server answers; the message says
            why.
    """

    def __init__(
        self,
        cpu_seconds: float = 2.0,
        memory_mb: int = 512,
        output_chars: int = 10_000,
        require_isolation: str = Isolation.ANY,
        layers: str = LAYERS,
    ) -> None:
        if require_isolation not in list(Isolation):
            raise UserError(f"require_isolation is {require_isolation}; it can be {', '.join(Isolation)}")
        required = Isolation(require_isolation)
        self.limits = Limits(cpu_seconds, _WALL_FACTOR * cpu_seconds, memory_mb, output_chars)
        self.requests = self.programs = 0
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        # Several kinds of server, because a fork copies page tables: one that holds sympy forks several times slower.
        self._lean, self._heavy, self._rare = (Servers(cores, layers, warm_up) for warm_up in (_LEAN, _HEAVY, _RARE))
        self._all = self._lean, self._heavy, self._rare
        self._known: dict[str, Execution] = {}
        self._kept = 0
        self._lock, self._process = threading.Lock(), os.getpid()
        self.isolation, self.missing = self._isolation()
        if not self.isolation.satisfies(required):
            self.close()
            raise UserError(
                f"sandbox.require_isolation is {require_isolation}, but this machine only has {self.isolation}: "
                f"{self.missing}"
            )

    def _isolation(self) -> tuple[Isolation, str]:
        """How an empty program is isolated, and what keeps it from more.

        Raises:
            UserError: no server answers.
        """
        for _ in range(_ATTEMPTS):  # on a busy machine a server may be too slow, and is given up
            facts = self._lean.run([""], self.limits)[0]
            if facts["isolation"]:
                return Isolation(facts["isolation"]), facts["missing"]
        self.close()
        raise UserError("the sandbox's processes do not answer: this machine is very busy; try again when it is not")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End all server processes."""
        with self._own_lock():
            for servers in self._all:
                servers.close()

    def _own_lock(self) -> threading.Lock:
        """The lock. In a process forked from the one that started the servers, these are not ours to talk to."""
        if self._process != os.getpid():
            self._lock, self._process = threading.Lock(), os.getpid()
            self._others = [servers.alive for servers in self._all]  # kept, or Python would warn that they still run
            for servers in self._all:
                servers.forget()
        return self._lock

    def run(self, code: str) -> Execution:
        """Run one program."""
        return self.run_many([code])[0]

    def run_many(self, codes: Sequence[str]) -> list[Execution]:
        """Run programs on all cores; results in the order of `codes`, identical programs run once.

        Raises:
            UserError: the Python for the server processes does not start.
        """
        with self._own_lock():
            if self._kept > _REMEMBERED:
                self._known, self._kept = {}, 0
            new = [code for code in dict.fromkeys(codes) if code not in self._known]
            self.requests += len(codes)
            self.programs += len(new)
            self._known |= {code: _TOO_LONG for code in new if len(code) > _MAX_CODE}
            new = [code for code in new if code not in self._known]
            for servers in self._all:
                self._run_new(servers, [code for code in new if self._servers_for(code) is servers])
            return [self._known[code] for code in codes]

    def _servers_for(self, code: str) -> Servers:
        if _NEEDS_RARE.search(code):
            return self._rare
        return self._heavy if _NEEDS_HEAVY.search(code) else self._lean

    def _run_new(self, servers: Servers, codes: list[str]) -> None:
        generous = self.limits._replace(cpu_seconds=(1 + _MARGIN) * self.limits.cpu_seconds)
        for code, facts in zip(codes, servers.run(codes, generous), strict=True):
            if self._doubtful(facts):
                facts = servers.run([code], self.limits)[0]
            self._known[code] = execution = self._judge(facts)
            self._kept += len(code) + len(execution.stdout)

    def _doubtful(self, facts: Facts) -> bool:
        """True when running the program again, alone, could give another status."""
        share = facts["cpu"] / self.limits.cpu_seconds
        # Ended by the wall clock after some work: asleep, or kept waiting by a busy machine.
        near: bool = 0.25 < share < 1 if facts["ended"] == "timeout" else share >= 1 - _MARGIN
        return near or facts["ended"] == "killed"

    def _judge(self, facts: Facts) -> Execution:
        stdout = facts["stdout"][: self.limits.output_chars]
        status, error = self._status(facts)
        return Execution(status, stdout, error, facts["wall"], str(self.isolation))

    def _status(self, facts: Facts) -> tuple[Status, str]:
        """What the server saw counts first; the program's own record only says how its code ended."""
        if facts["ended"] == "killed":
            return Status.KILLED, "the program killed or stopped the process that ran it"
        if facts["ended"] == "output" or len(facts["stdout"]) > self.limits.output_chars:
            return Status.OUTPUT, f"more than {self.limits.output_chars} characters printed"
        if facts["ended"] == "timeout" or facts["cpu"] > self.limits.cpu_seconds:
            return Status.TIMEOUT, f"more than {self.limits.cpu_seconds:g} s of CPU time, or much longer asleep"
        if facts["exit"] == -_SIGXCPU:  # where the server cannot measure CPU time, the system ends the program
            return Status.TIMEOUT, f"more than {self.limits.cpu_seconds:g} s of CPU time"
        if facts["exit"] == -_SIGSYS:
            return Status.FORBIDDEN, "a system call that the kernel does not allow here"
        if facts["exit"] < 0:
            return Status.KILLED, f"ended by signal {-facts['exit']}"
        kind, message = facts["record"] or ("", "")
        message = " ".join(message.split())[:_MAX_ERROR]
        if facts["exit"] or kind not in _KINDS:
            return Status.ERROR, f"the process ended itself with exit code {facts['exit']} before the program's end"
        return Status(kind), "" if kind == Status.OK else message
