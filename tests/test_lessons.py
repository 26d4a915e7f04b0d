"""What the notebooks are made of: replayed searches, widgets with still pictures, a run's status, recorded results."""

import base64
import gzip
import html
import json
import re
import time
from dataclasses import replace

import ipywidgets
import pytest
from PIL import Image

from rstar_mini.code_cot import split_steps, write_solution
from rstar_mini.errors import UserError
from rstar_mini.evolution.status import status
from rstar_mini.files import read_jsonl
from rstar_mini.paths import data_file
from rstar_mini.policy import ScriptedPolicy
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Budget, Expander, search
from rstar_mini.search.replay import replay, walk
from rstar_mini.show import lesson
from rstar_mini.show.animate import write_gif
from rstar_mini.show.dashboard import dashboard
from rstar_mini.show.explore import explore
from rstar_mini.show.figures import score_strip
from rstar_mini.show.status import facts
from rstar_mini.show.stepper import run_steps, step_through
from rstar_mini.show.widget import Still
from rstar_mini.types import Problem, Tree

PROBLEM = Problem("cups", "What do 2 cups at $4 and 5 pens at $3 cost? <b>", "23")
BUDGET = Budget(candidates=3, rollouts=6, c=1.5)
FIRST = "<code>\n# Cost of the cups\ncups = {}\n<end_of_step>"
LAST = "\n# Now print the final answer\nprint({})\n<end_of_code>"


def recite(question, text):
    if not text:
        return [FIRST.format(code) for code in ("2 * 4", "2 + 4", "2 * cup")]
    if text.endswith("<end_of_step>"):
        return [LAST.format(code) for code in ("cups + 5 * 3", "cups + 5 + 3", "cups + pens")]
    return [f"<answer>\\boxed{{{text.split('<output>')[1].split('<')[0]}}}<end_of_answer>"]


class Scores:
    """A PPM that likes multiplication."""

    def score(self, siblings):
        return [[0.5 if "*" in step.text else -0.25 for step in steps] for _, _, steps in siblings]


@pytest.fixture(scope="module")
def box():
    with Sandbox() as box:
        yield box


@pytest.fixture(scope="module", params=["terminal", "ppm", "test time"])
def tree(request, box):
    ppm = None if request.param == "terminal" else Scores()
    expander = Expander(ScriptedPolicy(recite), box, ppm, ground_truth=request.param != "test time")
    return search([PROBLEM], expander, BUDGET)[0]


# --- replay --------------------------------------------------------------------------------------------------------


def test_a_replay_ends_where_the_search_ended_and_grows_rollout_by_rollout(tree):
    frames = replay(tree, BUDGET)
    assert len(frames) == tree.rollouts + 1
    assert [(n.visits, pytest.approx(n.value), n.dropped) for n in frames[-1].nodes()] == [
        (n.visits, n.value, n.dropped) for n in tree.nodes()
    ]
    assert [frame.root.visits for frame in frames] == list(range(tree.rollouts + 1))
    for before, after in zip(frames, frames[1:], strict=False):
        walked = walk(before, after)
        assert walked[0] is after.root and walked[1:] == walked[-1].path()
        assert walked[-1].terminal
    assert walk(frames[0], frames[0]) == []


def test_a_tree_of_another_budget_is_refused_and_one_from_a_file_is_not(box):
    budget = replace(BUDGET, rollouts=2, unvisited_first=False)
    [tree] = search([PROBLEM], Expander(ScriptedPolicy(recite), box), budget)
    with pytest.raises(UserError, match="cups was not searched with this budget .*c = 1.5"):
        replay(tree, BUDGET)
    assert replay(Tree.from_json(tree.to_json()), budget)


def test_a_growing_tree_has_a_frame_for_each_state_and_the_same_bytes(tree, tmp_path):
    path = write_gif(tree, tmp_path / "tree.gif", BUDGET)
    with Image.open(path) as image:
        assert image.n_frames == tree.rollouts + 1 and image.info["loop"] == 0
    assert path.read_bytes() == write_gif(tree, tmp_path / "again.gif", BUDGET).read_bytes()


# --- widgets -------------------------------------------------------------------------------------------------------


def shown_nodes(explorer):
    """What stands beside each node of the picture, by the number of its ring."""
    texts = {int(i): re.findall(r"<tspan[^>]*>([^<]*)", text) for i, text in NODE.findall(explorer.picture.value)}
    return {i: html.unescape(" ".join(lines)) for i, lines in texts.items()}


def click(explorer, text):
    """Click on the first node of the picture that begins so."""
    explorer.rings[next(i for i, label in shown_nodes(explorer).items() if label.startswith(text))].click()


NODE = re.compile(r'<g data-node="(\d+)">(.*?)</g>')


