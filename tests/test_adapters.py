"""LoRA: what is trained and what is not, in 32 bits and on 4-bit weights."""

import pytest
import torch
from peft import TaskType
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from rstar_mini.code_cot import split_steps, write_solution
from rstar_mini.finetune.sft import train_policy
from rstar_mini.models import load_base
from rstar_mini.paths import data_file
from rstar_mini.progress import Silent
from rstar_mini.prompts import Prompt
from rstar_mini.recipes.schema import Sft
from rstar_mini.training import with_adapters
from rstar_mini.types import Problem, Trajectory

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
LORA = Sft(tuning="lora", lora_rank=4, epochs=2, batch=8, lr=1e-2, warmup=0)


def solved(i: int) -> Trajectory:
    """A worked trajectory."""
    problem = Problem(
        str(i), f"Tom has {i + 2} boxes with 8 pens in each box. How many pens are there?", str(8 * i + 16)
    )
    text = write_solution([("Count the pens", f"pens = {i + 2} * 8")], "pens", problem.answer)
    return Trajectory(problem, tuple(split_steps(text)), correct=True)


def test_adapters_sit_on_all_linear_layers_and_nowhere_else():
    adapted = with_adapters(load_base("tiny")[0], LORA, TaskType.CAUSAL_LM)
    trained = {name.split(".lora_")[0].rpartition(".")[2] for name, p in adapted.named_parameters() if p.requires_grad}
    assert trained == {"qkv_proj", "o_proj", "gate_up_proj", "down_proj"}
    sides = sum(sum(m.base_layer.weight.shape) for m in adapted.modules() if hasattr(m, "lora_A"))
    assert adapted.get_nb_trainable_parameters()[0] == LORA.lora_rank * sides


@pytest.mark.parametrize("bits", [32, 4])
def test_training_adapters_leaves_the_base_as_it_was(bits, tmp_path):
    four = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)
    asked = {"quantization_config": four} if bits == 4 else {}
    model = AutoModelForCausalLM.from_pretrained(data_file("tiny-base"), dtype=torch.float32, **asked)
    before = {name: p.clone() for name, p in model.named_parameters()}
    trained, curve = train_policy(
        model, load_base("tiny")[1], Prompt(), [solved(i) for i in range(16)], LORA, 0, Silent(), tmp_path
    )
    after = {n.removeprefix("base_model.model.").replace(".base_layer", ""): p for n, p in trained.named_parameters()}
    assert all(torch.equal(after[name], p) for name, p in before.items())
    assert curve[-1]["loss"] < curve[0]["loss"]
