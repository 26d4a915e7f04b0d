"""Make the `tiny` base model from scratch: its tokenizer and its pretraining.

The shipped weights are made again by `python -m rstar_mini.finetune.pretrain --out DIR`; the same command goes on with
a training that was stopped.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import Phi3Config, Phi3ForCausalLM, PreTrainedTokenizerFast, set_seed

from rstar_mini.code_cot import TAGS, split_steps
from rstar_mini.files import new_folder
from rstar_mini.finetune.corpus import corpus
from rstar_mini.finetune.induction import plant_induction_head
from rstar_mini.finetune.sft import encode_trajectory, sft_trainer
from rstar_mini.finetune.tokenizer import EOS, PAD, as_fast_tokenizer
from rstar_mini.models import save_compact
from rstar_mini.problems import load_problems
from rstar_mini.problems.generate import CORE
from rstar_mini.progress import Progress
from rstar_mini.recipes.schema import Training
from rstar_mini.tokens import cached_encoder
from rstar_mini.training import run_trainer
from rstar_mini.types import Problem

# Phrases of the format first (each becomes one token), then words, numbers, and the rest.
PRETOKENS = Regex(
    r"\n# Now print the final answer\nprint\(|The answer is \\boxed\{|\n[a-z]+ =|\n#|"
    r" ?[A-Za-z_]+| ?[0-9]{1,2}| ?[^\sA-Za-z0-9_]+|\n| +"
)
LEVELS = [1, 2, 3]  # of the core families; one level more than the `tiny` recipe searches
SETTINGS = Training(epochs=2, batch=32, lr=3e-3, warmup=50, schedule="linear", weight_decay=0.1)


def build_tokenizer(texts: Iterable[str], vocab_size: int = 1536) -> PreTrainedTokenizerFast:
    """A byte-pair tokenizer of whole words and numbers, in which every tag is one token."""
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.normalizer = normalizers.Replace("$", "$ ")  # so that a number is the same token after a dollar sign
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(PRETOKENS, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace("$ ", "$")])
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, EOS, *TAGS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return as_fast_tokenizer(tokenizer)


def tiny_config(tokenizer: PreTrainedTokenizerFast, width: int = 128, layers: int = 4) -> Phi3Config:
    """A Phi-3, by default of about a million parameters; `width` is a multiple of 16."""
    return Phi3Config(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=width * 5 // 2,
        num_hidden_layers=layers,
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


Pretrained = tuple[Phi3ForCausalLM, PreTrainedTokenizerFast, list[dict[str, float]]]
"""A base, its tokenizer and the loss curve of its training."""


def pretrain(
    problems: list[Problem],
    settings: Training,
    seed: int,
    progress: Progress,
    checkpoints: Path,
    width: int = 128,
    layers: int = 4,
) -> Pretrained:
    """Train tokenizer and model on the corpus of `problems`, from the last checkpoint; also returns the loss curve."""
    texts = corpus(problems, Random(f"corpus-{seed}"))
    tokenizer = build_tokenizer(context + text for context, text in texts)
    encode = cached_encoder(tokenizer.encode)
    rows = [encode_trajectory(encode, context, split_steps(text), mask_output=True) for context, text in texts]
    set_seed(seed)
    model = Phi3ForCausalLM(tiny_config(tokenizer, width, layers))
    plant_induction_head(model)
    trainer = sft_trainer(model, tokenizer, rows, settings, seed, checkpoints)
    return model, tokenizer, run_trainer(trainer, progress, "pretraining", settings.checkpoint_seconds)


def pretraining_problems() -> list[Problem]:
    """Those that the shipped base has seen."""
    return load_problems("generated", "train", families=CORE, levels=LEVELS)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: pretrain on the shipped training problems and save weights and tokenizer."""

    def make(settings: Training, seed: int, progress: Progress, checkpoints: Path) -> Pretrained:
        return pretrain(pretraining_problems(), settings, seed, progress, checkpoints)

    run_command("Make the tiny base model from scratch.", SETTINGS, make, argv)


def run_command(
    description: str,
    settings: Training,
    make: Callable[[Training, int, Progress, Path], Pretrained],
    argv: Sequence[str] | None = None,
) -> None:
    """The command line of a program that makes a base: what `make` makes goes into the folder of --out."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=new_folder, required=True, help="new folder for the model and its tokenizer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=float, default=settings.epochs, help="passes over the corpus")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(2)
    from rstar_mini.show.progress import best_progress

    with best_progress() as progress:
        settings = settings.model_copy(update={"epochs": arguments.epochs})
        checkpoints = arguments.out.with_name(f".{arguments.out.name}-seed-{arguments.seed}-{arguments.epochs:g}")
        model, tokenizer, curve = make(settings, arguments.seed, progress, checkpoints)
        progress.say(f"final loss {curve[-1]['loss']:.4f}")
    save_compact(model, arguments.out)
    tokenizer.save_pretrained(arguments.out)
    shutil.rmtree(checkpoints, ignore_errors=True)  # a training of less than a minute leaves none


if __name__ == "__main__":
    main()
