"""The command line under odd circumstances: paths, streams, users, read-only folders; and what it advises."""

import importlib.util
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import FEW, SMALL, Until
from typer.testing import CliRunner

import rstar_mini
from rstar_mini import hub, paths
from rstar_mini.cli import app
from rstar_mini.errors import UserError, command
from rstar_mini.files import copy_files
from rstar_mini.hub import Repo
from rstar_mini.recipes import load_recipe
from rstar_mini.sandbox import Sandbox
from rstar_mini.sandbox.guard import ALLOWED_MODULES

ENDLESS = (
    "from itertools import permutations\nprint(sum(1 for p in permutations(range(11))))",
    "while True:\n    pass",
    "n = 3\nwhile n:\n    n = n * n % (10**4000 + 7)",
)


@pytest.fixture(scope="module")
def box():
    with Sandbox(cpu_seconds=1) as box:
        yield box


def test_every_module_on_the_list_that_is_installed_imports(box):
    names = [name for name in sorted(ALLOWED_MODULES) if importlib.util.find_spec(name)]
    codes = [f"import {name}\nprint({name}.__name__)" for name in names]
    assert "networkx" in names
    assert [found.stdout.strip() for found in box.run_many(codes)] == names


def test_a_graph_is_computed_and_the_guard_still_stands(box):
    code = "import networkx as nx\ng = nx.path_graph(4)\nprint(nx.shortest_path_length(g, 0, 3))"
    assert box.run(code).stdout == "3\n"
    for module in ("socket", "subprocess", "os"):
        assert box.run(f"import networkx\nimport {module}").status == "forbidden"
    assert not box.run("import networkx, sys\nsys.modules['socket'].socket()").ok


def test_endless_programs_are_timeouts(box):
    found = box.run_many([*ENDLESS])
    assert [(each.status, each.error[:11]) for each in found] == len(ENDLESS) * [("timeout", "more than 1")]


def test_the_systems_own_limit_on_time_is_a_timeout_too(box):
    facts = {"ended": "", "stdout": "", "cpu": 0.9, "exit": -24, "record": None, "wall": 1.0}
    assert box._status(facts)[0] == "timeout"


def test_a_program_with_a_byte_order_mark(tmp_path):
    (tmp_path / "mine.py").write_bytes(b"\xef\xbb\xbfprint(6 * 7)\n")
    result = CliRunner().invoke(app, ["exec", str(tmp_path / "mine.py")])
    assert json.loads(result.stdout)["stdout"] == "42\n"


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("problems.path=my #1 set.jsonl", "my #1 set.jsonl"),
        ("problems.path=C:\\data\\tests", "C:\\data\\tests"),
        ("problems.path=a: b.jsonl", "a: b.jsonl"),
        ("problems.path=[x].jsonl", "[x].jsonl"),
        ("problems.path=2024", "2024"),
        ("problems.path='quoted #1.jsonl'", "quoted #1.jsonl"),
        ("evaluation.path=~/x.jsonl", "/home/ann/x.jsonl"),
        ("problems.decontaminate=[~/x.jsonl, math500]", ["/home/ann/x.jsonl", "math500"]),
        ("policy.base=~/my #2 base", "/home/ann/my #2 base"),
        ("policy.batch_rows=null", None),
        ("search.c=1.5", 1.5),
    ],
)
def test_paths_are_taken_as_they_stand(monkeypatch, change, value):
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("USERPROFILE", "/home/ann")
    section, key = change.partition("=")[0].split(".")
    assert getattr(getattr(load_recipe("tiny", [change]), section), key) == value


def nobody(monkeypatch) -> None:
    """A user without a name and without HOME."""

    def unknown(_: int) -> None:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)


@pytest.mark.skipif(os.name == "nt", reason="there is no HOME on Windows")
def test_without_a_home_folder_it_says_what_to_set(monkeypatch):
    nobody(monkeypatch)
    monkeypatch.delenv("RSTAR_MINI_CACHE", raising=False)
    with pytest.raises(UserError, match="set HOME, or RSTAR_MINI_CACHE"):
        paths.cache_dir()
    monkeypatch.setattr(hub, "HUB_CACHE", Path("~/.cache/huggingface/hub"))
    with pytest.raises(UserError, match="set HOME, or HF_HOME"):
        Repo("org/mine", "model").snapshot()
    with pytest.raises(UserError, match="Write the path in full"):
        load_recipe("tiny", ["problems.path=~/x.jsonl"])


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell closes the streams")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_ends_nothing(evolved, closed):
    line = shlex.join([sys.executable, "-m", "rstar_mini.cli", "status", str(evolved.path)])
    done = subprocess.run(["sh", "-c", f"{line} {closed}"], capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr + done.stdout


def test_what_is_suggested_can_be_copied(tmp_path):
    place = tmp_path / "my run; echo no"
    with pytest.raises(UserError) as caught:
        rstar_mini.load_run(place)
    assert str(caught.value).endswith(f"rstar-mini evolve --run '{place}'")
    assert shlex.split(command("report", place)) == ["rstar-mini", "report", str(place)]


def test_settings_of_memory_may_change_when_a_run_goes_on(tmp_path):
    run, small = tmp_path / "run", [*SMALL, *FEW]
    with pytest.raises(KeyboardInterrupt):
        rstar_mini.evolve("tiny", run, 1, small, Until("round 1: search"))
    changes = ["sft.micro_batch=4", "ppm.recompute=true", "policy.batch_rows=64", "policy.cache_mb=80"]
    with pytest.raises(UserError, match=r"belongs to another recipe \(sft.epochs"):
        rstar_mini.evolve("tiny", run, 1, [*small, *changes, "sft.epochs=2"])
    until = Until("round 1: policy")
    with pytest.raises(KeyboardInterrupt):
        rstar_mini.evolve("tiny", run, 1, [*small, *changes], until)
    made = rstar_mini.load_run(run)
    assert made.recipe.sft.micro_batch == 4 and made.recipe.ppm.recompute and made.verify() == []
    assert json.loads((run / "capacity.json").read_text())["batch_rows"] == 64
    assert "sft.micro_batch: none -> 4" in until.said


def test_copies_of_read_only_folders_can_be_written(tmp_path):
    inner = tmp_path / "source" / "inner"
    inner.mkdir(parents=True)
    (inner / "file").write_text("text")
    for path in (inner / "file", inner, tmp_path / "source"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    copy_files(tmp_path / "source", tmp_path / "copy")
    copies = [tmp_path / "copy", tmp_path / "copy" / "inner", tmp_path / "copy" / "inner" / "file"]
    assert copies[2].read_text() == "text" and all(path.stat().st_mode & 0o200 for path in copies)


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_a_read_only_run_is_exported(run, tmp_path):
    paths_ = sorted(run.path.rglob("*"), reverse=True)
    modes = {path: path.stat().st_mode for path in (*paths_, run.path)}
    for path in modes:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        result = CliRunner().invoke(app, ["export", str(run.path), "--to", str(tmp_path / "out")])
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    assert result.exit_code == 0, result.output
    made = [tmp_path / "out", *(tmp_path / "out").rglob("*")]
    assert all(path.stat().st_mode & 0o200 for path in made)
