"""Files of a run that were cut, emptied, filled with other bytes, or replaced: one line that names the file, always."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rstar_mini.cli import app
from rstar_mini.evolution.integrity import verify
from rstar_mini.files import remove

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links of files are not everybody's on Windows")
COMMANDS = ("status", "verify", "report", "solve", "export")
QUESTION = "Tom has 3 boxes with 8 pens in each box. How many pens are there?"
HARMLESS = ("lock", "owner.json")  # what they hold is nobody's loss
QUICK = {"status": 131, "verify": 56, "report": 2, "export": 6, "solve": 5}


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
    file.unlink()
    file.symlink_to("/etc/passwd")


KINDS: tuple[Callable[[Path], None], ...] = (cut, emptied, noise, zeros, other_json, folder, lost_link, link_out)


@pytest.fixture(scope="module")
def whole(evolved, tmp_path_factory) -> Path:
    """A small run with all kinds of files."""
    path = tmp_path_factory.mktemp("whole") / "run"
    shutil.copytree(evolved.path, path)
    (path / "owner.json").write_text('{"id": "other", "pid": 1, "host": "x", "since": "", "seen": 0}\n')
    return path


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    shutil.copytree(whole, tmp_path / "run", copy_function=os.link)
    return tmp_path / "run"


@contextmanager
def damaged(whole: Path, run: Path, name: str, kind: Callable[[Path], None]) -> Iterator[None]:
    """One file of the copy is damaged; all others are the very files of the whole run."""
    content = (whole / name).read_bytes()
    remove(run / name)
    (run / name).write_bytes(content)
    kind(run / name)
    yield
    remove(run / name)
    os.link(whole / name, run / name)


def arguments(command: str, run: Path, to: Path) -> list[str]:
    match command:
        case "solve":
            return ["solve", QUESTION, "--run", str(run)]
        case "export":
            return ["export", str(run), "--to", str(to)]
    return [command, str(run)]


def check(whole: Path, run: Path, command: str, name: str, kind: Callable[[Path], None]) -> None:
    case, to = (command, name, kind.__name__), run.with_name("out")
    with damaged(whole, run, name, kind):
        result = CliRunner().invoke(app, arguments(command, run, to))
    shutil.rmtree(to, ignore_errors=True)
    (run / "report.html").unlink(missing_ok=True)
    assert result.exit_code in (0, 1, 2) and isinstance(result.exception, SystemExit | None), (case, result.exception)
    said = result.stderr.splitlines()
    if command == "verify":
        same = (run / name).stat().st_size == 0 and kind in (cut, emptied)
        link = kind in (lost_link, link_out)
        fine = same or name in HARMLESS and not link or (name, kind) == ("events.jsonl", emptied)
        assert (result.exit_code == 1 and name in result.stdout) or fine, case
    elif result.exit_code == 2:
        assert len(said) == 1 and name in said[0] and "rstar-mini verify" in said[0], (case, said)


def names(whole: Path) -> list[str]:
    return sorted(file.relative_to(whole).as_posix() for file in whole.rglob("*") if file.is_file())


def test_two_hundred_kinds_of_damage(whole: Path, run: Path) -> None:
    chance = random.Random(28)
    files = names(whole)
    for command, times in QUICK.items():
        for _ in range(times):
            check(whole, run, command, chance.choice(files), chance.choice(KINDS))


@pytest.mark.slow
@pytest.mark.matrix
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_file_damaged_in_every_way(whole: Path, run: Path, command: str, kind: Callable[[Path], None]) -> None:
    for name in names(whole):
        check(whole, run, command, name, kind)


def test_a_whole_run_has_nothing_wrong(whole: Path) -> None:
    assert verify(whole) == []
