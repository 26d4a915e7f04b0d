"""Which architectures are searched as their library computes them, which are refused, and README's table of them."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as library
from transformers import AutoModelForCausalLM, PreTrainedConfig

from rstar_mini.errors import UserError
from rstar_mini.models import load_base, no_four_bits
from rstar_mini.policy import Request
from rstar_mini.policy.prefix_cache import PrefixCache
from rstar_mini.policy.segments import Place, Trie
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.ppm.model import pair_rewards, ppm_from_policy, shared_prefixes
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.prompts import DEMONSTRATIONS, PLAIN, Prompt
from rstar_mini.types import Problem, Step

README = Path(__file__).parents[1] / "README.md"
PROBLEM = Problem("p", "Tom has 3 boxes with 8 pens in each box. How many pens does Tom have now?", "24")
STEPS = tuple(Step(f"\n# Count the pens of box {i}\nall_{i} = {i} * 8 + {i}\n<end_of_step>") for i in range(8))
WINDOW = 24
NO_BITS = no_four_bits()

SIZES: dict[str, Any] = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
NEOX = {key: SIZES[key] for key in list(SIZES)[:4]}
GPT2 = {"n_embd": 64, "n_layer": 2, "n_head": 4, "bos_token_id": 0, "eos_token_id": 1}
GPT_NEO = {"hidden_size": 64, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]}
EXPERTS = {"num_local_experts": 2, "num_experts_per_tok": 1}
MIXED = {"sliding_window": WINDOW, "layer_types": 2 * ["sliding_attention", "full_attention"]}
WINDOWS = {
    "Phi3": SIZES | {"sliding_window": WINDOW},
    "Mistral": SIZES | {"sliding_window": WINDOW},
    "Qwen2": SIZES | {"sliding_window": WINDOW, "use_sliding_window": True, "max_window_layers": 2},
    "Gemma3Text": SIZES | MIXED,
}
TRIED = {
    "Llama, SmolLM2": ("Llama", SIZES),
    "Phi-3": ("Phi3", SIZES),
    "Phi-3 with a window, as Phi-3-mini-4k": ("Phi3", WINDOWS["Phi3"]),
    "Mistral with a window": ("Mistral", WINDOWS["Mistral"]),
    "Mixtral with a window": ("Mixtral", WINDOWS["Mistral"] | EXPERTS),
    "Qwen2, Qwen2.5": ("Qwen2", SIZES),
    "Qwen2 with windows in some layers": ("Qwen2", WINDOWS["Qwen2"]),
    "Qwen3": ("Qwen3", SIZES),
    "Gemma": ("Gemma", SIZES),
    "Gemma 3 (text), with windows": ("Gemma3Text", WINDOWS["Gemma3Text"]),
    "OLMo 2": ("Olmo2", SIZES),
    "OLMo 3 with windows": ("Olmo3", SIZES | MIXED),
    "Starcoder 2 with a window": ("Starcoder2", WINDOWS["Mistral"]),
    "Granite with scaled logits": ("Granite", SIZES | {"logits_scaling": 8.0}),
    "Cohere with scaled logits": ("Cohere", SIZES | {"logit_scale": 0.0625}),
    "SmolLM3": ("SmolLM3", SIZES),
    "GPT-2": ("GPT2", GPT2),
    "GPT-NeoX, Pythia": ("GPTNeoX", NEOX),
    "Gemma 2": ("Gemma2", SIZES | MIXED),
    "gpt-oss": ("GptOss", SIZES | EXPERTS),
    "StableLM": ("StableLm", SIZES),
    "GPT-Neo": ("GPTNeo", GPT_NEO),
    "Bloom": ("Bloom", {"hidden_size": 64, "n_layer": 2, "n_head": 4}),
    "Falcon": ("Falcon", NEOX),
    "Llama 4 (text)": ("Llama4Text", SIZES | EXPERTS | {"intermediate_size_mlp": 96}),
    "Qwen3-Next": ("Qwen3Next", SIZES),
    "Mamba": ("Mamba", {"hidden_size": 64, "num_hidden_layers": 2}),
    "T5": ("T5", {"d_model": 64, "d_ff": 64, "num_layers": 1, "num_heads": 4, "d_kv": 16}),
    "BERT": ("Bert", NEOX),
}  # fmt: skip


def config(kind: str, sizes: dict[str, Any], vocabulary: int) -> PreTrainedConfig:
    made: PreTrainedConfig = getattr(library, f"{kind}Config")(**sizes, vocab_size=vocabulary)
    return made


def sharp(made: PreTrainedConfig) -> library.PreTrainedModel:
    """A random model whose attention is far from uniform."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(made, attn_implementation="eager").eval()
    for weight in model.parameters():
        weight.data.mul_(3 if weight.dim() > 1 else 1)
    return model


