"""The command line: what it prints, and one clear line with exit code 2 for everything a user can mend."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import rstar_mini.api as api
from rstar_mini.cli import app
from rstar_mini.evolution.run import Run
from rstar_mini.recipes import load_recipe
from rstar_mini.show import doctor
from rstar_mini.types import Execution, Node, Problem, Status, Step, Tree


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test works in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RSTAR_MINI_CACHE", str(tmp_path / "cache"))


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(*arguments: str | Path, code: int = 2) -> str:
    """The one line on stderr of a command that fails."""
    result = call(*arguments)
    assert result.exit_code == code, result.output
    [line] = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def python(code: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that finds the package even when it is not installed."""
    root = Path(api.__file__).parents[1]
    return subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)


def raising(error: BaseException) -> Callable[..., Any]:
    def stub(*_: Any, **__: Any) -> Any:
        raise error

    return stub


# --- bad input -----------------------------------------------------------------------------------------------------


def test_a_misspelt_key_is_one_line() -> None:
    assert "search.cc: unknown key; did you mean search.c?" in refused("evolve", "tiny", "--set", "search.cc=2")


def test_a_misspelt_key_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nrounds: [{annotation: terminal, rolouts: 4}]\n")
    line = refused("evolve", path)
    assert str(path) in line and "rounds.0.rolouts" in line


def test_negative_rollouts_are_refused() -> None:
    assert "rounds.1.rollouts: -8" in refused("evolve", "--set", "rounds.1.rollouts=-8")


def test_an_unknown_recipe_suggests_a_known_one() -> None:
    assert "did you mean smol?" in refused("evolve", "smoll")


@pytest.mark.parametrize("rounds", ["0", "-1", "9"])
def test_rounds_that_the_recipe_has_not_are_refused(rounds: str) -> None:
    assert "rounds" in refused("evolve", "--rounds", rounds)


@pytest.mark.parametrize("command", [("report",), ("eval",)])
def test_a_run_that_is_not_there_is_refused(command: tuple[str, ...], tmp_path: Path) -> None:
    assert str(tmp_path / "absent") in refused(*command, tmp_path / "absent")


def test_solve_refuses_an_empty_question_and_a_missing_run(tmp_path: Path) -> None:
    assert "empty" in refused("solve", "  ")
    assert "absent" in refused("solve", "What is 1 + 1?", "--run", tmp_path / "absent")


def test_a_run_of_another_recipe_is_refused_and_left_alone(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", load_recipe("tiny", ["search.c=1.25"]))
    before = {file: file.read_bytes() for file in run.path.iterdir()}
    line = refused("evolve", "tiny", "--run", run.path, "--set", "search.c=1.5")
    assert "search.c: 1.25 -> 1.5" in line
    assert {file: file.read_bytes() for file in run.path.iterdir()} == before


def test_nothing_is_written_for_a_recipe_that_is_refused(tmp_path: Path) -> None:
    refused("evolve", "tiny", "--set", "seed=abc")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [("evolve", "--rounds", "many"), ("fly",), ("solve",), ("eval", "--seeds", "0")])
def test_usage_errors_have_code_2(arguments: tuple[str, ...]) -> None:
    assert call(*arguments).exit_code == 2


def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "evolve", raising(OSError(errno.ENOSPC, "No space left on device", "x.json")))
    assert "the disk is full" in refused("evolve")


def test_a_path_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = refused("evolve", "--run", tmp_path / "file" / "below")
    assert str(tmp_path / "file") in line


def test_an_interrupt_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "evolve", raising(KeyboardInterrupt()))
    assert "the same command goes on" in refused("evolve", code=130)


def test_an_error_of_the_program_itself_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "evolve", raising(OSError(errno.EIO, "no path is to blame")))
    assert isinstance(call("evolve").exception, OSError)


def test_the_installed_command_ends_with_code_2_and_one_line() -> None:
    code = "import sys; sys.argv[1:] = ['evolve', 'nope']; from rstar_mini.cli import main; main()"
    done = python(code)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: recipe nope:") and done.stderr.count("\n") == 1


