"""LoRA and QLoRA: what is trained and what is not, and one base that serves policy, PPM and both trainings."""

import threading
from pathlib import Path

import pytest
import torch
from peft import PeftModel, TaskType
from transformers import LlamaConfig, Phi3Config, PreTrainedModel, Qwen2Config

from rstar_mini.adapters import SharedBase, with_lora
from rstar_mini.code_cot import split_steps, write_solution
from rstar_mini.errors import UserError
from rstar_mini.evolution.capacity import free_bytes
from rstar_mini.evolution.models import Models, possible
from rstar_mini.finetune.sft import train_policy
from rstar_mini.models import load_base, load_policy, load_ppm
from rstar_mini.policy import Request
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.ppm import Pair
from rstar_mini.ppm.model import train_ppm
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.progress import Silent
from rstar_mini.prompts import Prompt
from rstar_mini.recipes import load_recipe
from rstar_mini.recipes.schema import PolicySettings, Ppm, Sft
from rstar_mini.types import Problem, Step, Trajectory

SFT = Sft(epochs=2, batch=8, lr=1e-2, warmup=0)
PPM = Ppm(epochs=2, batch=8, lr=1e-2, warmup=0)
RANK = 4
# Four bits take the way of full weights and then some; full weights alone, as long again, are slow.
either = pytest.mark.parametrize("four_bits", [pytest.param(False, marks=pytest.mark.slow), True])


def solved(i: int) -> Trajectory:
    """A worked trajectory."""
    problem = Problem(
        str(i), f"Tom has {i + 2} boxes with 8 pens in each box. How many pens are there?", str(8 * i + 16)
    )
    text = write_solution([("Count the pens", f"pens = {i + 2} * 8")], "pens", problem.answer)
    return Trajectory(problem, tuple(split_steps(text)), correct=True)


TRAJECTORIES = [solved(i) for i in range(16)]
FIRSTS = [trajectory.steps[0] for trajectory in TRAJECTORIES]
PAIRS = [Pair(t.problem, "", t.steps[0].text, FIRSTS[i - 1].text, 1.0, 1.0, -1.0) for i, t in enumerate(TRAJECTORIES)]


def base(four_bits: bool = False) -> PreTrainedModel:
    return load_base("tiny", four_bits=four_bits)[0]


TOKENIZER = load_base("tiny")[1]


def write(model: PreTrainedModel | object) -> list[list[Step]]:
    """What a policy most likely writes first for some problems."""
    policy = TransformersPolicy(model, TOKENIZER, Prompt(), 32)
    return policy.propose([Request(t.problem, (), 1, 0) for t in TRAJECTORIES[:6]], 0.0)


def score(model: PreTrainedModel | object) -> list[list[float]]:
    """What a PPM says of first steps."""
    return PPMScorer(model, TOKENIZER, Prompt()).score([(t.problem, (), FIRSTS[:3]) for t in TRAJECTORIES[:2]])