def saved(kind: str, sizes: dict[str, Any], tokenizer, folder: Path) -> Path:
    made = config(kind, sizes, len(tokenizer))
    torch.manual_seed(0)
    build = library.T5ForConditionalGeneration if kind == "T5" else AutoModelForCausalLM.from_config
    build(made).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def verdict(folder: Path) -> str:
    try:
        load_base(str(folder))
        return "honoured"
    except UserError as error:
        assert "\n" not in str(error)
        reason = str(error).partition("': ")[2].rpartition(";")[0].rpartition(" (")[0]
        return (
            f"refused: {reason.partition(' knows: ')[0].replace('of another layout than search', 'of another layout')}"
        )


@pytest.mark.slow
def test_readme_tells_which_architectures_are_honoured(base, tmp_path):
    rows = [(name, verdict(saved(*TRIED[name], base[1], tmp_path / str(i)))) for i, name in enumerate(TRIED)]
    table = ["| architecture | |", "| --- | --- |", *(f"| {name} | {found} |" for name, found in rows)]
    assert "\n".join(table) in README.read_text("utf-8"), "\n".join(table)


@pytest.mark.parametrize(
    "name", ["Gemma 2", "gpt-oss", "StableLM", "Mamba", "T5", "BERT", "Granite with scaled logits"]
)
def test_what_cannot_be_honoured_is_refused_in_one_line(base, name, tmp_path):
    assert verdict(saved(*TRIED[name], base[1], tmp_path / "base")).startswith("refused: it")


def states(model, tokenizer, prompt: Prompt, steps: tuple[Step, ...]) -> torch.Tensor:
    """Of the last token, by the library."""
    texts = [prompt(PROBLEM.question), *(step.full_text for step in steps)]
    ids = [token for text in texts for token in tokenizer.encode(text, add_special_tokens=False)]
    with torch.inference_mode():
        model.get_decoder().set_attn_implementation("eager")
        return model.get_decoder()(torch.tensor([ids])).last_hidden_state[0, -1]


def read(cache: PrefixCache, steps: tuple[Step, ...]) -> torch.Tensor:
    """Of the last token, by the prefix cache, in which the place is remembered after it."""
    place = cache.locate(PROBLEM, steps)
    trie = Trie(place.segment)
    path = trie.add(place.pending)
    with torch.inference_mode():
        rows, hidden = cache.read([trie])
        if len(path) > 1:
            start = place.segment.columns
            segment = cache.segment(place.segment, rows.read(0, [start + node for node in path[:-1]]))
            cache.remember(PROBLEM, steps, Place(segment, place.pending[-1:]))
        return hidden[-1].clone()


