"""`--offline` opens no connection to anywhere but this machine, with a model and problems out of the Hub's cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_mirror import write_cache
from small_runs import SMALL
from typer.testing import CliRunner

from rstar_mini.cli import app
from rstar_mini.paths import data_file

ROOT = Path(__file__).parents[1]
# In every Python that is started: a connection to elsewhere is written down, and fails.
GUARD = """
import os, sys
def watch(event, arguments):
    if event == "socket.connect":
        place = arguments[1]
        place = place[0] if isinstance(place, tuple) else "localhost"
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        place = arguments[0]
    else:
        return
    if place not in ("127.0.0.1", "::1", "localhost", None, ""):
        with open(os.environ["GUARD_LOG"], "a") as file:
            file.write(f"{event} {place}\\n")
        raise RuntimeError(f"{event} {place}")
sys.addaudithook(watch)
"""
COMMANDS = """
import json, sys
from rstar_mini.cli import main
for line in json.loads(sys.argv[1]):
    sys.argv = ["rstar-mini", *line]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (line, end.code)
"""


@pytest.fixture
def guarded(tmp_path: Path):
    """Runs Python code in a new folder; gives what it wrote, and the connections that it wanted to elsewhere."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    log = tmp_path / "connections"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "guard"), str(ROOT)]),
        "GUARD_LOG": str(log),
        "HOME": str(tmp_path),
    }
    environment |= {"HF_HUB_DISABLE_XET": "1", "RSTAR_MINI_CACHE": str(tmp_path / "carried")}

    def run(code: str, *arguments: str) -> tuple[subprocess.CompletedProcess[str], str]:
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return done, log.read_text() if log.exists() else ""

    return run


@pytest.mark.slow
def test_the_guard_sees_who_looks_for_the_hub(guarded) -> None:
    done, connections = guarded(COMMANDS, json.dumps([["evolve", "tiny", "--set", "policy.base=org/none"]]))
    assert done.returncode and "huggingface.co" in connections


@pytest.mark.slow
def test_evolve_solve_and_eval_offline(guarded, tmp_path: Path) -> None:
    """The model and the problems lie in the folder that `rstar-mini fetch --to` makes, under RSTAR_MINI_CACHE."""
    write_cache(tmp_path / "carried" / "hub", "model", "org/mine", data_file("tiny-base"))
    sums = tmp_path / "sums"
    sums.mkdir()
    lines = data_file("train.jsonl").read_text().splitlines()[:24]
    (sums / "train.jsonl").write_text("\n".join(lines) + "\n")
    write_cache(tmp_path / "carried" / "hub", "dataset", "org/sums", sums)
    changes = [*SMALL, "policy.base=org/mine", "problems.path=org/sums", "problems.limit=12", "evaluation.limit=3"]
    sets = [word for change in changes for word in ("--set", change)]
    done, connections = guarded(
        COMMANDS,
        json.dumps(
            [
                ["evolve", "tiny", "--run", "run", "--rounds", "1", "--offline", *sets],
                ["eval", "run", "--limit", "2", "--offline"],
                ["solve", "Tom has 3 pens and buys 4 more. How many pens has he?", "--run", "run", "--offline"],
            ]
        ),
    )
    assert "weights: round 1 of run" in done.stdout, done.stderr
    assert connections == ""


@pytest.mark.slow
def test_a_run_of_what_comes_with_the_package_looks_nowhere_even_online(guarded) -> None:
    sets = [word for change in [*SMALL, "problems.limit=8", "evaluation.limit=2"] for word in ("--set", change)]
    done, connections = guarded(COMMANDS, json.dumps([["evolve", "tiny", "--run", "r", "--rounds", "1", *sets]]))
    assert done.returncode == 0, done.stderr
    assert connections == ""


def test_a_server_on_another_machine_is_refused_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RSTAR_MINI_OFFLINE", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, "")  # so that what --offline sets is taken back afterwards
    sets = ["policy.engine=endpoint", "policy.served_model=m", "policy.url=http://192.0.2.1:8000/v1"]
    words = [word for change in sets for word in ("--set", change)]
    result = CliRunner().invoke(app, ["evolve", "tiny", "--offline", "--run", str(tmp_path / "run"), *words])
    assert result.exit_code == 2 and "http://192.0.2.1:8000/v1 is on another machine" in result.stderr
    assert not (tmp_path / "run").exists()
