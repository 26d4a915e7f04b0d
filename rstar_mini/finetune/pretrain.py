"""Make the `tiny` base model from scratch: its tokenizer, its corpus, and its pretraining.

The corpus is what a base model may know before any round: the texts of the training problems without their solutions, random
Python snippets, and the few worked solutions that show the format. `python -m rstar_mini.finetune.pretrain --out DIR` makes the
shipped weights again.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import torch
from datasets import Dataset
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Phi3Config, Phi3ForCausalLM, PreTrainedTokenizerFast, set_seed
from trl import SFTConfig, SFTTrainer

from rstar_mini.code_cot import TAGS
from rstar_mini.models import save_compact
from rstar_mini.problems import load_problems
from rstar_mini.problems.generate import CORE
from rstar_mini.problems.story import NAMES, OBJECTS, noun
from rstar_mini.progress import Progress
from rstar_mini.prompts import PLAIN
from rstar_mini.recipes.schema import Training
from rstar_mini.training import run_trainer, trainer_settings
from rstar_mini.types import Problem

PAD, EOS = "<pad>", "<eos>"
# Phrases of the format first (each becomes one token), then words, single digits, and the rest.
PRETOKENS = Regex(
    r"\n# Now print the final answer\nprint\(|The answer is \\boxed\{|\n# ?| ?[A-Za-z_]+| ?[0-9]| ?[^\sA-Za-z0-9_]+|\n| +"
)
SNIPPETS = 10_000
WORKED_REPEATS = 5  # the worked solutions are few, and nothing else shows the format
NOUNS = [noun(entry)[1] for entry in OBJECTS] + list(NAMES)
VARIABLES = [
    "total",
    "sum",
    "left",
    "rest",
    "other",
    "third",
    "each",
    "share",
    "many",
    "half",
    "gap",
    "need",
    "cost",
    "pay",
    "new",
    "gone",
    "all",
    "full",
]
SETTINGS = Training(epochs=8, batch=64, lr=3e-3, warmup=100, schedule="cosine", weight_decay=0.1)


def build_tokenizer(texts: Iterable[str], vocab_size: int = 1536) -> PreTrainedTokenizerFast:
    """A byte-pair tokenizer of whole words and single digits, in which every tag is one token."""
    tokenizer = Tokenizer(models.BPE(unk_token=None))
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


def snippets(rng: Random, count: int) -> Iterator[str]:
    """Random programs under a line of notes: they look values up in the notes, compute with them, and print one.

    They are about nothing, but teach what every solution needs: to find a number by its name and to copy it, what names are
    known, and how a program goes on in late positions.
    """
    for _ in range(count):
        notes = {word: rng.randint(2, 199) for word in rng.sample(NOUNS, rng.randint(2, 6))}
        names = rng.sample(VARIABLES, len(VARIABLES))
        values: dict[str, int] = {}
        lines = [
            ". ".join(
                f"{word} {number}" if rng.random() < 0.5 else f"{number} {word}" for word, number in notes.items()
            )
            + "."
        ]
        for word in rng.sample(list(notes), rng.randint(1, len(notes))):
            left = rng.choice([str(rng.choice(list(notes.values()))), *values])
            expression = f"{left} {rng.choice('+-*')} {notes[word]}"
            values[names.pop()] = eval(expression, {}, dict(values))  # our own text, never a model's
            lines.append(f"# Find the {word}\n{list(values)[-1]} = {expression}")
        shown = rng.choice(list(values))
        yield "\n".join([*lines, f"print({shown})", str(values[shown])])


def corpus(problems: Iterable[Problem], rng: Random) -> list[str]:
    """The questions alone, the snippets, and every worked solution under its question."""
    problems = list(problems)
    worked = [PLAIN.format(question=p.question) + p.solution for p in problems if p.solution]
    return [p.question for p in problems] + list(snippets(rng, SNIPPETS)) + worked * WORKED_REPEATS


def tiny_config(tokenizer: PreTrainedTokenizerFast) -> Phi3Config:
    """A Phi-3 of about a million parameters."""
    return Phi3Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=320,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=1,
        max_position_embeddings=512,
        original_max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def pretrain(
    problems: list[Problem], settings: Training, seed: int, progress: Progress
) -> tuple[Phi3ForCausalLM, PreTrainedTokenizerFast, list[dict[str, float]]]:
    """Train tokenizer and model on the corpus of `problems`; also returns the loss curve."""
    texts = corpus(problems, Random(f"corpus-{seed}"))
    tokenizer = build_tokenizer(texts)
    set_seed(seed)
    model = Phi3ForCausalLM(tiny_config(tokenizer))
    rows = [{"input_ids": ids, "labels": ids} for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]
    with tempfile.TemporaryDirectory() as scratch:
        config = SFTConfig(scratch, dataset_kwargs={"skip_prepare_dataset": True}, **trainer_settings(settings, seed))
        trainer = SFTTrainer(model, config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
        curve = run_trainer(trainer, progress, "pretraining")
    return model, tokenizer, curve


def main() -> None:
    """Command line: pretrain on the shipped training problems and save weights and tokenizer."""
    parser = argparse.ArgumentParser(description="Make the tiny base model from scratch.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model and its tokenizer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=float, default=SETTINGS.epochs, help="passes over the corpus")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    from rstar_mini.show.progress import best_progress

    with best_progress() as progress:
        settings = SETTINGS.model_copy(update={"epochs": arguments.epochs})
        model, tokenizer, curve = pretrain(
            load_problems("generated", "train", families=CORE), settings, arguments.seed, progress
        )
        progress.say(f"final loss {curve[-1]['loss']:.4f}")
    save_compact(model, arguments.out)
    tokenizer.save_pretrained(arguments.out)


if __name__ == "__main__":
    main()
