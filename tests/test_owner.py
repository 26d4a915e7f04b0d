"""Who may write into a run: on one machine, and in a folder that machines share which do not see each other's locks."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from small_runs import SMALL, digests

import rstar_mini
from rstar_mini.errors import UserError
from rstar_mini.evolution import owner
from rstar_mini.evolution.owner import LEASE, OWNER, Ownership
from rstar_mini.evolution.run import Run
from rstar_mini.evolution.status import status
from rstar_mini.progress import Silent
from rstar_mini.recipes import load_recipe

fcntl = pytest.importorskip("fcntl", reason="the ways in which mounted folders fail are those of Unix")


@pytest.fixture
def made(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", load_recipe("tiny"))


def left_behind(folder: Path, silent: float, **changes: Any) -> None:
    """What an owner on another machine has written, so many seconds ago."""
    other = {"id": "other", "pid": 17, "host": "colab-1", "since": "2026-01-01T00:00:00", "seen": time.time() - silent}
    (folder / OWNER).write_text(json.dumps(other | changes))


def make_poor(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A file system without locks, and that cannot say when something is on the disk."""

    def unsupported(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    monkeypatch.setattr(os, "fsync", unsupported)


def test_a_live_owner_on_another_machine_is_not_disturbed(made: Run) -> None:
    left_behind(made.path, silent=40)
    with (
        pytest.raises(UserError, match=r"process 17 on colab-1 worked on .* 40 s ago.*again in 2(59|60) s"),
        made.owned(),
    ):
        pass
    assert json.loads((made.path / OWNER).read_text())["id"] == "other"
    now = status(made.path)
    assert now and now.working


@pytest.mark.parametrize("silent", [LEASE + 1, -86400, 86400])
def test_a_machine_that_has_vanished_does_not_block_whatever_its_clock_said(made: Run, monkeypatch, silent) -> None:
    left_behind(made.path, silent)
    now = status(made.path)
    assert now and not now.working
    monkeypatch.setattr(owner, "LEASE", 0.2)
    said: list[str] = []
    start = time.monotonic()
    with made.owned(said.append):
        assert 0.2 <= time.monotonic() - start < 5 and "watching" in said[0]
        assert json.loads((made.path / OWNER).read_text())["pid"] == os.getpid()
    assert not (made.path / OWNER).exists()


@pytest.mark.parametrize("wrong", [-86400, -360, 360, 86400])
def test_an_owner_that_lives_keeps_its_run_however_wrong_its_clock_is(made: Run, monkeypatch, wrong: int) -> None:
    left_behind(made.path, silent=wrong)
    monkeypatch.setattr(owner, "LEASE", 20.0)
    beat = threading.Timer(0.3, left_behind, (made.path, wrong - 1))
    beat.start()
    with pytest.raises(UserError, match="process 17 on colab-1 is working on"), made.owned():
        pass
    beat.join()
    assert json.loads((made.path / OWNER).read_text())["id"] == "other"


def test_who_ends_while_it_is_watched_leaves_the_run_at_once(made: Run, monkeypatch) -> None:
    left_behind(made.path, silent=1000)
    monkeypatch.setattr(owner, "LEASE", 20.0)
    threading.Timer(0.3, (made.path / OWNER).unlink).start()
    start = time.monotonic()
    with made.owned():
        assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    "sign", ["", "[]", "{}", '{"id": 5}', "x" * 100, '{"id": "../../x", "pid": 1, "host": "", "seen": 0}']
)
def test_a_damaged_sign_is_none(made: Run, sign: str) -> None:
    (made.path / OWNER).write_text(sign)
    with made.owned():
        pass


def test_an_owner_that_lives_says_so(made: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "BEAT", 0.01)
    with made.owned():
        first = json.loads((made.path / OWNER).read_text())["seen"]
        deadline = time.monotonic() + 10
        while json.loads((made.path / OWNER).read_text())["seen"] <= first:
            assert time.monotonic() < deadline


def test_who_was_silent_for_too_long_writes_nothing_more(made: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "BEAT", 0.01)
    before = digests(made.path)
    with made.owned():
        for _ in range(20):  # a beat that had looked just before may write over the sign, but not again and again
            left_behind(made.path, silent=0)
            time.sleep(0.1)  # several beats
            if owner.owner(made.path)["id"] == "other":
                break
        with pytest.raises(UserError, match="process 17 on colab-1 has taken over"):
            made.write_json(made.path / "capacity.json", {})
        with pytest.raises(UserError, match="has taken over"):
            made.note("anything")
    assert json.loads((made.path / OWNER).read_text())["id"] == "other"
    assert digests(made.path) == before


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])
def test_without_locks_a_live_process_of_this_machine_is_seen(made: Run, monkeypatch, number: int) -> None:
    make_poor(monkeypatch, number)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        here = {"host": socket.gethostname(), "pid": other.pid}
        left_behind(made.path, silent=1, **here)
        with pytest.raises(UserError, match=f"process {other.pid} on"), Ownership(made.path):
            pass
        other.kill()
        other.wait()
        with Ownership(made.path):
            pass


@pytest.mark.slow
def test_a_run_on_a_poor_file_system_is_stopped_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = [*SMALL, "problems.limit=8", "evaluation.limit=2"]
    rstar_mini.evolve("tiny", tmp_path / "whole", 1, changes)
    make_poor(monkeypatch, errno.EOPNOTSUPP)

    class Stop(Silent):
        def stage(self, name: str, total: int) -> None:
            if name.endswith("PPM"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rstar_mini.evolve("tiny", tmp_path / "cut", 1, changes, Stop())
    (tmp_path / "moved").mkdir()
    moved = (tmp_path / "cut").rename(tmp_path / "moved" / "cut")  # mounted elsewhere, as a new machine may do
    rstar_mini.evolve("tiny", moved, 1, changes)
    assert digests(moved) == digests(tmp_path / "whole")
    assert not rstar_mini.load_run(moved).verify()


def test_an_error_of_the_disk_itself_is_not_passed_over(made: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output error"):
        made.write_json(made.path / "capacity.json", {})
    monkeypatch.undo()
    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(OSError, match="Input/output error"), made.owned():
        pass
