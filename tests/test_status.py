"""How far a run is, as its files tell while another process works on it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rstar_mini.cli import app
from rstar_mini.evolution.run import Run
from rstar_mini.recipes import load_recipe


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", load_recipe("tiny"))


def told(run: Run) -> str:
    result = CliRunner().invoke(app, ["status", str(run.path)])
    assert result.exit_code == 0, result.output
    return result.output


def searched(run: Run, shard: int, minute: int) -> None:
    run.write_json(run.round(1) / "trees" / f"shard-{shard:04d}.json", {"sampled": 6000})
    at = f"2026-01-01T00:{minute:02d}:00+00:00"
    run.events.append({"time": at, "event": "shard searched", "round": 1, "shard": shard, "of": 5, "seconds": 120.0})


def test_before_the_first_round(run: Run) -> None:
    said = told(run)
    assert "round 0 of 4: evaluation on held-out problems" in said
    assert "nobody works on it" in said


def test_a_search_says_how_far_it_is_how_fast_and_who_works_on_it(run: Run) -> None:
    run.write_json(run.round(0) / "metrics.json", {"round": 0})
    run.events.append({"time": "2026-01-01T00:00:00+00:00", "event": "start"})
    assert "round 1 of 4: search\n" in told(run)
    for shard, minute in ((0, 2), (2, 3), (1, 4)):  # two engines, two minutes a shard each
        searched(run, shard, minute)
    run.events.append({"time": "2026-01-01T00:04:00+00:00", "event": "shard lost", "round": 1, "shard": 3})
    with run.owned():
        said = told(run)
    assert "round 1 of 4: search, 3 of 5 shards searched, about 3 min of search left" in said
    assert "50 tokens sampled a second by one engine" in said
    assert "works on it; last sign of life 0 s ago" in said
    assert "shard lost: 1\n" in said


def test_time_left_is_taken_from_the_last_start(run: Run) -> None:
    run.write_json(run.round(0) / "metrics.json", {"round": 0})
    searched(run, 0, 1)
    run.events.append({"time": "2026-01-01T00:40:00+00:00", "event": "start"})
    searched(run, 1, 42)
    assert "2 of 5 shards searched, about 6 min of search left" in told(run)


def test_after_the_search(run: Run) -> None:
    run.write_json(run.round(0) / "metrics.json", {"round": 0})
    for shard in range(5):
        searched(run, shard, shard + 1)
    for log, stage in (("policy-log", "training of the PPM"), ("ppm-log", "evaluation on held-out problems")):
        run.write_json(run.round(1) / f"{log}.json", {})
        assert f"round 1 of 4: {stage}, 5 of 5 shards searched\n" in told(run)
    for number in range(1, 5):
        run.write_json(run.round(number) / "metrics.json", {"round": number})
    assert told(run) == "all 4 rounds are finished\n"