def test_the_explorer_begins_at_rollout_0_and_its_picture_says_which_it_shows(tree):
    explorer = explore(tree, BUDGET)
    assert (explorer.rollout.value, explorer.rollout.max) == (0, tree.rollouts) and not explorer.rollout.readout
    assert list(shown_nodes(explorer).values()) == ["question"]
    assert "before the first rollout" in explorer.picture.value
    assert "&lt;b&gt;" in explorer.panel.value and "<b>" not in explorer.panel.value + explorer.picture.value
    for number, frame in enumerate(explorer.frames):
        explorer.rollout.value = number
        assert f">rollout {number} of {tree.rollouts}</text>" in explorer.picture.value
        assert len(shown_nodes(explorer)) == sum(1 for _ in frame.nodes()) == explorer.node.max + 1
        assert f"after {number} rollout" in explorer.panel.value
        rings = [ring.layout.visibility for ring in explorer.rings]
        assert rings.count("visible") == len(shown_nodes(explorer))


def test_a_click_on_a_node_and_the_slider_of_nodes_choose_the_same(tree):
    explorer = explore(tree, BUDGET)
    explorer.rollout.value = 1
    click(explorer, "cups = 2 * 4")
    assert "cups = 2 * 4" in explorer.panel.value and "UCT" in explorer.panel.value
    [ring] = [ring for ring in explorer.rings if ring.button_style]
    explorer.rollout.value = tree.rollouts  # the choice is kept
    assert "cups = 2 * 4" in explorer.panel.value and ring.button_style
    explorer.node.value = 0
    assert "cost? &lt;b&gt;" in explorer.panel.value and not ring.button_style
    explorer.rollout.value = 0
    ring.click()  # the node is not there yet
    assert explorer.chosen is explorer.tree.root


def test_the_play_button_moves_the_slider_in_the_browser_alone(tree):
    explorer = explore(tree, BUDGET)
    assert (explorer.play.min, explorer.play.max) == (0, tree.rollouts)
    assert isinstance(
        explorer.link, ipywidgets.widgets.widget_link.Link
    )  # a link of traits would go through the kernel
    assert (explorer.link.source, explorer.link.target) == ((explorer.play, "value"), (explorer.rollout, "value"))


def test_the_panel_tells_uct_and_its_terms(box):
    [tree] = search([PROBLEM], Expander(ScriptedPolicy(recite), box), BUDGET)
    explorer = explore(tree, BUDGET)
    explorer.rollout.value = 1
    click(explorer, "cups = 2 + 4")
    assert "infinite: never visited" in explorer.panel.value
    explorer.rollout.value = 3
    click(explorer, "cups = 2 * 4")
    assert "Q + 1.5 √(ln 3 / 2)" in explorer.panel.value


def widgets(box, tree):
    steps = split_steps(write_solution([("Cups", "cups = 2 * 4"), ("All", "total = cups + 15")], "total", "23"))
    return explore(tree, BUDGET), step_through(steps, box)


def test_every_widget_has_a_still_picture_and_words(box, tree):
    for widget in widgets(box, tree):
        assert isinstance(widget, Still)
        shown, metadata = widget._repr_mimebundle_()
        assert "application/vnd.jupyter.widget-view+json" in shown and len(shown["text/plain"]) > 40
        assert "text/html" in shown or metadata["image/png"]["alt"] == shown["text/plain"]
        assert "text/html" in shown or base64.b64decode(shown["image/png"]).startswith(b"\x89PNG")


def test_the_stepper_runs_each_step_and_shows_what_it_sets(box):
    text = "<code>\n# Cups\ncups = 2 * 4\n<end_of_step>\nname = '<i>'\n<end_of_step>\nprint(cups)\n<end_of_code>"
    stepper = step_through(split_steps(text), box)
    assert stepper.step.max == 3
    assert "sets cups" in stepper.panel.value
    stepper.step.value = 2
    assert "&lt;i&gt;" in stepper.panel.value and "sets cups" not in stepper.panel.value
    stepper.step.value = 3
    assert "prints" in stepper.panel.value and "2 variables as before" in stepper.panel.value


def test_steps_that_fail_say_how(box):
    states = run_steps(split_steps("<code>\nx = 1 / 0\n<end_of_step>\nimport os\n<end_of_code>"), box)
    assert [state.verdict.split(":")[0] for state in states] == ["error", "error"]
    assert "ZeroDivisionError" in states[0].verdict and states[0].variables == {}
    assert run_steps(split_steps("<code>\nx = = 1\n<end_of_code>"), box)[0].verdict.startswith("error: SyntaxError")
    assert run_steps((), box) == [] and step_through((), box).panel.value == "no code"


def test_the_strip_has_a_cell_for_each_step(tree):
    trajectories = [tree.trajectory(node) for node in tree.terminals()]
    scores = [[0.5] * len(trajectory.steps) for trajectory in trajectories]
    figure = score_strip(trajectories, scores)
    assert len(figure.axes[0].patches) == sum(map(len, scores))
    assert "cups = 2 * 4 +0.50" in figure.words


def test_the_page_carries_everything_and_nothing_in_it_ends_its_script(tree, tmp_path):
    path = tree.to_html(tmp_path / "tree.html", BUDGET)
    page = path.read_text()
    assert not [word for word in ("http://", "https://", "src=", "@data", "@last") if word in page.replace(SVG, "")]
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert len(data["frames"]) == tree.rollouts + 1
    assert len(data["nodes"]) == sum(1 for _ in tree.nodes())
    assert "<b>" not in page


