"""Files of a run that were cut, emptied, filled with other bytes, or replaced: one line that names the file, always."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rstar_mini.cli import app
from rstar_mini.evolution.integrity import verify

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links of files are not everybody's on Windows")
COMMANDS = ("status", "verify", "report", "solve", "export")
QUESTION = "Tom has 3 boxes with 8 pens in each box. How many pens are there?"
HARMLESS = ("lock", "owner.json", "report.html")  # read by nobody, or written anew
QUICK = {"verify": 100, "status": 60, "report": 16, "export": 12, "solve": 12}


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def noise(file: Path) -> None:
    file.write_bytes(random.Random(file.name).randbytes(max(file.stat().st_size, 64)))


def zeros(file: Path) -> None:
    file.write_bytes(bytes(max(file.stat().st_size, 64)))


def other_json(file: Path) -> None:
    file.write_text('{"round": "x", "n": [1, {"a": null}]}\n' * 3)


def folder(file: Path) -> None:
    file.unlink()
    (file / "below").mkdir(parents=True)


def lost_link(file: Path) -> None:
    file.unlink()
    file.symlink_to("nowhere")


def link_out(file: Path) -> None:
    outside = file.parents[len(file.parents) - 1] / "etc" / "hostname"
    file.unlink()
    file.symlink_to(outside)


KINDS: tuple[Callable[[Path], None], ...] = (cut, emptied, noise, zeros, other_json, folder, lost_link, link_out)


@pytest.fixture(scope="module")
def whole(evolved, tmp_path_factory) -> Path:
    """A small run with all kinds of files."""
    path = tmp_path_factory.mktemp("whole") / "run"
    shutil.copytree(evolved.path, path)
    assert CliRunner().invoke(app, ["report", str(path)]).exit_code == 0
    (path / "owner.json").write_text('{"id": "other", "pid": 1, "host": "x", "since": "", "seen": 0}\n')
    return path


def damaged(whole: Path, to: Path, name: str, kind: Callable[[Path], None]) -> Path:
    """A copy of the run in which one file is damaged; the other files are the same ones."""
    shutil.copytree(whole, to, copy_function=os.link)
    file = to / name
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content)
    kind(file)
    return to


def arguments(command: str, run: Path, to: Path) -> list[str]:
    match command:
        case "solve":
            return ["solve", QUESTION, "--run", str(run)]
        case "export":
            return ["export", str(run), "--to", str(to)]
    return [command, str(run)]


def check(whole: Path, tmp_path: Path, command: str, name: str, kind: Callable[[Path], None]) -> None:
    run = damaged(whole, tmp_path / "run", name, kind)
    result = CliRunner().invoke(app, arguments(command, run, tmp_path / "out"))
    said = result.stderr.splitlines()
    assert result.exit_code in (0, 1, 2), (command, name, kind.__name__, result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), (command, name, kind.__name__)
    if command == "verify":
        changed = name not in HARMLESS or kind in (lost_link, link_out)
        empty = (whole / name).stat().st_size == 0 and kind in (cut, emptied)
        same = name == "events.jsonl" and kind in (cut, emptied)  # as after a loss of power: mended by the next start
        assert (result.exit_code == 1 and name in result.stdout) or not changed or empty or same
    elif result.exit_code == 2:
        assert len(said) == 1 and name in said[0] and "rstar-mini verify" in said[0], (command, name, kind.__name__, said)
    shutil.rmtree(tmp_path / "run")
    shutil.rmtree(tmp_path / "out", ignore_errors=True)


def names(whole: Path) -> list[str]:
    return sorted(file.relative_to(whole).as_posix() for file in whole.rglob("*") if file.is_file())


def test_two_hundred_kinds_of_damage(whole: Path, tmp_path: Path) -> None:
    chance = random.Random(28)
    files = names(whole)
    for command, times in QUICK.items():
        for _ in range(times):
            check(whole, tmp_path, command, chance.choice(files), chance.choice(KINDS))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_file_damaged_in_every_way(whole: Path, tmp_path: Path, command: str, kind: Callable[[Path], None]) -> None:
    for name in names(whole):
        check(whole, tmp_path, command, name, kind)


def test_a_whole_run_has_nothing_wrong(whole: Path) -> None:
    assert verify(whole) == []
