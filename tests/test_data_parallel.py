"""Training on two devices takes the steps that it takes on one: two processes on the CPU, joined by gloo."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
solved = [p for p in load_problems("generated", "train", None, ["money"], [1, 2, 3]) if p.solution][:24]
steps = [split_steps(problem.solution) for problem in solved]
how = {"batch": 8, "micro_batch": batch, "lr": 1e-3, "warmup": 1, "epochs": 1.0}
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
    """Of each step of 8 sequences a process has 4, of which it reads 2 at a time."""
    alone = trained(tmp_path / "alone", part, 8, 1)
    assert len(alone["loss"]) == 3
    for name, micro, processes in (("micro", 2, 1), ("two", 4, 2), ("two-micro", 2, 2)):
        found = trained(tmp_path / name, part, micro, processes)
        assert found["loss"] == pytest.approx(alone["loss"], abs=1e-5), name
        assert found["weights"] == pytest.approx(alone["weights"], abs=1e-3), name