SVG = "http://www.w3.org/2000/svg"  # a name, not an address


# --- a run's status ------------------------------------------------------------------------------------------------


def test_a_finished_run_is_told_and_its_dashboard_ends(run):
    now = status(run.path)
    assert now.finished and not now.working and now.doing == "finished" and now.seconds_left == 0
    assert now.tokens == sum(row["search"]["sampled"] for row in run.metrics()[1:])
    board = dashboard(run.path, 0.01)
    assert "2 of 2 finished" in board.facts.value and "time left" not in board.facts.value
    assert board.bar.value == 1.0 and 'alt="Held-out accuracy' in board.figure.value
    assert "greedy: round 0" in board.still()["text/plain"] and "image/png" in board.still()
    board.close()


def test_the_results_of_a_run_are_shown_as_it_ended(run, tmp_path):
    """What `rstar-mini report --to` writes, as in data/results/: a recipe, and the metrics of all rounds."""
    (tmp_path / "recipe.yaml").write_bytes((run.path / "recipe.yaml").read_bytes())
    (tmp_path / "metrics.json").write_text(json.dumps(run.metrics()))
    board, told = dashboard(tmp_path), facts(status(tmp_path))
    assert board.bar.value == 1.0 and 'alt="Held-out accuracy' in board.figure.value
    its_own = facts(status(run.path))
    its_own.pop("tokens a second", None)  # the run's events say it, which the folder of results does not have
    assert told == its_own and told["now"] == "finished"
    assert told["pairs by round"] == ", ".join(f"{row['pairs']:,}" for row in run.metrics()[1:])
    assert not {"time left", "shards of this round"} & told.keys()


def test_the_shipped_results_have_a_dashboard():
    board = dashboard(data_file("results/tiny"))
    assert "4 of 4 finished" in board.facts.value and "has not begun" not in board.still()["text/plain"]
    assert "trajectories by round" in board.facts.value and board._repr_mimebundle_()[1]["image/png"]["alt"]


def test_a_run_in_progress_is_followed_from_its_files(run, tmp_path):
    board = dashboard(tmp_path / "again", 0.01)
    assert "again has not begun" in board.still()["text/plain"] and "image/png" not in board.still()
    again = tmp_path / "again"
    again.mkdir()
    for file in ("recipe.yaml",):
        (again / file).write_bytes((run.path / file).read_bytes())
    events = (again / "events.jsonl").open("a")
    for row in read_jsonl(run.path / "events.jsonl"):
        if row["event"] == "round finished":
            copied = again / f"round-{row['round']}" / "metrics.json"
            copied.parent.mkdir(exist_ok=True)
            copied.write_bytes((run.path / f"round-{row['round']}" / "metrics.json").read_bytes())
        events.write(json.dumps(row) + "\n")
        events.flush()
        now = status(again)
        if row["event"] == "policy trained":
            assert now.doing == f"round {row['round']}: training the PPM"
            assert now.shards[0] == now.shards[1] >= 2
            assert (now.seconds_left is None) is (row["round"] == 1)
    events.close()
    deadline = time.monotonic() + 20
    while not (board.now and board.now.finished) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert board.now.finished
    board.close()


# --- recorded results ----------------------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.setattr(lesson, "data_file", lambda name: tmp_path / name)
    return tmp_path / "replay"


def test_what_is_recorded_is_replayed(shelf, monkeypatch, capsys):
    monkeypatch.setenv("RSTAR_TIER", "record")
    assert lesson.recorded("00-p", lambda: [PROBLEM], of=Problem) == [PROBLEM]
    assert lesson.recorded("00-n", lambda: {"a": (1, 2)}) == {"a": [1, 2]}  # as it will come back from JSON
    assert json.loads(gzip.decompress((shelf / "00-n.json.gz").read_bytes())) == {"seconds": 0, "value": {"a": [1, 2]}}
    monkeypatch.delenv("RSTAR_TIER")
    assert lesson.recorded("00-p", pytest.fail, of=Problem) == [PROBLEM]
    assert lesson.recorded("00-n", pytest.fail) == {"a": [1, 2]}
    said = capsys.readouterr().out
    assert "loaded data/replay/00-p.json.gz" in said and "RSTAR_TIER=live" in said


def test_the_live_tier_computes_and_stores_nothing(shelf, monkeypatch, capsys):
    monkeypatch.setenv("RSTAR_TIER", "live")
    assert lesson.recorded("00-n", lambda: [1]) == [1]
    assert not shelf.exists() and "computed here" in capsys.readouterr().out


def test_a_missing_recording_and_a_wrong_tier_are_told(shelf, monkeypatch):
    with pytest.raises(UserError, match="data/replay/00-none.json.gz is missing.*RSTAR_TIER=live"):
        lesson.recorded("00-none", pytest.fail)
    monkeypatch.setenv("RSTAR_TIER", "fast")
    with pytest.raises(UserError, match="'fast'; set it to replay or live"):
        lesson.tier()


def test_source_is_the_packages_own(capsys):
    lesson.source(walk, PROBLEM.to_json)
    said = capsys.readouterr().out
    assert said.startswith("def walk(") and "def to_json" in said
