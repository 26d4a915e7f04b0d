"""The bench: ratios of pairs with their intervals, and a command that prints and writes them."""

import json
import math

import pytest
from typer.testing import CliRunner

from rstar_mini.bench.measure import in_turn, row
from rstar_mini.cli import app


def test_a_ratio_is_that_of_the_pairs_with_students_interval():
    found = row("x", "a/s", [2.0, 4.0, 8.0], "y", [1.0, 1.0, 4.0])
    assert (found.value, found.other, found.n) == (4.0, 1.0, 3)
    logs = [math.log(2), math.log(4), math.log(2)]
    middle = sum(logs) / 3
    error = math.sqrt(sum((x - middle) ** 2 for x in logs) / 2 / 3)
    assert found.ratio == pytest.approx(math.exp(middle))
    assert (found.low, found.high) == pytest.approx(
        (math.exp(middle - 4.303 * error), math.exp(middle + 4.303 * error))
    )
    once = row("x", "a/s", [2.0], "y", [1.0])
    assert (once.ratio, once.low, once.high) == (2.0, None, None), "of one pair nobody knows how sure it is"


def test_ways_are_timed_in_turn():
    order = []
    rates = in_turn([lambda: order.append("a") or 1.0, lambda: order.append("b") or 2.0], 3)
    assert rates == [[1.0] * 3, [2.0] * 3] and "".join(order) == "ababab"


def test_the_command_prints_a_table_and_writes_json(tmp_path):
    result = CliRunner().invoke(
        app, ["bench", "tiny", "--repeats", "2", "--part", "sandbox", "--json", str(tmp_path / "b.json")]
    )
    assert result.exit_code == 0, result.output
    assert "programs/s" in result.output and "rstar-mini bench tiny --repeats 2" in result.output.replace("\n", " ")
    [line] = json.loads((tmp_path / "b.json").read_text())["rows"]
    assert line["n"] == 2 and line["low"] < line["ratio"] < line["high"]
    assert line["ratio"] > 1.5, "forking a warm server beats starting Python"


def test_an_unknown_part_is_one_line(capfd):
    result = CliRunner().invoke(app, ["bench", "tiny", "--part", "sandboxes"])
    assert result.exit_code == 2 and "choose from decoding" in (result.output + capfd.readouterr().err)
