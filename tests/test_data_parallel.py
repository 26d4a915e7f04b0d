"""Training on two devices takes the steps that it takes on one: two processes on the CPU, joined by gloo.

Data-parallel, and with weights, gradients and optimiser spread over the two (FSDP).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from safetensors.torch import load_file
from small_runs import SMALL, Until

from rstar_mini.api import evolve
from rstar_mini.cluster.train import SHIPPED, configuration_file, machines_of
from rstar_mini.errors import UserError
from rstar_mini.files import read_json
from rstar_mini.progress import Silent
from rstar_mini.told import Listener

TRAIN = """
import json, sys
from pathlib import Path
import torch
from rstar_mini.adapters import with_lora
from rstar_mini.models import load_base
from rstar_mini.tokens import cached_encoder
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


# Accelerate spreads weights over GPUs only; torch can over processors as well, so it is told that these are GPUs.
AS_GPUS = """
import os
if os.environ.get("ACCELERATE_USE_FSDP") == "true":
    from accelerate import PartialState
    from accelerate.utils import DistributedType
    begin = PartialState.__init__
    def as_gpus(self, *args, **kwargs):
        begin(self, *args, **kwargs)
        self.distributed_type = DistributedType.MULTI_GPU
    PartialState.__init__ = as_gpus
"""


