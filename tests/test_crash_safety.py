"""A run that is stopped, robbed of memory, torn or tampered with: nothing is lost, and nothing wrong goes unnoticed."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_runs import FEW, SMALL, Stop
from typer.testing import CliRunner

import rstar_mini
from rstar_mini.cli import app
from rstar_mini.code_cot import split_steps
from rstar_mini.errors import UserError
from rstar_mini.evolution.run import Run
from rstar_mini.finetune.sft import train_policy
from rstar_mini.models import load_base
from rstar_mini.policy.base import Request
from rstar_mini.policy.prefix_cache import PrefixCache
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.problems import load_problems
from rstar_mini.progress import Silent
from rstar_mini.prompts import Prompt
from rstar_mini.recipes import load_recipe
from rstar_mini.recipes.schema import Sft
from rstar_mini.sandbox import Sandbox
from rstar_mini.types import Problem, Trajectory


def test_a_run_that_another_process_works_on_is_refused(run):
    hold = f"""
import sys
from rstar_mini import load_run
with load_run({str(run.path)!r}).owned():
    print("held", flush=True)
    sys.stdin.read()
"""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", hold], stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"process {holder.pid} on .* is working on"):
            rstar_mini.evolve("tiny", run.path, overrides=SMALL)
        holder.kill()
    assert (run.path / "owner.json").exists()  # it had no time to tidy up; its lock is free all the same
    rstar_mini.evolve("tiny", run.path, overrides=SMALL)
    assert not (run.path / "owner.json").exists()


def test_torn_last_lines_are_mended_and_told(run):
    for name in ("events.jsonl", "digests.jsonl"):
        with (run.path / name).open("a") as file:
            file.write('{"file": "rou')
    said = []

    class Listener(Silent):
        def say(self, text: str) -> None:
            said.append(text)

    rstar_mini.evolve("tiny", run.path, overrides=SMALL, progress=Listener())
    assert sum("the last line was torn (13 bytes)" in line for line in said) == 2
    assert [row["event"] for row in run.events.rows()].count("mended") == 2
    assert not run.verify()


def test_a_run_that_was_killed_in_its_first_line_begins_again(tmp_path):
    (tmp_path / "digests.jsonl").write_text('{"file": "rec')
    (tmp_path / ".recipe.yaml.part").write_text("name: ti")
    made = Run.create(tmp_path, load_recipe("tiny"))
    assert not made.verify() and [row["file"] for row in made.digests.rows()] == ["recipe.yaml"]


def test_files_that_are_not_as_written_are_found(run, tmp_path):
    copy = rstar_mini.load_run(shutil.copytree(run.path, tmp_path / "copy"))
    assert not copy.verify()
    (copy.round(1) / "pairs.jsonl").write_bytes(b"")
    (copy.round(2) / "metrics.json").unlink()
    (copy.round(1) / "mine.txt").write_text("hello")
    assert copy.verify() == [
        "round-2/metrics.json: missing",
        "round-1/mine.txt: not written by this run",
        "round-1/pairs.jsonl: not as it was written",
    ]
    result = CliRunner().invoke(app, ["verify", str(copy.path)])
    assert result.exit_code == 1 and "3 files of" in result.stderr
    result = CliRunner().invoke(app, ["verify", str(run.path)])
    assert result.exit_code == 0 and "files are as they were written" in " ".join(result.stdout.split())


def test_the_isolation_of_programs_is_recorded(run):
    starts = [row for row in run.events.rows() if row["event"] == "start"]
    with Sandbox() as box:
        assert starts[0]["isolation"] == box.isolation


def test_a_training_that_was_cut_off_ends_with_the_same_weights(tmp_path):
    """Stopped in the middle of the second epoch, where the order of data is not that of the first."""
    problems = [p for p in load_problems("generated", "train", 3000, None, [1, 2]) if p.solution][:24]
    trajectories = [Trajectory(p, tuple(split_steps(p.solution))) for p in problems]
    settings = Sft(epochs=2, batch=8, warmup=1, lr=1e-3, checkpoint_seconds=0)

    def train(folder: Path, progress: Silent) -> tuple[str, list[dict[str, float]]]:
        model, tokenizer = load_base("tiny")
        model, curve = train_policy(model, tokenizer, Prompt(), trajectories, settings, 3, progress, folder)
        return hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest(), curve

    class Stop(Silent):
        steps = 0

        def advance(self, amount: int = 1) -> None:
            self.steps += amount
            if self.steps == 5:
                raise KeyboardInterrupt

    whole = train(tmp_path / "whole", Silent())
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", Stop())
    assert train(tmp_path / "cut", Silent()) == whole


def test_memory_that_runs_out_makes_batches_smaller_and_is_told(run, tmp_path, monkeypatch):
    forward = PrefixCache.forward

    def short_of_memory(self, rows, *tokens):
        if len(rows) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, rows, *tokens)

    monkeypatch.setattr(PrefixCache, "forward", short_of_memory)
    with pytest.raises(KeyboardInterrupt):
        rstar_mini.evolve("tiny", tmp_path / "short", 1, [*SMALL, "evaluation.limit=1"], Stop("round 1: search", 6))
    other = rstar_mini.load_run(tmp_path / "short")
    shards = [json.loads(file.read_text()) for file in sorted((other.round(1) / "trees").glob("*.json"))]
    assert all(shard["sampled"] for shard in shards) and any(shard.get("out_of_memory") for shard in shards)
    assert any(row["event"] == "out of memory" for row in other.events.rows())
    texts = [[node.step.text for node in tree.nodes()] for tree in run.trees(1)[:6]]
    assert [[node.step.text for node in tree.nodes()] for tree in other.trees(1)] == texts


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        ("DefaultCPUAllocator: can't allocate memory", UserError, "not enough memory for one node"),
        ("shapes do not match", RuntimeError, "shapes do not match"),
    ],
    ids=["not even one row fits", "another error"],
)
def test_an_error_in_decoding_that_smaller_batches_do_not_mend_is_said(base, words, kind, message):
    def broken(*_):
        raise RuntimeError(words)

    policy = TransformersPolicy(*base, Prompt())
    policy.cache.forward = broken
    with pytest.raises(kind, match=message):
        policy.propose([Request(Problem("a", "q", "1"), (), 8, 1)], 1.0)


def test_a_policy_that_never_ends_a_step_is_said_and_keeps_what_is_done(tmp_path):
    with pytest.raises(UserError, match="round 1 solved no problem"):
        rstar_mini.evolve("tiny", tmp_path / "run", overrides=[*SMALL, "policy.max_step_tokens=1"])
    run = rstar_mini.load_run(tmp_path / "run")
    assert run.last_round == 0 and not run.verify()
    assert all(len(list(tree.nodes())) == 1 and tree.root.dropped for tree in run.trees(1))


def test_a_loss_that_is_not_a_number_stops_the_run_and_keeps_the_rounds_before(tmp_path):
    with pytest.raises(UserError, match="round 1: policy: the loss is not a number at step [2-9].*lower lr"):
        rstar_mini.evolve("tiny", tmp_path / "run", overrides=[*SMALL, *FEW, "sft.lr=1e30", "sft.epochs=6"])
    run = rstar_mini.load_run(tmp_path / "run")
    assert run.last_round == 0 and run.trees(1) and not run.verify()


def test_a_tokenizer_that_cannot_write_the_tags_is_refused_before_any_work(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    model, _ = load_base("tiny")
    model.save_pretrained(tmp_path / "model")
    words = Tokenizer(models.WordLevel({"<unk>": 0, "pens": 1, "</s>": 2}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="</s>")
    tokenizer.save_pretrained(tmp_path / "model")
    with pytest.raises(UserError, match="cannot write the tag <code>"):
        rstar_mini.evolve("tiny", tmp_path / "run", overrides=[*SMALL, f"policy.base={tmp_path}/model"])
    assert not (tmp_path / "run").exists()
