"""The sandbox against programs that want out: with all its layers, and with the kernel alone, the guard got around."""

from __future__ import annotations

import os
import socket
import sys
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


@pytest.mark.parametrize(("kind", "number"), [(kind, n) for kind in HOSTILE for n in range(len(HOSTILE[kind]))])
def test_hostile_program_is_contained(prison: Prison, kind: str, number: int) -> None:
    program = HOSTILE[kind][number]
    start = time.monotonic()
    execution = prison.attack(program)
    seconds = time.monotonic() - start
    assert "ESCAPED" not in execution.stdout and SECRET not in execution.stdout + execution.error
    assert prison.untouched()
    assert execution.status is not Status.KILLED or "server" not in execution.error
    if program in HANGS + GREEDY + FORGED:
        assert not execution.ok
    if program in HANGS:
        assert execution.status in (Status.TIMEOUT, Status.MEMORY, Status.KILLED, Status.ERROR, Status.FORBIDDEN)
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


def test_no_process_is_left(prison: Prison) -> None:
    for program in HOSTILE["processes"]:
        prison.attack(program)
    children = {int(pid) for server in prison.box._lean.alive for pid in _children(server.process.pid)}
    assert not children


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