@pytest.fixture
def as_gpus(tmp_path, monkeypatch):
    """Processes that start from here take processors for GPUs."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(AS_GPUS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))


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
    for name, micro, processes in (("micro", 2, 1), ("two-micro", 2, 2)):
        found = trained(tmp_path / name, part, micro, processes)
        assert found["loss"] == pytest.approx(alone["loss"], abs=1e-5), name
        assert found["weights"] == pytest.approx(alone["weights"], abs=2e-2), name  # sums over whole tensors


def two_of(name: str, folder: Path) -> str:
    """A shipped configuration with two processes in place of eight."""
    told = configuration_file(name).read_text().replace("num_processes: 8", "num_processes: 2")
    (folder / "two.yaml").write_text(told)
    return str(folder / "two.yaml")


MORE = [
    *SMALL,
    *("sft.batch=8", "sft.epochs=4", "sft.lr=0.002", "sft.warmup=1", "sft.checkpoint_seconds=0"),
    *("ppm.batch=8", "ppm.epochs=2", "ppm.lr=0.001", "ppm.warmup=1", "ppm.checkpoint_seconds=0"),
]


class After(Until):
    """Interrupts after so many steps of a stage."""

    def __init__(self, stage: str, steps: int) -> None:
        super().__init__("never")
        self.stop, self.left, self.now = stage, steps, ""

    def stage(self, name: str, total: int) -> None:
        super().stage(name, total)
        self.now = name

    def advance(self, amount: int = 1) -> None:
        if self.now == self.stop and amount:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt


@pytest.mark.slow
def test_a_round_whose_weights_are_spread_and_that_is_interrupted(tmp_path, as_gpus):
    """The models are those of one process, under the same names, whole, and training goes on from its checkpoint."""
    alone = evolve("tiny", tmp_path / "alone", 1, MORE)
    two = two_of("8-gpus-fsdp", tmp_path)
    for part in ("policy", "PPM"):
        with pytest.raises(KeyboardInterrupt):
            evolve("tiny", tmp_path / "run", 1, MORE, After(f"round 1: {part}", 3), accelerate=two)
        checkpoints = tmp_path / "run" / "round-1" / f".{part.lower()}-checkpoints"
        assert len(list(checkpoints.rglob("pytorch_model_fsdp_0/*.distcp"))) >= 2, "each process has its share"
    told = Until("never")
    made = evolve("tiny", tmp_path / "run", 1, MORE, told, accelerate=two)
    assert made.verify() == [] and "round 1: PPM" in told.stages and "round 1: policy" not in told.stages
    assert not list(made.path.rglob(".*-checkpoints"))
    events = [event["event"] for event in made.events.rows()]
    assert events.count("policy trained") == events.count("PPM trained") == 1
    for part in ("policy", "ppm"):
        [found], [expected] = (list((run.round(1) / part).glob("*.safetensors")) for run in (made, alone))
        ours, theirs = load_file(found), load_file(expected)
        assert found.name == expected.name and ours.keys() == theirs.keys()
        for name, weight in theirs.items():
            assert ours[name].shape == weight.shape and (ours[name] - weight).abs().max() < 2e-5, name
        logs = [read_json(run.round(1) / f"{part}-log.json") for run in (made, alone)]
        curves = [[row["loss"] for row in log["curve"]] for log in logs]
        assert curves[0] == pytest.approx(curves[1], abs=1e-5) and logs[0].get("accuracy") == logs[1].get("accuracy")


@pytest.mark.slow
def test_a_spread_training_that_fails_says_why(tmp_path):
    changes = [*SMALL, "sft.lr=1e30", "sft.warmup=0"]
    with pytest.raises(UserError, match="two.yaml failed: .*lower lr"):
        evolve("tiny", tmp_path / "run", 1, changes, accelerate=two_of("8-gpus", tmp_path))


@pytest.mark.parametrize(
    ("accelerate", "why"),
    [
        (
            "none.yaml",
            "no such file; make one with `accelerate config`, or take one of 1-gpu, 16-machines-fsdp, 8-gpus",
        ),
        ("16-machines-fsdp", "for several machines; say with --ray where they are"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(tmp_path, accelerate, why):
    with pytest.raises(UserError, match=why):
        evolve("tiny", tmp_path / "run", 1, SMALL, accelerate=accelerate)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("{", "no configuration of accelerate"),
        ("", "no configuration of accelerate"),
        ("distributed_type: DEEPSPEED", "distributed_type DEEPSPEED is not supported; NO, MULTI_GPU and FSDP are"),
        ("distributed_type: FSDP", "of FSDP only version 2"),
        (
            "{distributed_type: FSDP, fsdp_config: {fsdp_version: 2, fsdp_activation_checkpointing: true}}",
            "leave out fsdp_activation_checkpointing; the recipe's sft.recompute",
        ),
        ("{num_machines: 2, num_processes: 3}", "3 processes cannot be shared by 2 machines"),
        ("{num_processes: 3}", "sft.batch 32 cannot be shared evenly by 3 processes"),
        ("{num_processes: 4}", "ppm.micro_batch 8 does not divide the 12 of ppm.batch 48 that each of 4 processes has"),
    ],
)
def test_what_cannot_be_trained_so_is_refused_before_the_run_begins(tmp_path, told, why):
    (tmp_path / "bad.yaml").write_text(told)
    changes = [*SMALL, *(["ppm.batch=48", "ppm.micro_batch=8"] if "micro_batch" in why else [])]
    with pytest.raises(UserError, match=why):
        evolve("tiny", tmp_path / "run", 1, changes, accelerate=str(tmp_path / "bad.yaml"))
    assert not (tmp_path / "run").exists()


def test_an_error_in_a_training_is_told_and_not_that_of_its_launcher():
    """As torchrun prints them."""
    listener = Listener(Silent())
    for line in (
        "[rank1]: Traceback (most recent call last):",
        "[rank1]:   loss.backward()",
        "[rank1]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
        "Traceback (most recent call last):",
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:",
        "rstar_mini.cluster.train FAILED",
        'progress ["failed"]',
    ):
        listener.hear(line)
    assert listener.failed and not listener.wrong
    assert listener.reason == "[rank1]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"


def test_the_shipped_configurations_are_accelerates_own(tmp_path):
    """It reads them, and nothing in them is unknown to it."""
    for file in sorted(SHIPPED.glob("*.yaml")):
        read = load_config_from_file(str(file))
        assert read.num_processes == machines_of(file)[0] * machines_of(file)[1]
        if file.stem.endswith("fsdp"):
            assert read.fsdp_config["fsdp_version"] == 2
