"""Bad input gives one clear line and exit code 2, and harms nothing."""

import errno
from pathlib import Path

import pytest
from small_runs import FEW, SMALL
from transformers import GPT2Config, GPT2LMHeadModel
from typer.testing import CliRunner

from rstar_mini import files, load_run
from rstar_mini.cli import app
from rstar_mini.models import load_base
from rstar_mini.plan import here
from rstar_mini.recipes import load_recipe

GOOD = '{"question": "2 + 2?", "answer": "4"}\n'


def refused(*arguments: str, run: Path) -> str:
    """Run `rstar-mini evolve`, which must refuse: one line, exit code 2, nothing written."""
    result = CliRunner().invoke(app, ["evolve", *arguments, "--run", str(run)])
    assert result.exit_code == 2, result.output
    message = result.stderr.strip()
    assert message.startswith("error: ") and "\n" not in message and "Traceback" not in result.output
    assert not run.exists()
    return message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (GOOD + "{broken\n", "line 2"),
        (GOOD + '{"question": "3 + 3?"}\n', "line 2"),
        (GOOD + '{"question": "", "answer": "6"}\n', "line 2"),
        ('{"question": "3 + 3?", "answer": ""}\n', "rows without a final answer: 1"),
        ("", "empty"),
    ],
)
def test_a_bad_problem_file_is_named_with_its_line(tmp_path, content, expected):
    file = tmp_path / "mine.jsonl"
    file.write_text(content)
    message = refused("tiny", "--set", f"problems.path={file}", run=tmp_path / "run")
    assert "mine.jsonl" in message and expected in message
    assert file.read_text() == content


def test_a_path_that_is_not_there(tmp_path):
    message = refused("tiny", "--set", f"problems.path={tmp_path}/none.jsonl", run=tmp_path / "run")
    assert "none.jsonl" in message


@pytest.mark.parametrize(
    ("change", "expected"),
    [("serch.c=1", "did you mean search"), ("rounds.0.rollouts=-1", "rollouts"), ("search.c=lots", "search.c")],
)
def test_a_bad_recipe_key_or_value(tmp_path, change, expected):
    assert expected in refused("tiny", "--set", change, run=tmp_path / "run")


def test_families_that_do_not_exist(tmp_path):
    assert "magic" in refused("tiny", "--set", "problems.families=[magic]", run=tmp_path / "run")


def test_no_network_when_a_hub_model_is_asked_for(tmp_path):
    message = refused("tiny", "--set", "policy.base=nobody/no-such-model", run=tmp_path / "run")
    assert "nobody/no-such-model" in message


def test_no_network_when_hub_problems_are_asked_for(tmp_path):
    message = refused("tiny", "--set", "problems.path=nobody/no-such-problems", run=tmp_path / "run")
    assert "nobody/no-such-problems" in message


def test_weights_that_were_not_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("RSTAR_MINI_CACHE", str(tmp_path / "cache"))
    assert "rstar-mini fetch smol" in refused("tiny", "--set", "policy.base=smol", run=tmp_path / "run")


def test_a_full_disk_is_said_and_leaves_no_half_file(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    result = CliRunner().invoke(app, ["evolve", "tiny", "--run", str(tmp_path / "run")])
    assert result.exit_code == 2 and "the disk is full" in result.stderr
    left = [file.name for file in (tmp_path / "run").rglob("*") if file.is_file()]
    assert left == ["digests.jsonl"]  # what was going to be written, which is told before it is


FULL = (
    "Error while serializing: I/O error: No space left on device (os error 28)",
    "[enforce fail at inline_container.cc:672] . unexpected pos 702912 vs 702800",
)


@pytest.mark.parametrize("words", FULL)
def test_a_folder_that_a_full_disk_cuts_short_is_not_left(tmp_path, words):
    with pytest.raises(OSError, match="No space left") as caught, files.whole_folder(tmp_path / "policy") as aside:
        (aside / "config.json").write_text("{}")
        raise RuntimeError(words)
    assert caught.value.errno == errno.ENOSPC and not list(tmp_path.iterdir())


@pytest.mark.slow  # a round of a run, which fails and goes on again and again
def test_a_disk_that_is_full_when_a_model_is_saved(tmp_path, monkeypatch):
    """However the library says it, the run keeps what it has, and goes on when there is room."""
    changes = [word for change in [*SMALL, *FEW] for word in ("--set", change)]
    command = ["evolve", "--run", str(tmp_path / "run"), "--rounds", "1", *changes]
    for words in FULL:

        def full(*_: object, words: str = words, **__: object) -> None:
            raise RuntimeError(words)

        with monkeypatch.context() as patch:
            patch.setattr("transformers.PreTrainedModel.save_pretrained", full)
            result = CliRunner().invoke(app, command)
        assert result.exit_code == 2 and "the disk is full" in result.stderr
        assert load_run(tmp_path / "run").verify() == []
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.stderr


def test_weights_that_do_not_fit_into_the_free_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(here, "free_bytes", lambda: 10**6)
    message = refused("tiny", run=tmp_path / "run")
    assert "the weights of 'tiny' take 0.0 GB" in message and "rstar-mini plan" in message


def test_a_step_that_may_not_fit_is_told_before_the_search(monkeypatch):
    monkeypatch.setattr(here, "free_bytes", lambda: 2 * 10**8)
    lines = here.check_memory(load_recipe("tiny"))
    assert any(line.startswith("SFT may take 1.0 GB, and 0.2 GB are free; change: sft.") for line in lines)


def test_a_model_without_linear_layers_for_lora_is_refused_before_the_search(tmp_path):
    folder = tmp_path / "gpt2"
    tokenizer = load_base("tiny")[1]
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    message = refused("tiny", "--set", f"policy.base={folder}", "--set", "policy.tuning=lora", run=tmp_path / "run")
    assert "GPT2LMHeadModel has no linear layers for LoRA" in message