def trained(shared: SharedBase, folder: Path) -> list[list[dict[str, float]]]:
    """Train a policy and its PPM on one base, and save both; returns their curves."""
    policy, sft = train_policy(
        shared.to_train_policy(0), TOKENIZER, Prompt(), TRAJECTORIES, SFT, 0, Silent(), folder / "sft"
    )
    policy.save_pretrained(folder / "policy")
    fresh = shared.to_train_ppm(folder / "policy", 0)
    ppm, curve = train_ppm(fresh, TOKENIZER, Prompt(), PAIRS, PPM, 0, Silent(), folder / "rm")
    ppm.save_pretrained(folder / "ppm")
    return [sft, curve]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Saved adapters of a policy and a PPM."""
    folder = tmp_path_factory.mktemp("adapters")
    trained(SharedBase(base(), RANK), folder)
    return folder


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (Phi3Config, {"qkv_proj", "o_proj", "gate_up_proj", "down_proj"}),
        (LlamaConfig, {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}),
        (Qwen2Config, {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}),
    ],
)
def test_adapters_sit_on_all_linear_layers_by_their_own_names_and_nowhere_else(config, expected):
    from transformers import AutoModelForCausalLM

    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "vocab_size": 128}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0}
    adapted = with_lora(AutoModelForCausalLM.from_config(config(**small, **heads)), RANK)
    found = {name.split(".lora_")[0].rpartition(".")[2] for name, p in adapted.named_parameters() if p.requires_grad}
    assert found == expected
    sides = sum(sum(m.base_layer.weight.shape) for m in adapted.modules() if hasattr(m, "lora_A"))
    assert adapted.get_nb_trainable_parameters()[0] == RANK * sides


def test_a_model_without_linear_layers_is_refused_in_one_line():
    from transformers import AutoModelForCausalLM, GPT2Config

    model = AutoModelForCausalLM.from_config(GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=64))
    with pytest.raises(UserError, match="GPT2LMHeadModel has no linear layers for LoRA"):
        with_lora(model, RANK)


@either
def test_both_trainings_learn_and_leave_the_base_as_it_was(four_bits, tmp_path):
    shared = SharedBase(base(four_bits), RANK)
    before = {name: p.clone() for name, p in shared.base.get_decoder().named_parameters()}
    for curve in trained(shared, tmp_path):
        assert curve[-1]["loss"] < curve[0]["loss"]
    shared.view("policy", tmp_path / "policy")
    after = {n.replace(".base_layer", ""): p for n, p in shared.base.get_decoder().named_parameters()}
    assert all(torch.equal(after[name], p) for name, p in before.items())


@either
def test_a_base_that_has_searched_learns_as_a_new_one_does(four_bits, tmp_path):
    fresh, used = SharedBase(base(four_bits), RANK), SharedBase(base(four_bits), RANK)
    write(used.view())
    assert trained(used, tmp_path / "used") == trained(fresh, tmp_path / "fresh")


def test_on_four_bits_the_loss_falls_as_it_does_on_all(tmp_path):
    """Over the training, within 5 %."""
    means = []
    for four_bits in (False, True):
        model = SharedBase(base(four_bits), RANK).to_train_policy(0)
        folder = tmp_path / str(four_bits)
        _, curve = train_policy(model, TOKENIZER, Prompt(), TRAJECTORIES, SFT, 0, Silent(), folder)
        means.append(sum(row["loss"] for row in curve) / len(curve))
    assert means[1] == pytest.approx(means[0], rel=0.05)


@either
def test_saved_adapters_say_after_loading_what_they_said_after_training(four_bits, tmp_path):
    shared = SharedBase(base(four_bits), RANK)
    policy, _ = train_policy(
        shared.to_train_policy(0), TOKENIZER, Prompt(), TRAJECTORIES, SFT, 0, Silent(), tmp_path / "checkpoints"
    )
    policy.save_pretrained(tmp_path / "policy")
    ids = torch.tensor([TOKENIZER.encode(Prompt()(TRAJECTORIES[0].problem.question))])
    with torch.inference_mode():
        expected = policy.eval()(input_ids=ids).logits
        again = SharedBase(base(four_bits), RANK)
        hidden = again.view("policy", tmp_path / "policy")(input_ids=ids).last_hidden_state
        assert torch.equal(again.base.get_output_embeddings()(hidden), expected)


def test_one_base_serves_both_as_merged_copies_would(folder):
    shared = SharedBase(base(), RANK)
    policy, ppm = shared.view("policy-1", folder / "policy"), shared.view("ppm-1", folder / "ppm")
    alone = write(load_policy(folder / "policy", "tiny")), score(load_ppm(folder / "ppm", "tiny"))
    assert write(policy) == alone[0]
    assert score(ppm) == [pytest.approx(row, abs=1e-5) for row in alone[1]]
    assert write(policy) == alone[0]
    assert write(shared.view()) == write(base()) != alone[0]


def test_the_engine_and_the_scorer_may_switch_from_two_threads(folder):
    shared = SharedBase(base(), RANK)
    policy, ppm = shared.view("policy-1", folder / "policy"), shared.view("ppm-1", folder / "ppm")
    expected, wrong = (write(policy), score(ppm)), []

    def again(call, model, said) -> None:
        wrong.extend(True for _ in range(5) if call(model) != said)

    threads = [
        threading.Thread(target=again, args=each) for each in ((write, policy, expected[0]), (score, ppm, expected[1]))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_ppm_starts_from_its_rounds_policy(folder):
    shared = SharedBase(base(), RANK)
    ids = torch.tensor([TOKENIZER.encode(Prompt()(TRAJECTORIES[0].problem.question))])
    with torch.inference_mode():
        expected = load_policy(folder / "policy", "tiny").get_decoder()(ids).last_hidden_state
        found = shared.to_train_ppm(folder / "policy", 0).get_decoder()(ids).last_hidden_state
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_an_adapter_is_small_and_in_the_files_that_peft_reads(folder):
    assert sum(file.stat().st_size for file in (folder / "policy").iterdir()) < 0.2 * base().num_parameters() * 4
    head = load_ppm(folder / "ppm", "tiny").score.weight
    assert isinstance(PeftModel.from_pretrained(base(), folder / "policy"), PeftModel)
    assert head.abs().max() > 1e-3


def test_a_training_on_four_bits_that_was_cut_off_ends_the_same(tmp_path):
    class Stop(Silent):
        steps = 0

        def advance(self, amount: int = 1) -> None:
            self.steps += amount
            if self.steps == 3:
                raise KeyboardInterrupt

    def train(folder: Path, progress: Silent) -> tuple[list[torch.Tensor], list[dict[str, float]]]:
        model = SharedBase(base(four_bits=True), RANK).to_train_policy(0)
        settings = SFT.model_copy(update={"checkpoint_seconds": 0.0})
        model, curve = train_policy(model, TOKENIZER, Prompt(), TRAJECTORIES, settings, 0, progress, folder)
        return [p for p in model.parameters() if p.requires_grad], curve

    whole, curve = train(tmp_path / "whole", Silent())
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", Stop())
    resumed, again = train(tmp_path / "cut", Silent())
    assert again == curve
    assert all(torch.equal(a, b) for a, b in zip(whole, resumed, strict=True))


def test_checkpoints_do_not_ask_the_hub_for_a_base_that_came_from_elsewhere(tmp_path):
    """PEFT would warn, and here warnings are errors."""
    weights = base()
    weights.name_or_path = str(tmp_path)  # as of a GGUF file: a folder without config.json
    settings = SFT.model_copy(update={"checkpoint_seconds": 0.0})
    model = SharedBase(weights, RANK).to_train_policy(0)
    train_policy(model, TOKENIZER, Prompt(), TRAJECTORIES, settings, 0, Silent(), tmp_path / "checkpoints")
    assert list(tmp_path.glob("checkpoints/checkpoint-*/adapter_model.safetensors"))


def test_recomputing_activations_gives_the_same_losses(tmp_path):
    curves = []
    for recompute in (False, True):
        settings = SFT.model_copy(update={"recompute": recompute})
        model = SharedBase(base(), RANK).to_train_policy(0)
        folder = tmp_path / str(recompute)
        _, curve = train_policy(model, TOKENIZER, Prompt(), TRAJECTORIES, settings, 0, Silent(), folder)
        curves.append([row["loss"] for row in curve])
    assert curves[0] == pytest.approx(curves[1], rel=1e-3)


def test_search_merges_adapters_where_there_is_memory_and_switches_them_elsewhere(tmp_path, monkeypatch):
    def adapters(*options: str) -> str | None:
        return Models(load_recipe("tiny", options), tmp_path).capacity.adapters

    assert adapters() is None
    assert adapters("policy.tuning=lora") == "merged"
    assert adapters("policy.tuning=lora", "policy.adapters=switched") == "switched"
    assert adapters("policy.tuning=qlora") == "switched"
    elsewhere = Models(load_recipe("tiny", ["policy.tuning=lora", "policy.cache_mb=null"]), tmp_path, free=2**24)
    assert elsewhere.capacity.adapters == "switched" and elsewhere.capacity.cache_mb == 64
    monkeypatch.setattr("rstar_mini.evolution.capacity.free_bytes", lambda: 2**24)
    assert adapters("policy.tuning=lora") == "switched"


def test_free_memory_counts_what_pytorch_holds_of_deleted_models(monkeypatch):
    memory = {"free": 1, "held": 2}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: memory.update(free=memory["free"] + memory.pop("held")))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (memory["free"], 4))
    assert free_bytes() == 3


def test_where_four_bits_do_not_work_it_is_said_and_lora_takes_their_place(monkeypatch):
    monkeypatch.setattr("rstar_mini.evolution.models.no_four_bits", lambda: "bitsandbytes does not work here (why)")
    settings, notes = possible(PolicySettings(tuning="qlora", dtype="bf16"))
    assert settings.tuning == "lora"
    assert notes == ["bitsandbytes does not work here (why): LoRA on bf16 weights instead of 4-bit ones"]


def test_a_gpu_without_bf16_gets_fp16(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    settings, notes = possible(PolicySettings(tuning="lora", dtype="bf16"))
    assert settings.dtype == "fp16" and len(notes) == 1


def test_weights_that_are_quantised_already_are_not_quantised_again(monkeypatch, tmp_path):
    monkeypatch.setattr("rstar_mini.models.cache_dir", lambda: tmp_path)
    (tmp_path / "smol").mkdir()
    (tmp_path / "smol" / "weights.gguf").touch()
    with pytest.raises(UserError, match=r"quantised already \(GGUF\); use policy.tuning lora"):
        load_base("smol", four_bits=True)


def test_task_types_are_those_that_others_load(folder):
    from rstar_mini.files import read_json

    kinds = [read_json(folder / name / "adapter_config.json") for name in ("policy", "ppm")]
    assert [kind["task_type"] for kind in kinds] == [TaskType.CAUSAL_LM, TaskType.SEQ_CLS]
    assert "score" in kinds[1]["modules_to_save"] and kinds[0]["modules_to_save"] is None
