"""Every recipe for a real model does a round with a small random model of the same architecture and tokenizer form."""

import gzip
import json
from itertools import islice
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, Phi3Config, PreTrainedTokenizerFast, Qwen2Config

from rstar_mini.code_cot import TAGS
from rstar_mini.errors import UserError
from rstar_mini.evaluation.chat import ASK, chat_answers
from rstar_mini.evolution.models import Models
from rstar_mini.finetune import best_trajectories
from rstar_mini.finetune.sft import train_policy
from rstar_mini.models import load_base
from rstar_mini.paths import data_file
from rstar_mini.ppm.model import train_ppm
from rstar_mini.ppm.pairs import preference_pairs
from rstar_mini.problems import load_problems
from rstar_mini.progress import Silent
from rstar_mini.prompts import DEMONSTRATIONS, chat_prompt
from rstar_mini.recipes import load_recipe, recipe_names
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Budget, Expander, search
from rstar_mini.types import Tree

KINDS = {"Phi-3": Phi3Config, "Qwen": Qwen2Config, "smol": LlamaConfig}
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
REAL = [name for name in recipe_names() if name != "tiny"]
# Of each architecture one, with weights of 4 bits and of 16, adapters and none; the others, two seconds each, are slow.
QUICK = {"phi3-mini-qlora", "qwen2.5-0.5b", "smol"}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE to which the tags are plain text, and the turns of a chat single tokens, as in Qwen's."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    texts = [p.question for p in load_problems("generated", "validation", 50)]
    inner.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=500, special_tokens=special, initial_alphabet=alphabet)
    )
    made = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    made.chat_template = CHAT
    return made


@pytest.fixture(scope="module")
def folder(tokenizer, tmp_path_factory):
    """Where a small random model lies that is of the kind that a recipe names."""

    def made(base: str) -> Path:
        kind = next(config for name, config in KINDS.items() if name in base)
        path = tmp_path_factory.mktemp("model")
        sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
        torch.manual_seed(0)
        # Room for worked examples, of which this tokenizer makes many tokens.
        room = {"max_position_embeddings": 8192}
        config = kind(**sizes, **room, num_key_value_heads=2, vocab_size=len(tokenizer), pad_token_id=0)
        AutoModelForCausalLM.from_config(config).save_pretrained(path)
        tokenizer.save_pretrained(path)
        return path

    return made


@pytest.fixture(scope="module")
def trees() -> list[Tree]:
    """Recorded ones, with right and wrong solutions."""
    rows = json.loads(gzip.decompress(data_file("replay/04-trees.json.gz").read_bytes()))
    found = (Tree.from_json(row) for row in rows["value"])
    return list(islice((tree for tree in found if tree.solved and preference_pairs([tree])), 4))


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in REAL])
def test_a_recipe_does_a_round_with_a_small_model_of_its_kind(name, folder, trees, tmp_path):
    base = load_recipe(name).policy.base
    small = [f"policy.base={folder(base)}", "policy.engine=transformers", "policy.batch_rows=16", "policy.cache_mb=64"]
    recipe = load_recipe(name, [*small, "policy.max_step_tokens=8"])
    problems = load_problems("generated", "validation", 2)
    budget = Budget(candidates=2, rollouts=1)

    def searched(number: int) -> int:
        """Tokens sampled by a search with this round's models."""
        made = Models(recipe, tmp_path)
        scorer = made.scorer(number) if number else None
        with Sandbox() as box:
            found = search(problems, Expander(made.policy(number), box, scorer), budget)
        return sum(tree.tokens for tree in found)

    assert searched(0) > 0
    learnt, pairs = best_trajectories(trees, 1), preference_pairs(trees)[:4]
    short = {"epochs": 1, "batch": 2, "micro_batch": 1}
    made = Models(recipe, tmp_path)
    how = made.tokenizer, made.prompt(1)
    settings = recipe.sft.model_copy(update=short)
    policy, curve = train_policy(made.policy_to_train(0), *how, learnt, settings, 0, Silent(), tmp_path / "sft")
    policy.save_pretrained(tmp_path / "round-1" / "policy")
    settings = recipe.ppm.model_copy(update=short)
    ppm, order = train_ppm(made.ppm_to_train(1, 0), *how, pairs, settings, 0, Silent(), tmp_path / "rm")
    ppm.save_pretrained(tmp_path / "round-1" / "ppm")
    assert len(curve) == len(order) == 2
    assert searched(1) > 0


def test_every_real_recipe_takes_16_bits_and_no_code_of_others():
    for name in REAL:
        policy = load_recipe(name).policy
        assert policy.dtype == "bf16" and policy.shots


def test_a_chat_template_becomes_a_prompt_with_worked_examples_as_turns(tokenizer):
    alone = chat_prompt(tokenizer, ask=ASK)("How many {braces}?")
    assert alone.startswith("<|im_start|>user\nHow many {braces}?\nThink step by step")
    assert alone.endswith("\\boxed{}.<|im_end|>\n<|im_start|>assistant\n")
    shown = chat_prompt(tokenizer, DEMONSTRATIONS)("How many?")
    turns = len(DEMONSTRATIONS)
    assert shown.count("<|im_start|>assistant") == turns + 1 and shown.count("<end_of_answer><|im_end|>") == turns
    assert shown.index("Solve each question with short steps of Python") < shown.index("A baker")


def test_a_model_without_a_chat_template_says_so():
    with pytest.raises(UserError, match="has no chat template; use policy.prompt plain or paper"):
        chat_prompt(load_base("tiny")[1])


def test_a_base_is_asked_in_its_own_words_and_its_answer_is_picked_out(tokenizer):
    from rstar_mini.policy import ScriptedPolicy
    from rstar_mini.types import Problem

    said = {
        "1": "It has 3 + 4, so \\boxed{7} pens, and not 8.",
        "2": "First 3, then 4. So the answer is 1,007 pens.",
        "3": "I do not know.",
        "4": "So \\boxed{8}.",
    }
    problems = [Problem(number, number, "1007" if number == "2" else "7") for number in said]
    outcome = chat_answers(problems, ScriptedPolicy(lambda question, text: [said[question]]))
    assert outcome.correct == [1, 1, 0, 0]


def test_tags_are_text_to_this_tokenizer(tokenizer):
    assert all(len(tokenizer.encode(tag, add_special_tokens=False)) > 1 for tag in TAGS)