# --- what commands print -------------------------------------------------------------------------------------------


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from rstar_mini.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "assert not {'torch', 'trl', 'numpy', 'matplotlib'} & set(sys.modules)"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr


def test_help_lists_the_commands() -> None:
    text = call("--help").output
    assert all(name in text for name in ("evolve", "solve", "eval", "report", "doctor", "fetch", "export"))


def evaluation(seed: int) -> dict[str, Any]:
    systems = {"greedy": {"correct": 90, "n": 200}, "vote": {"correct": 100, "n": 200}}
    return {"n": 200, "seed": seed, "systems": systems, "paired": {}}


def test_evolve_passes_its_options_on_and_prints_the_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Finished(Run):
        def metrics(self) -> list[dict[str, Any]]:
            return [{"round": 0, "seed": 0, "evaluation": evaluation(0)}]

    asked: list[Any] = []

    def stub(recipe: str, run: Path | None, rounds: int | None, overrides: list[str], progress: Any, *how: Any) -> Run:
        asked.extend([recipe, run, rounds, overrides, *how])
        progress.say("at work")
        return Finished(tmp_path / "r", load_recipe("tiny"))

    monkeypatch.setattr(api, "evolve", stub)
    options = (
        "--run",
        "r",
        "--rounds",
        "1",
        "--set",
        "seed=1",
        "--set",
        "search.c=1",
        "--ray",
        "local",
        "--accelerate",
        "two.yaml",
    )
    result = call("evolve", "smol", *options)
    assert result.exit_code == 0
    assert asked == ["smol", "r", 1, ["seed=1", "search.c=1"], "local", "two.yaml"]
    assert "at work" in result.output and "45.0" in result.output and "rstar-mini report" in result.output


def test_eval_shows_each_seed_and_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def stub(run: Path, seeds: int, limit: int | None, rounds: list[int] | None, progress: Any) -> dict[str, Any]:
        asked.extend([run, seeds, limit, rounds])
        pooled = {"n": 400, "systems": {"greedy": {"correct": 180, "n": 400}}}
        return {"rounds": [{"round": 1, "n": 200, "seeds": [evaluation(0), evaluation(1)], "pooled": pooled}]}

    monkeypatch.setattr(api, "evaluate_run", stub)
    result = call("eval", "r", "--seeds", "2", "--limit", "200", "--round", "1", "--round", "2")
    assert result.exit_code == 0
    assert asked == [Path("r"), 2, 200, [1, 2]]
    assert all(text in result.output for text in ("1, seed 0", "1, seed 1", "1, all", "45.0"))


def solved() -> tuple[Tree, Node]:
    tree = Tree(Problem("question", "What is 2 times 7?", ""))
    texts = (
        Step("<code>\n# Multiply\nx = 2 * 7\n<end_of_step>"),
        Step("\nprint(x)\n<end_of_code>", "\n<output>14<end_of_output>\n", execution=Execution(Status.OK, "14\n")),
        Step("<answer>\\boxed{14}<end_of_answer>", answer="14"),
    )
    node = tree.root
    for step in texts:
        node.children.append(Node(step, node, visits=4, value=3.0, prior=0.5))
        node = node.children[0]
    return tree, node


def test_solve_prints_steps_code_output_values_and_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    tree, end = solved()
    solution = api.Solution(tree.problem, tree, tree.trajectory(end), "the shipped weights")
    monkeypatch.setattr(api, "solve", lambda question, run, seed: solution)
    result = call("solve", "What is 2 times 7?")
    assert result.exit_code == 0
    assert "weights: the shipped weights\n" in result.output
    assert "step 1  Q = +0.75  PPM = +0.50\n    # Multiply\n    x = 2 * 7\n" in result.output
    assert "    print(x)\n    prints 14\n" in result.output
    assert result.output.endswith("answer: 14\n")
    assert "<end_of" not in result.output


