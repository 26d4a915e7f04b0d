"""Bases that are none, tokenizers that lose text, beginnings and ends, chat templates: found before any work."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_architectures import PROBLEM, SIZES, config, saved
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, GPT2Config, PreTrainedTokenizerFast

from rstar_mini.bases import last_position
from rstar_mini.code_cot import TAGS
from rstar_mini.errors import UserError
from rstar_mini.evolution.models import Models
from rstar_mini.finetune.sft import encode_trajectory
from rstar_mini.models import load_base
from rstar_mini.plan import plan
from rstar_mini.policy import Request
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.ppm.model import encode_pair, ppm_from_policy
from rstar_mini.ppm.pairs import Pair
from rstar_mini.ppm.scorer import PAST_END, PPMScorer
from rstar_mini.prompts import DEMONSTRATIONS, Prompt, chat_prompt
from rstar_mini.recipes import load_recipe
from rstar_mini.tokens import cached_encoder, choose_ends
from rstar_mini.types import Problem, Step

CASES = Path(__file__).parents[2] / "shared" / "cases" / "bases"


def byte_level(special: tuple[str, ...] = ("<s>",), **ends: str) -> PreTrainedTokenizerFast:
    """A tokenizer of bytes, whose BOS stands before every text if it has one."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(special_tokens=list(special), initial_alphabet=alphabet, show_progress=False)
    inner.train_from_iterator(["some text"], trainer)
    if "bos_token" in ends:
        inner.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
        )
    return PreTrainedTokenizerFast(tokenizer_object=inner, **ends)


def with_bos() -> PreTrainedTokenizerFast:
    return byte_level(("<s>", "</s>"), bos_token="<s>", eos_token="</s>")


