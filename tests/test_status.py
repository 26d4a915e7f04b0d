"""How far a run is, as its files tell while another process works on it."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rstar_mini.cli import app
from rstar_mini.evolution.run import Run
from rstar_mini.evolution.status import status
from rstar_mini.recipes import load_recipe


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", load_recipe("tiny"))


def told(run: Run) -> str:
    result = CliRunner().invoke(app, ["status", str(run.path)])
    assert result.exit_code == 0, result.output
    return result.output


def searched(run: Run, shard: int, minute: int, number: int = 1) -> None:
    run.write_json(run.round(number) / "trees" / f"shard-{shard:04d}.json", {"sampled": 6000})
    at = f"2026-01-01T00:{minute:02d}:00+00:00"
    run.events.append(
        {"time": at, "event": "shard searched", "round": number, "shard": shard, "of": 5, "seconds": 120.0}
    )


def test_before_the_first_round(run: Run) -> None:
    said = told(run)
    assert "now: round 0: held-out evaluation, stopped\n" in said
    assert "time left: not known" in said


def test_a_search_says_how_far_it_is_how_fast_and_who_works_on_it(run: Run) -> None:
    run.write_json(run.round(0) / "metrics.json", {"round": 0})
    run.events.append({"time": "2026-01-01T00:00:00+00:00", "event": "start"})
    assert "now: round 1: searching" in told(run)
    for shard, minute in ((0, 2), (2, 3), (1, 4)):
        searched(run, shard, minute)
    run.events.append({"time": "2026-01-01T00:04:00+00:00", "event": "shard lost", "round": 1, "shard": 3})
    with run.owned():
        said = told(run)
    assert "now: round 1: searching\n" in said and "shards of this round: 3 of 5 searched" in said
    assert "tokens a second: 50 by one engine" in said
    assert f"worked on by: process {os.getpid()} on " in said and "seen 0 s ago" in said
    assert "shard lost: 1\n" in said


def test_time_left_is_that_of_all_engines_since_the_last_start(run: Run) -> None:
    for number in (0, 1):
        run.write_json(run.round(number) / "metrics.json", {"round": number})
    for event in ("policy trained", "PPM trained", "evaluated"):
        run.events.append({"time": "2026-01-01T00:00:00+00:00", "event": event, "round": 1, "seconds": 0.0})
    searched(run, 0, 1, number=2)
    run.events.append({"time": "2026-01-01T00:40:00+00:00", "event": "start"})
    for shard, minute in ((1, 42), (2, 43), (3, 44)):  # of two minutes each, but two at a time
        searched(run, shard, minute, number=2)
    found = status(run.path)
    works = [each.candidates * (each.rollouts + each.extra_rollouts) for each in run.recipe.rounds]
    pace = 4 * 60 / 3 / works[1]
    assert found and found.seconds_left == pytest.approx(pace * (works[1] + 5 * works[2] + 5 * works[3]))


@pytest.mark.parametrize(("method", "stages"), [("mcts", 3), ("rejection", 2)])
def test_after_the_search(tmp_path: Path, method: str, stages: int) -> None:
    run = Run.create(tmp_path / "run", load_recipe("tiny", [f"method={method}"]))
    run.write_json(run.round(0) / "metrics.json", {"round": 0})
    for shard in range(5):
        searched(run, shard, shard + 1)
    events, doing = ["policy trained", "PPM trained"], ["training the policy", "training the PPM"]
    for event, stage in list(zip(events, doing, strict=True))[: stages - 1]:
        assert f"now: round 1: {stage}, stopped\n" in told(run)
        run.events.append({"time": "2026-01-01T01:00:00+00:00", "event": event, "round": 1, "seconds": 9.0})
    assert "now: round 1: held-out evaluation, stopped\n" in told(run)
    for number in range(1, 5):
        run.write_json(run.round(number) / "metrics.json", {"round": number})
    assert "now: finished\n" in told(run) and "time left" not in told(run)


def test_no_run(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["status", str(tmp_path)])
    assert result.exit_code == 2 and "is not a run" in result.stderr