def test_solve_without_an_answer_says_so_with_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = Tree(Problem("question", "?", ""))
    monkeypatch.setattr(api, "solve", lambda question, run, seed: api.Solution(tree.problem, tree, None, "weights"))
    result = call("solve", "?")
    assert result.exit_code == 1
    assert "no answer was found" in result.output


def test_what_models_write_does_nothing_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    tree, end = solved()
    object.__setattr__(tree.root.children[0], "step", Step("<code>\nx = '\x1b[2J[red]'\n<end_of_step>"))
    monkeypatch.setattr(api, "solve", lambda *_: api.Solution(tree.problem, tree, tree.trajectory(end), "weights"))
    output = call("solve", "?").output
    assert "\x1b" not in output and "[2J[red]" in output


def test_report_says_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from rstar_mini.files import write_json

    run = Run.create(tmp_path / "run", load_recipe("tiny"))
    write_json(run.round(0) / "metrics.json", {"round": 0, "seed": 0, "evaluation": evaluation(0)})
    result = call("report", run.path)
    assert result.exit_code == 0, result.output
    assert str(run.path / "report.html") in result.output.replace("\n", "")
    assert (run.path / "report.html").exists()


def test_doctor_prints_a_line_for_each_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def findings() -> Iterator[doctor.Finding]:
        yield doctor.Finding(True, "python", "3.11.0")
        yield doctor.Finding(False, "GPU", "none")

    monkeypatch.setattr(doctor, "examine", findings)
    assert call("doctor").output == "[ok] python: 3.11.0\n[--] GPU: none\n"


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("importlib.import_module", raising(RuntimeError("broken\nbuild")))
    found = {finding.name: finding for finding in doctor.examine()}
    assert str(found["trl"]) == "[--] trl: RuntimeError: broken build"
    assert not found["model hub"].works
    assert found["python"].works and found["sandbox"].works and found["disk"].works
    assert found["shipped train.jsonl"].works


def test_the_hub_out_of_reach_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("urllib.request.urlopen", raising(OSError("no route")))
    monkeypatch.setattr("importlib.import_module", raising(ModuleNotFoundError("gone")))
    found = {finding.name: finding for finding in doctor.examine()}
    assert "offline (no route)" in found["model hub"].detail
    assert found["trl"].detail == "not installed (gone)"


# --- lab (a real one runs in tests/test_browser.py) ----------------------------------------------------------------


def test_lab_copies_the_notebooks_once_and_passes_everything_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[list[str], str | None]] = []

    def run(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        started.append((command[1:], env.get("RSTAR_TIER")))
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.delenv("RSTAR_TIER", raising=False)
    result = call("lab", "--live", "--no-browser", "--port", "9000")
    copied = tmp_path / "rstar-mini-notebooks"
    assert result.exit_code == 3 and str(copied) in result.stdout.replace("\n", "")
    shipped = Path(__file__).parents[1].glob("notebooks/*.ipynb")
    assert sorted(path.name for path in copied.glob("*.ipynb")) == sorted(path.name for path in shipped)
    first = "rstar-mini-notebooks/00_start_here.ipynb"
    assert started == [(["-P", "-m", "jupyterlab", first, "--no-browser", "--port", "9000"], "live")]

    (copied / "00_start_here.ipynb").write_text("the reader's own")
    assert "copied" not in call("lab").stdout
    assert (copied / "00_start_here.ipynb").read_text() == "the reader's own"
    assert started[1] == (["-P", "-m", "jupyterlab", first], None)


def test_lab_in_a_clone_opens_the_notebooks_of_the_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00_start_here.ipynb").touch()
    opened: list[str] = []
    done = subprocess.CompletedProcess[str]([], 0)
    monkeypatch.setattr(subprocess, "run", lambda command, env: opened.append(command[4]) or done)
    assert call("lab").exit_code == 0
    assert opened == ["notebooks/00_start_here.ipynb"]