def base_folder(folder: Path, tokenizer=None, **changes) -> Path:
    tokenizer = tokenizer or load_base("tiny")[1]
    return saved("Llama", SIZES | {"num_hidden_layers": 2} | changes, tokenizer, folder)


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_base(str(folder))
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_git_lfs_pointer_is_told(tmp_path, name):
    folder = base_folder(tmp_path / "base")
    (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert f"{name} is a git-lfs pointer" in refused(folder) and "git lfs pull" in refused(folder)


@pytest.mark.parametrize("damage", ["cut", "header", "empty"])
def test_damaged_weights_are_told(tmp_path, damage):
    folder = base_folder(tmp_path / "base")
    file = folder / "model.safetensors"
    data = file.read_bytes()
    file.write_bytes({"cut": data[: len(data) // 2], "header": b"\xff" * 64 + data[64:], "empty": b""}[damage])
    assert "model.safetensors is damaged" in refused(folder)


@pytest.mark.parametrize("damage", ["missing", "nan"])
def test_weights_that_would_be_random_or_are_no_numbers(tmp_path, damage):
    folder = base_folder(tmp_path / "base")
    weights = load_file(folder / "model.safetensors")
    key = "model.layers.1.self_attn.k_proj.weight"
    if damage == "missing":
        del weights[key]
    else:
        weights[key][0, 0] = torch.nan
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert (key if damage == "missing" else "not numbers") in refused(folder)


def test_code_of_others_is_never_asked_for(tmp_path):
    folder = base_folder(tmp_path / "base")
    made = json.loads((folder / "config.json").read_text()) | {"model_type": "mine"}
    made["auto_map"] = {"AutoConfig": "mine.Mine", "AutoModelForCausalLM": "mine.Model"}
    (folder / "config.json").write_text(json.dumps(made))
    (folder / "mine.py").write_text("raise SystemExit('ran')")
    refused(folder)
    with pytest.raises(UserError, match="cannot read the configuration"):
        plan(load_recipe("tiny", [f"policy.base={folder}"]), "cpu")


def test_quantised_weights_are_refused(tmp_path):
    folder = base_folder(tmp_path / "base")
    made = json.loads((folder / "config.json").read_text()) | {
        "quantization_config": {"quant_method": "gptq", "bits": 4}
    }
    (folder / "config.json").write_text(json.dumps(made))
    assert "its weights are quantised (gptq)" in refused(folder)


def test_a_file_is_no_base(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(UserError, match="is a file; give the folder"):
        load_base(str(tmp_path / "model.gguf"))


@pytest.mark.skipif(not CASES.exists(), reason="the cases are not on this machine")
@pytest.mark.parametrize("name", ["arch_stablelm", "t5", "bert", "collapse"])
def test_the_bases_of_bug_reports(name):
    refused(CASES / name)


@pytest.mark.parametrize(
    ("normalizer", "lost"),
    [
        (normalizers.Replace("\n", " "), "newlines"),
        (normalizers.Replace("    ", " "), "indentation"),
        (normalizers.Lowercase(), "capital letters"),
        (normalizers.Replace("{", "("), "characters"),
    ],
)
def test_a_tokenizer_that_loses_text_is_refused(tmp_path, normalizer, lost):
    tokenizer = with_bos()
    tokenizer.backend_tokenizer.normalizer = normalizer
    assert f"it loses {lost}" in refused(base_folder(tmp_path / "base", tokenizer))


def test_tokens_that_were_added_to_the_tokenizer_alone(tmp_path):
    tokenizer = with_bos()
    folder = base_folder(tmp_path / "base", tokenizer)
    tokenizer.add_tokens(list(TAGS))
    tokenizer.save_pretrained(folder)
    assert "do not belong together" in refused(folder)


def test_texts_begin_as_the_tokenizer_begins_them():
    tokenizer = with_bos()
    encode, pieces = cached_encoder(tokenizer.encode), ["How many?\n", "<code>\na = 1\n<end_of_step>"]
    plain = [tokenizer.encode(piece, add_special_tokens=False) for piece in pieces]
    assert encode.joined(pieces) == [0, *plain[0], *plain[1]] == tokenizer.encode("".join(pieces))[:-1]
    assert encode("<s>How many?") == encode("How many?")  # as a chat template writes it
    step = Step(pieces[1])
    assert encode_trajectory(encode, pieces[0], [step], True)["input_ids"] == encode.joined(pieces)
    pair = Pair(Problem("p", "How many?", "1"), "", pieces[1], pieces[1].replace("1", "2"), 1.0, 1.0, -1.0)
    assert encode_pair(encode, Prompt(), pair)["chosen_ids"] == encode.joined(pieces)


def test_search_begins_texts_as_the_tokenizer_does():
    tokenizer = with_bos()
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config("Llama", SIZES, len(tokenizer))).eval()
    policy = TransformersPolicy(model, tokenizer, Prompt(), 12)
    [[step]] = policy.propose([Request(PROBLEM, (), 1, 0)], 0.0)
    model.get_decoder().set_attn_implementation("sdpa")
    ids = torch.tensor([tokenizer.encode(Prompt()(PROBLEM.question))[:-1]])
    made = model.generate(ids, max_new_tokens=12, do_sample=False, eos_token_id=1, pad_token_id=0)
    assert step.text == tokenizer.decode(made[0, ids.shape[1] :], clean_up_tokenization_spaces=False)


def test_a_tokenizer_without_ends_gets_a_token_to_pad_and_the_run_says_so(tmp_path):
    folder = base_folder(tmp_path / "base", byte_level(), eos_token_id=None, bos_token_id=None, pad_token_id=None)
    made = Models(load_recipe("tiny", [f"policy.base={folder}"]), tmp_path / "run")
    assert made.tokenizer.pad_token == "<s>" and any("no end of text" in note for note in made.notes)


def test_the_end_that_the_model_names_is_taken(base):
    tokenizer = byte_level(("<s>", "</s>"))
    model = AutoModelForCausalLM.from_config(config("Llama", SIZES, len(tokenizer)))
    choose_ends(tokenizer, model, len(tokenizer))
    assert tokenizer.eos_token == tokenizer.pad_token == "</s>"


def test_settings_for_sampling_that_saving_refuses_are_left_out(tmp_path):
    folder = base_folder(tmp_path / "base")
    settings = {"temperature": 0.6, "top_p": 0.9, "do_sample": False, "eos_token_id": 1, "pad_token_id": 0}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    model, _ = load_base(str(folder))
    model.save_pretrained(tmp_path / "saved")
    assert model.generation_config.eos_token_id == 1


def test_the_sum_of_layers_does_not_overflow_in_fp16(tmp_path):
    """What layers add stays within fp16, and their sum does not, as in some Phi-3 models."""
    folder = base_folder(tmp_path / "base", num_hidden_layers=6)
    wide, tokenizer = load_base(str(folder))
    with torch.no_grad():
        first = wide.model.layers[0].mlp
        first.up_proj.weight *= 1e3
        first.down_proj.weight *= 3e3
        for layer in wide.model.layers[1:]:
            layer.mlp.load_state_dict(first.state_dict())
    wide.save_pretrained(folder)
    ids = torch.tensor([tokenizer.encode(PROBLEM.question)])
    states = wide(ids, output_hidden_states=True).hidden_states
    added = [(later - earlier).abs().max() for earlier, later in pairwise(states[:-1])]
    assert max(added) < 65504 < max(state.abs().max() for state in states[:-1])
    half, _ = load_base(str(folder), torch.float16)
    assert torch.allclose(half(ids).logits.float(), wide(ids).logits, atol=0.05)


def short(tokenizer, positions: int = 64):
    made = GPT2Config(n_embd=64, n_layer=2, n_head=4, n_positions=positions, vocab_size=len(tokenizer), eos_token_id=1)
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(made).eval()


def test_branches_end_where_positions_end_and_are_counted(base):
    tokenizer, model = base[1], short(base[1])
    policy = TransformersPolicy(model, tokenizer, Prompt(), 200)
    long = Problem("long", "Tom has 3 boxes. " * 30, "1")
    near = Problem("near", " ".join(["Tom has 3 boxes."] * 8), "1")
    none, some = policy.propose([Request(long, (), 2, 0), Request(near, (), 3, 0)], 1.0)
    length = len(policy.cache.encode(Prompt()(near.question)))
    assert [step.text for step in none] == ["", ""] and 40 < length < 64
    assert all(step.tokens <= 64 - length + 1 for step in some) and policy.cache.past_end >= 2
    scorer = PPMScorer(ppm_from_policy(model).eval(), tokenizer, Prompt())
    [[good, late], [lost]] = scorer.score([(near, (), [Step("\na"), Step("\nb = 1" * 30)]), (long, (), [Step("\na")])])
    assert late == lost == PAST_END < good and scorer.cache.past_end == 2


def test_plan_warns_of_few_positions(tmp_path):
    tokenizer = load_base("tiny")[1]
    short(tokenizer).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert "has positions for 64" in plan(load_recipe("tiny", [f"policy.base={tmp_path}"]), "cpu").warning
    assert plan(load_recipe("tiny"), "cpu").warning == ""


def test_the_positions_of_a_longrope_end_where_its_rotation_changes():
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "long_factor": [4.0] * 8, "short_factor": [1.0] * 8}
    limits = {"max_position_embeddings": 4096, "original_max_position_embeddings": 512}
    made = config("Phi3", SIZES | limits | {"rope_parameters": rope}, 100)
    assert last_position(made) == 512 and last_position(config("Llama", SIZES, 100)) == 2048


GOOD_CHAT = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}[go]"


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('a system message is required') if messages[0]['role'] != 'system' }}",
        "{% for m in messages %}{% for c in m['content'] %}{{ c['text'] }}{% endfor %}{% endfor %}|go",
        "{% for m in messages %}{{ m['content'] | upper }}{% endfor %}|go",
        "{% for m in messages %}{{ m['content'] | replace('\\n', ' ') }}{% endfor %}|go",
        "{% for m in messages %}{{ m['content'] | e }}{% endfor %}|go",
        "{% for m in messages %}{{ m['content'][:500] }}{% endfor %}|go",
        "{{ messages[-1]['content'] }}|go",  # the examples are lost
        "{% for m in messages %}{{ m['content'] }}{% endfor %}{{ range(10**9) | random }}",
        "{% for m in messages %}{{ m['content']",
    ],
)
def test_a_chat_template_that_changes_what_is_said_is_refused(template):
    tokenizer = with_bos()
    tokenizer.chat_template = template
    with pytest.raises(UserError, match="use policy.prompt plain or paper"):
        chat_prompt(tokenizer, DEMONSTRATIONS)


def test_a_template_prints_the_same_day_for_ever():
    tokenizer = with_bos()
    tokenizer.chat_template = "{{ strftime_now('%Y-%m-%d %H:%M:%S.%f') }}" + GOOD_CHAT
    assert chat_prompt(tokenizer)("How many?") == "2024-07-26 00:00:00.000000[user]How many?[go]"


def test_a_template_that_fails_does_not_matter_to_a_plain_prompt(tmp_path):
    tokenizer = with_bos()
    tokenizer.chat_template = "{{ raise_exception('no') }}"
    folder = base_folder(tmp_path / "base", tokenizer)
    made = Models(load_recipe("tiny", [f"policy.base={folder}"]), tmp_path / "run")
    assert made.own_words is None and any("in its own words" in note for note in made.notes)
    with pytest.raises(UserError, match="fails: no"):
        Models(load_recipe("tiny", [f"policy.base={folder}", "policy.prompt=chat"]), tmp_path / "run")