@pytest.mark.parametrize("kind", WINDOWS)
@pytest.mark.parametrize("budget", [2**30, 2**14])  # what is read once and kept, and what is dropped and read again
@pytest.mark.parametrize("shots", [0, 1])  # the beginning that all texts share is shorter than the window, or longer
def test_deep_paths_have_the_states_of_the_library(base, kind, budget, shots):
    tokenizer = base[1]
    model, prompt = sharp(config(kind, WINDOWS[kind], len(tokenizer))), Prompt(PLAIN, DEMONSTRATIONS[:shots])
    cache = PrefixCache(model.get_decoder(), tokenizer, prompt, budget)
    found = {depth: read(cache, STEPS[:depth]) for depth in (0, 1, 2, 3, 4, 5, 6, 7, 8, 5, 2)}
    for depth in (0, 1, 4, 5, 8):
        expected = states(model, tokenizer, prompt, STEPS[:depth])
        torch.testing.assert_close(found[depth], expected, atol=2e-4, rtol=2e-4)
    assert (len(cache.places) < 5) == (budget < 2**20)


@pytest.mark.parametrize("kind", WINDOWS)
def test_siblings_past_the_window_are_what_the_library_generates(base, kind):
    tokenizer = base[1]
    model, prompt = sharp(config(kind, WINDOWS[kind], len(tokenizer))), Prompt()
    policy = TransformersPolicy(model, tokenizer, prompt, max_step_tokens=40)
    sampled = policy.propose([Request(PROBLEM, (), 3, 7), Request(PROBLEM, STEPS[:2], 1, 8)], 0.0)
    for steps, [step, *_] in zip(((), STEPS[:2]), sampled, strict=True):
        texts = [prompt(PROBLEM.question), *(step.full_text for step in steps)]
        ids = torch.tensor([[t for text in texts for t in tokenizer.encode(text, add_special_tokens=False)]])
        model.get_decoder().set_attn_implementation("eager")
        stops = list(policy.ends.ids or ()) + [end for end in policy.ends.eos if end is not None]
        made = model.generate(ids, max_new_tokens=40, do_sample=False, eos_token_id=stops, pad_token_id=0)
        assert step.text == tokenizer.decode(made[0, ids.shape[1] :])
        model.get_decoder().set_attn_implementation("tree")


@pytest.mark.parametrize("kind", WINDOWS)
def test_training_and_search_give_one_score(base, kind):
    tokenizer = base[1]
    policy = sharp(config(kind, WINDOWS[kind], len(tokenizer)))
    ppm = ppm_from_policy(policy).eval()
    torch.nn.init.normal_(ppm.score.weight, std=0.1)
    prompt = Prompt()
    other = Step("\n# Take another way\nall = 8\n<end_of_step>")
    scorer = PPMScorer(ppm, tokenizer, prompt)
    [searched] = scorer.score([(PROBLEM, STEPS[:5], [STEPS[5], other])])
    ids = [scorer.cache.encode.joined([prompt(PROBLEM.question), *(s.text for s in STEPS[:5]), step.text])
           for step in (STEPS[5], other)]  # fmt: skip
    batch = shared_prefixes([{"chosen_ids": ids[0], "rejected_ids": ids[1], "weight": 1.0}])
    ppm.get_decoder().set_attn_implementation("sdpa")
    with torch.inference_mode():
        trained = [float(score) for score in pair_rewards(ppm, batch)]
    assert searched == pytest.approx(trained, abs=1e-4)


def test_what_is_not_honoured_is_refused_wherever_it_is_searched(base):
    tokenizer = base[1]
    model = sharp(config("Gemma2", SIZES | MIXED, len(tokenizer)))
    with pytest.raises(UserError, match="soft cap"):
        TransformersPolicy(model, tokenizer, Prompt()).propose([Request(PROBLEM, (), 1, 0)], 1.0)


@pytest.mark.parametrize(
    "four_bits", [False, pytest.param(True, marks=pytest.mark.skipif(bool(NO_BITS), reason=NO_BITS))]
)
def test_the_comparison_leaves_a_base_and_chance_as_they_were(base, tmp_path, four_bits):
    folder = saved("Phi3", WINDOWS["Phi3"] | {"sliding_window": 31}, base[1], tmp_path / "base")
    torch.manual_seed(5)
    model, _ = load_base(str(folder), four_bits=four_bits)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), drawn)
    assert model.config._attn_implementation == "sdpa" and model.config.sliding_window == 31
