"""The sandbox against programs that want out: with all its layers, and with the kernel alone, the guard got around."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hostile_programs import BENIGN, FORGED, GREEDY, HANGS, HOSTILE, PRELUDE

from rstar_mini.sandbox import Sandbox
from rstar_mini.types import Execution, Status

LIMIT = 0.4  # seconds of CPU time
SECRET = "open sesame"
LAYERS = ("limits,guard,kernel", "limits,kernel")


def _kernel() -> bool:
    with Sandbox() as box:
        return box.isolation == "kernel"


pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not _kernel(), reason="this machine has no seccomp or no Landlock"
)


class Prison(NamedTuple):
    """A sandbox, and what its programs must not touch."""

    box: Sandbox
    folder: Path
    listener: socket.socket

    def attack(self, program: str) -> Execution:
        """Run a program of hostile_programs.py."""
        names = {"secret": self.folder / "secret", "canary": self.folder / "canary", "folder": self.folder}
        values = {"port": self.listener.getsockname()[1], "parent": os.getpid()}
        return self.box.run(PRELUDE + program.format(**names, **values))

    def untouched(self) -> bool:
        """True when nothing outside has changed and nobody has called."""
        files = {path.name: path.read_text() for path in self.folder.iterdir()}
        try:
            self.listener.accept()
        except BlockingIOError:
            return files == {"secret": SECRET, "canary": SECRET}
        return False


@pytest.fixture(scope="module", params=LAYERS)
def prison(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prison]:
    folder = tmp_path_factory.mktemp("outside")
    for name in ("secret", "canary"):
        (folder / name).write_text(SECRET)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Sandbox(cpu_seconds=LIMIT, memory_mb=256, output_chars=10_000, layers=request.param) as box,
    ):
        listener.setblocking(False)
        box.run("import sympy")
        yield Prison(box, folder, listener)


def named(hang: bool) -> list[tuple[str, int]]:
    """The kinds and numbers of the programs that hang, or of the others."""
    return [
        (kind, n) for kind, programs in HOSTILE.items() for n, code in enumerate(programs) if (code in HANGS) is hang
    ]


@pytest.mark.parametrize(("kind", "number"), named(hang=False))
def test_hostile_program_is_contained(prison: Prison, kind: str, number: int) -> None:
    contained(prison, HOSTILE[kind][number])


# The clock that ends them is no layer; with the kernel alone they are slow, half a second each.
@pytest.mark.parametrize("prison", [LAYERS[0], pytest.param(LAYERS[1], marks=pytest.mark.slow)], indirect=True)
@pytest.mark.parametrize(("kind", "number"), named(hang=True))
def test_hostile_program_that_hangs_is_ended(prison: Prison, kind: str, number: int) -> None:
    contained(prison, HOSTILE[kind][number])


def contained(prison: Prison, program: str) -> None:
    """See that a program gets nowhere, and that the next one runs."""
    start = time.monotonic()
    execution = prison.attack(program)
    seconds = time.monotonic() - start
    assert "ESCAPED" not in execution.stdout and SECRET not in execution.stdout + execution.error
    assert prison.untouched()
    assert execution.status is not Status.KILLED or "server" not in execution.error
    if program in HANGS + GREEDY + FORGED:
        assert not execution.ok
    if program in HANGS:
        assert execution.seconds < 2 * LIMIT + 0.1 and seconds < 4 * LIMIT
    assert prison.box.run("print('well')").stdout == "well\n"


def test_there_are_many_hostile_programs() -> None:
    assert len({program for programs in HOSTILE.values() for program in programs}) >= 120


@pytest.mark.parametrize("number", range(len(BENIGN)))
def test_benign_program_runs(prison: Prison, number: int) -> None:
    code, want = BENIGN[number]
    if "scipy" in code:
        pytest.importorskip("scipy")
    execution = prison.box.run(code)
    assert (execution.status, execution.stdout.strip().split("\n")[-1]) == (Status.OK, want), execution.error


def test_nothing_of_a_hostile_program_reaches_the_next(prison: Prison) -> None:
    clean = "import math, random, sys\nprint(math.pi, random.random(), sorted(globals()), len(sys.modules), len('ab'))"
    want = prison.box.run(clean).stdout
    for i, program in enumerate(FORGED):
        prison.attack(program)
        assert prison.box.run(f"{clean}  # {i}").stdout == want


def test_no_program_finds_another_in_its_memory(prison: Prison) -> None:
    other = "import numpy\nx = '" + "MARKER_B" * 4000 + "'\nprint(x)"
    search = """
import numpy as np
blocks = [np.empty(4096 * n + o, "u1") for n in range(1, 32) for o in (-64, -32, -16, 0, 16, 32, 64)]
blocks += [np.empty(s, "u1") for s in range(1024, 4096, 48)]
print(sum(block.tobytes().count(b"KER_" + b"BMAR") for block in blocks))  #
"""
    codes = [code + str(i) for i in range(6) for code in (search, other + "#", search + "2")]
    assert {e.stdout for e in prison.box.run_many(codes) if len(e.stdout) < 100} == {"0\n"}


def test_a_program_runs_alike_whatever_ran_before(prison: Prison) -> None:
    """On every server; what hangs on the addresses of objects is excepted, as the sandbox's README says."""
    code = "import random\nprint(random.random(), hash(None), set('abcdefgh'), {print, len, None})  # {}"
    heavy = "import numpy, sympy\nprint(numpy.random.rand(), set(sympy.symbols('a:f', cls=sympy.Dummy)))  # {}"
    for program in (code, heavy):
        first = [e.stdout for e in prison.box.run_many([program.replace("{}", str(i)) for i in range(10)])]
        for i, hostile in enumerate(FORGED[:10]):
            prison.attack(f"{hostile}\n#{i}{len(program)}")
        again = [e.stdout for e in prison.box.run_many([program.replace("{}", str(i)) for i in range(10, 20)])]
        assert len({*first, *again}) == 1 and first[0]


def test_a_program_ends_with_its_server() -> None:
    code = "while True:\n  try: __import__('time').sleep(1000)\n  finally: 1"
    with Sandbox(cpu_seconds=2) as box:
        thread = threading.Thread(target=box.run, args=(code,), daemon=True)
        thread.start()
        [server] = box._lean.alive
        while not (pids := _children(server.process.pid)):
            time.sleep(0.01)
        server.process.kill()
        thread.join(10)
    for _ in range(100):
        if not Path(f"/proc/{pids[0]}").exists():
            break
        time.sleep(0.02)
    assert not Path(f"/proc/{pids[0]}").exists()


def test_no_process_is_left(prison: Prison) -> None:
    for program in HOSTILE["processes"]:
        prison.attack(program)
    children = {int(pid) for server in prison.box._lean.alive for pid in _children(server.process.pid)}
    assert not children


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
