"""A small run that is killed again and again, at random moments, ends like one that was never touched."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_runs import SMALL, digests

import rstar_mini

KILLS = int(os.environ.get("RSTAR_MINI_KILLS", "8"))
FAST = [*SMALL, "sft.epochs=3", "ppm.epochs=3", "sft.checkpoint_seconds=0", "ppm.checkpoint_seconds=0"]
# One process that has everything imported, and forks a child for each attempt: a kill costs no start of Python.
ATTEMPTS = """
import os, sys
import torch
torch.set_num_threads(1)
import rstar_mini, rstar_mini.evolution.rounds
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        rstar_mini.evolve("tiny", sys.argv[1], overrides=sys.argv[2:])
        os._exit(0)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills are by POSIX signals")
def test_a_run_killed_at_random_moments_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    attempts, rng = 0, random.Random(0)
    with _runner(tmp_path / "whole", FAST) as process:
        assert process.stdin and process.stdout
        seconds = _attempt(process, None)
        assert seconds is not None
        process.stdin.close()
    with _runner(tmp_path / "killed", FAST) as process:
        assert process.stdin
        while attempts < KILLS:
            # Mostly short lives, so that the kills fall everywhere; a run that got to its end is begun again.
            if _attempt(process, rng.uniform(0.02, 0.6) * seconds / 4) is None:
                attempts += 1
            else:
                assert digests(tmp_path / "killed") == digests(tmp_path / "whole")
                (tmp_path / "killed").rename(tmp_path / f"killed-{attempts}")
        assert _attempt(process, None) is not None
        process.stdin.close()
    run = rstar_mini.load_run(tmp_path / "killed")
    assert digests(run.path) == digests(tmp_path / "whole")
    assert not run.verify()
    starts = [row for path in tmp_path.glob("killed*/events.jsonl") for row in _rows(path) if row["event"] == "start"]
    print(f"{attempts} kills, {len(starts)} starts, undisturbed {seconds:.1f} s")


def _runner(path: Path, overrides: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-c", ATTEMPTS, str(path), *overrides]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _attempt(process: subprocess.Popen[str], seconds: float | None) -> float | None:
    """Let the run go on, for so many seconds at most; returns how long it took when it came to its end, else None."""
    assert process.stdin and process.stdout
    start = time.monotonic()
    process.stdin.write("go\n")
    process.stdin.flush()
    pid = int(process.stdout.readline())
    if seconds is not None:
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):  # it has come to its end
            os.kill(pid, signal.SIGKILL)
    status = int(process.stdout.readline())
    assert seconds is not None or status == 0
    return time.monotonic() - start if status == 0 else None


def _rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
