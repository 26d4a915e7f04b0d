"""Training on two devices takes the steps that it takes on one: two processes on the CPU, joined by gloo."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import SMALL, Until

from rstar_mini.api import evolve
from rstar_mini.errors import UserError
from rstar_mini.files import read_json

TRAIN = """
import json, sys
from pathlib import Path
import torch
from rstar_mini.adapters import with_lora
from rstar_mini.models import load_base
from rstar_mini.policy.prefix_cache import cached_encoder
from rstar_mini.ppm.model import encode_pair, ppm_from_policy, ppm_trainer
from rstar_mini.ppm.pairs import Pair
from rstar_mini.problems import load_problems
from rstar_mini.code_cot import split_steps
from rstar_mini.finetune.sft import encode_trajectory, sft_trainer
from rstar_mini.progress import Silent
from rstar_mini.prompts import Prompt
from rstar_mini.recipes.schema import Ppm, Sft
from rstar_mini.training import run_trainer
from transformers import set_seed

part, batch, out = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
torch.set_num_threads(1)
set_seed(0)
model, tokenizer = load_base("tiny")
encode, prompt = cached_encoder(tokenizer.encode), Prompt()
solved = [p for p in load_problems("generated", "train", None, ["money"], [1, 2, 3]) if p.solution][:21]
steps = [split_steps(problem.solution) for problem in solved]
how = {"batch": 8, "micro_batch": batch, "lr": 1e-3, "warmup": 1, "epochs": 2.0}
if part == "sft":
    model = with_lora(model, 4)
    rows = [encode_trajectory(encode, prompt(p.question), s, True) for p, s in zip(solved, steps)]
    trainer = sft_trainer(model, tokenizer, rows, Sft(**how), 0, out / "checkpoints")
else:
    model = ppm_from_policy(model)
    pairs = [
        Pair(p, "", s[0].text, s[0].text.replace("+", "-").replace("*", "+"), 1 / (1 + i % 3), 1.0, -1.0)
        for i, (p, s) in enumerate(zip(solved, steps))
    ]
    rows = [encode_pair(encode, prompt, pair) for pair in pairs]
    trainer = ppm_trainer(model, tokenizer, rows, Ppm(**how), 0, out / "checkpoints")
curve = run_trainer(trainer, Silent(), part, 1000.0)
if trainer.is_world_process_zero():
    weights = [float(p.double().sum()) for p in model.parameters() if p.requires_grad]
    (out / "found.json").write_text(json.dumps({"loss": [row["loss"] for row in curve], "weights": weights}))
"""


def trained(folder: Path, part: str, micro: int, processes: int) -> dict[str, list[float]]:
    folder.mkdir()
    script = folder / "train.py"
    script.write_text(TRAIN)
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    command = [sys.executable, *launch, str(script), part, str(micro), str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert ended.returncode == 0, ended.stderr[-3000:]
    return json.loads((folder / "found.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("part", ["sft", "ppm"])
def test_two_processes_take_the_steps_of_one(tmp_path, part):
    """Of each step of 8 sequences a process has 4, of which it reads 2 at a time; the third step has 5 in all."""
    alone = trained(tmp_path / "alone", part, 8, 1)
    assert len(alone["loss"]) == 6
    for name, micro, processes in (("micro", 2, 1), ("two", 4, 2), ("two-micro", 2, 2)):
        found = trained(tmp_path / name, part, micro, processes)
        assert found["loss"] == pytest.approx(alone["loss"], abs=1e-5), name
        assert found["weights"] == pytest.approx(alone["weights"], abs=2e-2), name  # sums over whole tensors


TWO = """
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_GPU
gpu_ids: all
machine_rank: 0
main_training_function: main
mixed_precision: 'no'
num_machines: 1
num_processes: 2
rdzv_backend: static
same_network: true
use_cpu: false
"""


@pytest.mark.slow
def test_a_round_whose_trainings_accelerate_spreads(tmp_path, evolved):
    """Two processes; there is no GPU, so they use the processor."""
    (tmp_path / "two.yaml").write_text(TWO)
    told = Until("never")
    made = evolve("tiny", tmp_path / "run", 1, SMALL, told, accelerate=tmp_path / "two.yaml")
    assert {"round 1: policy", "round 1: PPM"} <= told.stages.keys()
    assert made.verify() == []
    for part in ("policy", "ppm"):
        found, expected = (read_json(run.round(1) / f"{part}-log.json")["curve"] for run in (made, evolved))
        assert [row["loss"] for row in found] == pytest.approx([row["loss"] for row in expected], abs=1e-5)
    assert not list(made.path.rglob(".*-checkpoints"))
    assert [event["event"] for event in made.events.rows()].count("policy trained") == 1


@pytest.mark.slow
def test_a_spread_training_that_fails_says_why(tmp_path):
    (tmp_path / "two.yaml").write_text(TWO)
    changes = [*SMALL, "sft.lr=1e30", "sft.warmup=0"]
    with pytest.raises(UserError, match="two.yaml failed: .*lower lr"):
        evolve("tiny", tmp_path / "run", 1, changes, accelerate=tmp_path / "two.yaml")


def test_a_configuration_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        evolve("tiny", tmp_path / "run", 1, SMALL, accelerate=tmp_path / "none.yaml")
    assert not (tmp_path / "run").exists()
