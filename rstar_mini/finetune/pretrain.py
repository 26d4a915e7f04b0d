"""Make the `tiny` base model from scratch: its tokenizer, its corpus, and its pretraining.

The corpus is what a base model may know before any round: the texts of training problems without their solutions, under
small Python programs that calculate with their numbers at random, quote sentences and look numbers up, and the few
worked solutions that show which calculation is the right one. The shipped weights are made again by
`python -m rstar_mini.finetune.pretrain --out DIR`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Sequence
from random import Random

import torch
from datasets import Dataset
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import Phi3Config, Phi3ForCausalLM, PreTrainedTokenizerFast, set_seed
from trl import SFTConfig, SFTTrainer

from rstar_mini.code_cot import CODE, END_CODE, END_STEP, TAGS
from rstar_mini.files import new_folder
from rstar_mini.finetune.induction import plant_induction_head
from rstar_mini.finetune.sft import encode_trajectory
from rstar_mini.models import save_compact
from rstar_mini.policy.prefix_cache import cached_encoder
from rstar_mini.problems import load_problems
from rstar_mini.problems.generate import CORE
from rstar_mini.problems.story import NAMES
from rstar_mini.progress import Progress
from rstar_mini.prompts import PLAIN
from rstar_mini.recipes.schema import Training
from rstar_mini.training import run_trainer, trainer_settings
from rstar_mini.types import Problem, Step

PAD, EOS = "<pad>", "<eos>"
# Phrases of the format first (each becomes one token), then words, numbers, and the rest.
PRETOKENS = Regex(
    r"\n# Now print the final answer\nprint\(|The answer is \\boxed\{|\n[a-z]+ =|\n# ?|"
    r" ?[A-Za-z_]+| ?[0-9]{1,2}| ?[^\sA-Za-z0-9_]+|\n| +"
)
LEVELS = [1, 2, 3]  # what the `tiny` recipe lives on, with the core families
SNIPPETS = 12  # for each question
WORKED_REPEATS = 8  # the worked solutions are few, and nothing else shows the format
OPERATIONS = [("Add", "+"), ("Take away", "-"), ("Multiply", "*"), ("Share", "//")]
VARIABLES = "total sum left rest other third each share many half gap need cost pay new gone all full".split()  # noqa: SIM905
SETTINGS = Training(epochs=3, batch=32, lr=3e-3, warmup=50, schedule="linear", weight_decay=0.1)


def build_tokenizer(texts: Iterable[str], vocab_size: int = 1536) -> PreTrainedTokenizerFast:
    """A byte-pair tokenizer of whole words and numbers, in which every tag is one token."""
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.normalizer = normalizers.Replace("$", "$ ")  # so that a number is the same token after a dollar sign
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(PRETOKENS, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, EOS, *TAGS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        additional_special_tokens=list(TAGS),
        clean_up_tokenization_spaces=False,
    )


def snippet(question: str, rng: Random) -> tuple[str, str]:
    """A question as a docstring and a small program about it: (question, code with what it prints). It solves nothing.

    It teaches what every solution needs and no answer gives away: to go through the numbers in order, to find a number
    by what stands around it, to copy, and to know what a name stands for. Half of the programs calculate, with
    operators drawn at random; the others look numbers up or quote sentences.
    """
    write = rng.choice([_calculation, _calculation, _look_ups, _quotes])
    return f'"""{question}"""\n', "\n".join(write(question, rng))


def _numbers(question: str) -> tuple[list[str], list[int]]:
    """The words of a question without their punctuation, and the places of its numbers."""
    words = [word.strip("$.,?") for word in question.split()]
    return words, [i for i, word in enumerate(words) if word.isdigit()]


def _owner(words: list[str], place: int) -> str:
    people = [word for word in words[:place] if word in NAMES]
    return f" of {people[-1]}" if people else ""


def _calculation(question: str, rng: Random) -> list[str]:
    """From number to number in the order of the question, each time with the result before; one may be left out."""
    words, places = _numbers(question)
    if len(places) > 2 and rng.random() < 0.3:
        places.remove(rng.choice(places))
    last, lines = words[places[0]], [CODE]
    for name, i in zip(rng.sample(VARIABLES, len(places) - 1), places[1:], strict=True):
        verb, operator = rng.choice(OPERATIONS)
        what = " ".join(words[i + 1 : i + 3]) or words[i - 1]
        owner = _owner(words, i) if rng.random() < 0.5 else ""
        left, right = (last, words[i]) if rng.random() < 0.75 else (words[i], last)
        lines.append(f"# {verb} the {what}{owner}\n{name} = {left} {operator} {right}\n{END_STEP}")
        last = name
    return [*lines, f"# Now print the final answer\nprint({last})\n{END_CODE}"]


def _quotes(question: str, rng: Random) -> list[str]:
    sentences = [sentence.strip() + "." for sentence in question.rstrip("?.").split(".")]
    values = dict(zip(rng.sample(VARIABLES, 2), rng.sample(sentences, min(2, len(sentences))), strict=False))
    shown = rng.choice(list(values))
    return [f'{name} = "{sentence}"' for name, sentence in values.items()] + [f"print({shown})", values[shown]]


def _look_ups(question: str, rng: Random) -> list[str]:
    words, places = _numbers(question)
    values = dict(zip(rng.sample(VARIABLES, len(places)), rng.sample(places, len(places)), strict=True))
    lines = [
        f"# Find the {' '.join(words[i + 1 : i + 3]) or words[i - 1]}{_owner(words, i)}\n{name} = {words[i]}"
        for name, i in values.items()
    ]
    shown = rng.choice(list(values))
    return [*lines, f"print({shown})", words[values[shown]]]


def corpus(problems: Iterable[Problem], rng: Random) -> list[tuple[str, str]]:
    """(context, text to learn): programs about each question, and every worked solution under its question."""
    problems = list(problems)
    worked = [(PLAIN.format(question=p.question), p.solution) for p in problems if p.solution]
    return [snippet(p.question, rng) for p in problems for _ in range(SNIPPETS)] + worked * WORKED_REPEATS


def tiny_config(tokenizer: PreTrainedTokenizerFast) -> Phi3Config:
    """A Phi-3 of about a million parameters."""
    return Phi3Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=320,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        original_max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.08,  # the library's 0.02 is for wider models
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5},
    )


def pretrain(
    problems: list[Problem], settings: Training, seed: int, progress: Progress
) -> tuple[Phi3ForCausalLM, PreTrainedTokenizerFast, list[dict[str, float]]]:
    """Train tokenizer and model on the corpus of `problems`; also returns the loss curve."""
    texts = corpus(problems, Random(f"corpus-{seed}"))
    tokenizer = build_tokenizer(context + text for context, text in texts)
    encode = cached_encoder(tokenizer.encode)
    rows = [encode_trajectory(encode, context, [Step(text)], mask_output=False) for context, text in texts]
    set_seed(seed)
    model = Phi3ForCausalLM(tiny_config(tokenizer))
    plant_induction_head(model)
    with tempfile.TemporaryDirectory() as scratch:
        config = SFTConfig(scratch, dataset_kwargs={"skip_prepare_dataset": True}, **trainer_settings(settings, seed))
        trainer = SFTTrainer(model, config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
        curve = run_trainer(trainer, progress, "pretraining")
    return model, tokenizer, curve


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: pretrain on the shipped training problems and save weights and tokenizer."""
    parser = argparse.ArgumentParser(description="Make the tiny base model from scratch.")
    parser.add_argument("--out", type=new_folder, required=True, help="new folder for the model and its tokenizer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=float, default=SETTINGS.epochs, help="passes over the corpus")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(2)
    from rstar_mini.show.progress import best_progress

    with best_progress() as progress:
        settings = SETTINGS.model_copy(update={"epochs": arguments.epochs})
        model, tokenizer, curve = pretrain(
            load_problems("generated", "train", families=CORE, levels=LEVELS), settings, arguments.seed, progress
        )
        progress.say(f"final loss {curve[-1]['loss']:.4f}")
    save_compact(model, arguments.out)
    tokenizer.save_pretrained(arguments.out)


if __name__ == "__main__":
    main()
