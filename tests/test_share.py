"""`rstar-mini export`: what comes out loads again by the line on its card, and does the same."""

from __future__ import annotations

import html
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from small_runs import SMALL
from transformers import AutoTokenizer
from typer.testing import CliRunner

import rstar_mini
from rstar_mini import hub
from rstar_mini.cli import app
from rstar_mini.evolution.models import Models
from rstar_mini.evolution.run import Run
from rstar_mini.files import read_json, read_jsonl
from rstar_mini.policy import Request
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.progress import Silent
from rstar_mini.recipes import load_recipe
from rstar_mini.share import export_round
from rstar_mini.share.cards import publishable
from rstar_mini.show.report import write_report
from rstar_mini.show.tables import difference, share

LORA = [
    *SMALL,
    "problems.limit=6",
    "evaluation.limit=2",
    "sft.lr=1e-2",
    "policy.tuning=lora",
    "policy.lora_rank=4",
    "policy.adapters=merged",
]
FULL_PARTS = ["pairs", "policy", "ppm", "trajectories"]
LORA_PARTS = ["pairs", "policy", "policy-merged", "ppm", "trajectories"]
FILES_OF_RESULTS = ["metrics.json", "recipe.yaml", "report.html"]


@pytest.fixture(scope="module")
def full(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """A small run and its export."""
    folder = tmp_path_factory.mktemp("shared") / "mine"
    export_round(run, str(folder), None, Silent())
    return run, folder


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """The same with adapters, one round of it."""
    made = rstar_mini.evolve("tiny", tmp_path_factory.mktemp("runs") / "lora", 1, LORA)
    folder = tmp_path_factory.mktemp("shared") / "mine"
    export_round(made, str(folder), 1, Silent())
    return made, folder


def front(card: Path) -> dict[str, Any]:
    """What the Hub reads of a card."""
    return yaml.safe_load(card.read_text().split("---\n")[1])


def loaded(folder: Path, part: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the code on a part's card makes, run beside the export."""
    monkeypatch.chdir(folder.parent)
    [code] = re.findall(r"```python\n(.*?)```", (folder / part / "README.md").read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if not line.startswith("from ")]) == 1
    made: dict[str, Any] = {}
    exec(code, made)
    return made


def steps(model: Any, tokenizer: Any, made: Run, number: int) -> list[list[str]]:
    """What a policy proposes for some problems."""
    prompt = Models(made.recipe, made.path).prompt(number)
    policy = TransformersPolicy(model.eval(), tokenizer, prompt, 32, 64)
    problems = [tree.problem for tree in made.trees(number)[:3]]
    return [[step.text for step in row] for row in policy.propose([Request(p, (), 4, 5) for p in problems], 1.0)]


@pytest.mark.parametrize(
    ("which", "number", "part"), [("full", 2, "policy"), ("adapted", 1, "policy"), ("adapted", 1, "policy-merged")]
)
def test_the_policy_proposes_the_same(request, monkeypatch, which: str, number: int, part: str) -> None:
    made, folder = request.getfixturevalue(which)
    model = loaded(folder, part, monkeypatch)["model"]
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    models = Models(made.recipe, made.path)
    ours = steps(models.weights(number), models.tokenizer, made, number)
    assert steps(model, AutoTokenizer.from_pretrained(folder / part), made, number) == ours
    assert len({text for texts in ours for text in texts}) > 3


@pytest.mark.parametrize(("which", "number"), [("full", 2), ("adapted", 1)])
def test_the_ppm_scores_the_same(request, monkeypatch, which: str, number: int) -> None:
    made, folder = request.getfixturevalue(which)
    ppm = loaded(folder, "ppm", monkeypatch)["ppm"]
    models = Models(made.recipe, made.path)
    trees = [tree for tree in made.trees(number) if tree.root.children][:4]
    siblings = [(tree.problem, (), [node.step for node in tree.root.children]) for tree in trees]
    theirs = PPMScorer(ppm.eval(), AutoTokenizer.from_pretrained(folder / "ppm"), models.prompt(number)).score(siblings)
    assert theirs == models.scorer(number).score(siblings)
    problem, _, candidates = siblings[0]
    ids = [models.tokenizer.encode(text) for text in (models.prompt(number)(problem.question), candidates[0].text)]
    [score] = torch.tanh(ppm(torch.tensor([ids[0] + ids[1]])).logits[0]).tolist()  # as the card says
    assert score == pytest.approx(theirs[0][0], abs=1e-5)


def test_the_trajectories_are_those_that_the_policy_learnt_from(full, monkeypatch) -> None:
    made, folder = full
    rows = loaded(folder, "trajectories", monkeypatch)["rows"]
    theirs = read_jsonl(made.round(2) / "trajectories.jsonl")
    assert len(rows) == len(theirs) > 0
    for row, own in zip(rows, theirs, strict=True):
        assert (row["question"], row["completion"], row["qs"]) == (own["prompt"], own["completion"], own["qs"])
        assert row["prompt"] == row["question"] + "\n" and row["round"] == 2 and row["answer"]


def test_the_pairs_are_those_of_all_rounds_in_trls_format(full, monkeypatch) -> None:
    made, folder = full
    rows = loaded(folder, "pairs", monkeypatch)["rows"]
    theirs = [(number, pair) for number in (1, 2) for pair in made.pairs(number)]
    assert len(rows) == len(theirs) > 0
    for row, (number, pair) in zip(rows, theirs, strict=True):
        assert row["prompt"] == f"{pair.problem.question}\n{pair.prefix}"
        assert (row["chosen"], row["rejected"], row["weight"]) == (pair.chosen, pair.rejected, pair.weight)
        assert row["round"] == number and row["final"] == pair.final


@pytest.mark.parametrize(
    ("which", "number", "parts"), [("full", 2, FULL_PARTS), ("adapted", 1, LORA_PARTS)], ids=["full", "adapters"]
)
def test_every_part_has_a_card_with_figures_and_recipe(request, which: str, number: int, parts: list[str]) -> None:
    made, folder = request.getfixturevalue(which)
    assert sorted(path.name for path in folder.iterdir()) == parts
    this = made.metrics()[number]
    for part in parts:
        text = (folder / part / "README.md").read_text()
        held = this["evaluation"]
        assert f"n = {held['n']}, seed {held['seed']}" in text
        assert all(f"| {name} | " in text and share(row) in text for name, row in held["systems"].items())
        assert all(difference(row) in text for row in held["paired"].values())
        assert share(this["coverage"]["all"]) in text and share(this["ppm_accuracy"]) in text
        [recipe] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
        (folder.parent / "again.yaml").write_text(recipe)
        assert load_recipe(str(folder.parent / "again.yaml")) == made.recipe
        about = front(folder / part / "README.md")
        assert about["license"] == "mit" and "rstar-math" in about["tags"]
    assert front(folder / "policy" / "README.md")["library_name"] == ("peft" if which == "adapted" else "transformers")


def test_nothing_that_is_shared_names_a_folder_of_this_machine(full, adapted) -> None:
    for _, folder in (full, adapted):
        for file in folder.rglob("*"):
            assert os.name == "nt" or file.stat().st_mode & 0o004, file  # others may read it
            if file.suffix in (".json", ".md", ".yaml"):
                text = file.read_text()
                assert str(Path.home()) not in text and "/tmp/" not in text and "data/tiny-base" not in text, file


def test_a_recipe_is_shared_without_what_is_only_here(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "secret.jsonl").touch()
    server = ["policy.engine=endpoint", "policy.url=http://intern.example:8000/v1", "policy.served_model=m"]
    ours = [f"policy.base={tmp_path}/base", f"problems.path={tmp_path}/secret.jsonl"]
    ours.append(f"problems.decontaminate=[math500, {tmp_path}/mine.jsonl]")
    shared = publishable(load_recipe("tiny", [*server, *ours]))
    assert (shared.policy.base, shared.problems.path) == ("base", "secret.jsonl")
    assert shared.problems.decontaminate == ["math500", "mine.jsonl"]
    assert "intern" not in str(shared) and str(tmp_path) not in str(shared)


# --- the Hub -------------------------------------------------------------------------------------------------------


class Account:
    """Stands for `HfApi`: notes what is made and sent; `refusal` is raised when it is asked who is there."""

    refusal: Exception | None = None
    made: list[tuple[str, str, bool]] = []
    sent: dict[str, dict[str, bytes]] = {}

    def whoami(self) -> dict[str, str]:
        if self.refusal:
            raise self.refusal
        return {"name": "me"}

    def create_repo(self, repo_id: str, *, repo_type: str, private: bool, exist_ok: bool) -> str:
        assert exist_ok
        self.made.append((repo_id, repo_type, private))
        return f"https://hub/{repo_id}"

    def upload_folder(self, *, repo_id: str, repo_type: str, folder_path: Path) -> None:
        files = [file for file in Path(folder_path).rglob("*") if file.is_file()]
        self.sent[repo_id] = {file.relative_to(folder_path).as_posix(): file.read_bytes() for file in files}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> type[Account]:
    monkeypatch.setattr(Account, "made", [])
    monkeypatch.setattr(Account, "sent", {})
    monkeypatch.setattr(hub, "HfApi", Account)
    monkeypatch.setattr(hub, "is_offline_mode", lambda: False)
    return Account


def test_parts_are_sent_to_repositories_of_their_own(run: Run, account: type[Account]) -> None:
    result = CliRunner().invoke(app, ["export", str(run.path), "--to", "hub:me/tiny", "--round", "1"])
    assert result.exit_code == 0, result.output
    kinds = {"policy": "model", "ppm": "model", "trajectories": "dataset", "pairs": "dataset"}
    assert account.made == [(f"me/tiny-{part}", kind, True) for part, kind in kinds.items()]
    assert all(f"https://hub/me/tiny-{part}" in result.output for part in kinds)
    card = account.sent["me/tiny-policy"]["README.md"].decode()
    assert 'from_pretrained("me/tiny-policy")' in card and "model.safetensors" in account.sent["me/tiny-policy"]
    assert yaml.safe_load(card.split("---\n")[1])["datasets"] == ["me/tiny-trajectories", "me/tiny-pairs"]
    assert 'load_dataset("me/tiny-pairs"' in account.sent["me/tiny-pairs"]["README.md"].decode()


def refused(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, ["export", *map(str, arguments)])
    assert result.exit_code == 2, result.output
    [line] = result.stderr.splitlines()
    return line


def test_who_is_not_logged_in_is_told_before_any_work(run: Run, account: type[Account], monkeypatch) -> None:
    monkeypatch.setattr(account, "refusal", hub.LocalTokenNotFoundError("Token is required"))
    monkeypatch.setattr("rstar_mini.share.export.Models", None)
    assert "hf auth login" in refused(run.path, "--to", "hub:me/tiny")
    assert account.made == []


def test_nothing_is_sent_offline(run: Run) -> None:
    assert "cannot be sent offline" in refused(run.path, "--to", "hub:me/tiny")


def test_what_cannot_be_exported_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").write_text("kept")
    assert "is there already" in refused(run.path, "--to", tmp_path / "there")
    assert (tmp_path / "there" / "mine.txt").read_text() == "kept"
    assert "finished rounds: [1, 2]" in refused(run.path, "--to", tmp_path / "new", "--round", "3")
    assert "hub:ORG/NAME" in refused(run.path, "--to", "hub:nobody")
    assert "is not a run" in refused(tmp_path / "none", "--to", tmp_path / "new")
    empty = Run.create(tmp_path / "empty", load_recipe("tiny"))
    assert "no finished round" in refused(empty.path, "--to", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_no_room_is_said_and_leaves_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    assert "has room for 0.0 MB" in refused(run.path, "--to", tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_results_are_passed_on_without_the_texts_of_the_problems(run: Run, tmp_path: Path) -> None:
    to = tmp_path / "results"
    for name in ("rounds.json", "rounds-0.png"):
        run.write(run.path / "experiments" / name, b"found")
    told = CliRunner().invoke(app, ["report", str(run.path), "--to", str(to)])
    found = ["rounds-0.png", "rounds.json"]
    assert told.exit_code == 0 and sorted(f.name for f in to.iterdir()) == sorted([*FILES_OF_RESULTS, *found])
    assert read_json(to / "metrics.json") == run.metrics()
    page = (to / "report.html").read_text()
    whole, problems = write_report(run, tmp_path).read_text(), [pair.problem for pair in run.pairs(2)]
    assert any(html.escape(problem.question) in whole for problem in problems)
    assert not any(html.escape(problem.question) in page for problem in problems)
    assert any(problem.id in page for problem in problems)
    again = CliRunner().invoke(app, ["report", str(run.path), "--to", str(to)])
    assert again.exit_code == 2 and "it is there already" in again.stderr
